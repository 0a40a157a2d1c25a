import { describe, expect, it } from 'vitest';
import type { GatewayConfig, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { KnownDevice } from '../site/devices.ts';
import { createRoutes } from './routes.ts';

const segment = (name: string, more: Partial<GatewaySegment> = {}): GatewaySegment => ({
  ...{ name, egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 5, detect: [], rules: [] },
  retentionMs: { trend: 1, alert: 1, security: 1 },
  ...more,
});
const CONFIG: GatewayConfig = {
  ...{ version: 1, site: 'berlin' },
  segments: [
    segment('office.berlin'),
    segment('pumps.berlin', {
      format: 'SparkplugB',
      schemas: [{ topic: 'dt/pumps.berlin/+/sparkplug/pump', schema: { required: ['Level'] } }],
    }),
  ],
};
const device = (name: string, segment: string): KnownDevice => ({ name, uid: name, segment, labels: {}, lifecycle: 'Active' });
const DEVICES = new Map([device('thermo.berlin', 'office.berlin'), device('node.berlin', 'pumps.berlin')].map((one) => [one.name, one]));
const of = (topic: string, config = CONFIG) => createRoutes(DEVICES, config).of(topic);

describe('a topic', () => {
  it.each([
    ['dt/office.berlin/thermo.berlin/climate', 'climate'],
    ['spBv1.0/pumps.berlin/NBIRTH/node.berlin', 'sparkplug'],
    ['spBv1.0/pumps.berlin/NDATA/node.berlin', 'sparkplug'],
    ['spBv1.0/pumps.berlin/DDATA/node.berlin/pump', 'sparkplug/pump'],
    ['spBv1.0/pumps.berlin/DBIRTH/node.berlin/pump', 'sparkplug/pump'],
  ])('%s is the stream %s of its device', (topic, stream) => expect(of(topic)).toMatchObject({ stream }));

  it.each([
    ['of Sparkplug in a segment whose devices send the envelope', 'spBv1.0/office.berlin/NDATA/thermo.berlin', 'HR-GW-302'],
    ['of the envelope in a segment whose devices send Sparkplug', 'dt/pumps.berlin/node.berlin/climate', 'HR-GW-302'],
    ['of a command to a node', 'spBv1.0/pumps.berlin/NCMD/node.berlin', 'HR-GW-302'],
    ['of a node of another segment', 'spBv1.0/pumps.berlin/NDATA/thermo.berlin', 'HR-GW-303'],
    ['of a node that is no Device', 'spBv1.0/pumps.berlin/NDATA/nobody.berlin', 'HR-GW-303'],
  ])('%s is refused', (_, topic, code) => expect(of(topic)).toMatchObject({ code }));

  it('of Sparkplug has the schemas of its stream', () => {
    const fits = (topic: string): unknown[] => {
      const route = of(topic);
      return 'code' in route ? [] : [route.isFit?.({ Level: 1 }), route.isFit?.({ Other: 1 })];
    };
    expect(fits('spBv1.0/pumps.berlin/DDATA/node.berlin/pump')).toEqual([true, false]);
    expect(fits('spBv1.0/pumps.berlin/DDATA/node.berlin/fan')).toEqual([undefined, undefined]);
  });
});

const DEVICE: KnownDevice = { name: 'thermo-1.berlin', uid: 'u1', segment: 'office.berlin', labels: { floor: '3' }, lifecycle: 'Active' };
const config = (groupBy?: string): GatewayConfig => {
  return { version: 1, site: 'berlin', segments: [segment('office.berlin', groupBy === undefined ? {} : { groupBy })] };
};

it.each([
  ['no label', undefined, ''],
  ['a label that the device has', 'floor', '3'],
  ['a label that it has not', 'wing', ''],
  ['a label that is called as what every object has', 'constructor', ''],
])('a device of a segment that is grouped by %s', (_, groupBy, group) => {
  const routes = createRoutes({ get: (name) => (name === DEVICE.name ? DEVICE : undefined) }, config(groupBy));
  expect(routes.of('dt/office.berlin/thermo-1.berlin/climate')).toMatchObject({ device: DEVICE.name, stream: 'climate', group });
});

it.each([
  ['of nobody', 'dt/office.berlin/thermo-2.berlin/climate', 'HR-GW-303'],
  ['of a segment without a policy', 'dt/lab.berlin/thermo-1.berlin/climate', 'HR-GW-302'],
  ['of no telemetry', 'cmd/office.berlin/thermo-1.berlin/climate', 'HR-GW-302'],
])('a topic %s leads nowhere', (_, topic, code) => {
  expect(createRoutes({ get: (name) => (name === DEVICE.name ? DEVICE : undefined) }, config()).of(topic)).toMatchObject({ code });
});

it.each([
  ['another segment', { ...DEVICE, segment: 'lab.berlin' }, 'HR-GW-303'],
  ['quarantine', { ...DEVICE, lifecycle: 'Quarantined' as const }, 'HR-GW-304'],
])('a device that was moved to %s has no route any more, once the devices have changed', (_, next, code) => {
  let known: KnownDevice = DEVICE;
  const routes = createRoutes({ get: () => known }, config());
  const topic = 'dt/office.berlin/thermo-1.berlin/climate';
  expect(routes.of(topic)).not.toHaveProperty('code');
  known = next;
  routes.devicesChanged();
  expect(routes.of(topic)).toMatchObject({ code });
});
