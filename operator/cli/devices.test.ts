import { describe, expect, it } from 'vitest';
import type { Device } from '../api/device.ts';
import type { Condition } from '../api/meta.ts';
import type { FleetSight } from '../broker/broker.ts';
import { TinyServer } from '../kube/testing/tiny-server.ts';
import { FakeClock } from '../runtime/clock.ts';
import { cureOfForbidden } from './cluster.ts';
import { columns, deviceRow } from './device-row.ts';
import { devices, listDevices, type View, watchDevices } from './devices.ts';
import { growingTable } from './table.ts';
import { type Heard, listen, typed } from './testing/heard.ts';

const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
  ...{ type, status, reason, message: '' },
  lastTransitionTime: '2026-11-25T10:00:00Z',
});
const READY = condition('Ready', 'True', 'Ready');

function device(name: string, conditions: Condition[] = [READY]): Device {
  return {
    ...{ apiVersion: '', kind: '', metadata: { name, namespace: 'berlin' } },
    spec: { segment: 'office' } as Device['spec'],
    status: { conditions, identity: { notAfter: '2026-12-25T10:00:00.123Z' } },
  };
}

const held = { client: 'thermo.berlin', connected: true, segment: 'office.berlin', since: '2026-11-25T09:00:00.000+01:00' };
const broker = (clients: Partial<typeof held>[], bans: FleetSight['bans'] = []): FleetSight => ({
  clients: new Map(
    clients.map((one) => {
      const { client, ...row } = { ...held, ...one };
      return [client, { clientid: client, username: 'm', ...row }];
    }),
  ),
  bans,
});
const ban = { as: 'clientid', who: 'thermo.berlin', until: 'infinity', by: 'hedgerow/revoke', reason: 'stolen' };

/** A line as it is printed, by its heading. */
function line(of: Device, sight?: FleetSight): Record<string, string> {
  const { headings, cells } = columns({ allNamespaces: false, broker: sight !== undefined });
  return Object.fromEntries(cells(deviceRow(of, sight)).map((cell, at) => [headings[at], cell]));
}

describe('a device in the list', () => {
  it.each<[what: string, conditions: Condition[], ready: string, refusal: string]>([
    ['is ready', [READY], 'True', ''],
    ['was not seen by an operator yet', [], 'Unknown/NotSeenYet', ''],
    [
      'gets no certificate',
      [condition('Ready', 'False', 'CsrKeyWeak'), condition('Certified', 'False', 'CsrKeyWeak')],
      'False/CsrKeyWeak',
      'CsrKeyWeak 2026-11-25T10:00:00Z',
    ],
    [
      'is revoked, which says more than what it does not get any more',
      [condition('Ready', 'False', 'Revoked'), condition('Certified', 'False', 'KeyRevoked'), condition('Revoked', 'True', 'Revoked')],
      'False/Revoked',
      'Revoked 2026-11-25T10:00:00Z',
    ],
    ['waits for the broker, which refuses nothing', [condition('Ready', 'Unknown', 'BrokerUnreachable')], 'Unknown/BrokerUnreachable', ''],
  ])('%s', (_what, conditions, ready, refusal) => {
    expect(line(device('thermo', conditions))).toEqual({
      ...{ DEVICE: 'thermo', SEGMENT: 'office', READY: ready },
      ...{ 'CERTIFICATE UNTIL': '2026-12-25T10:00:00Z', 'LAST REFUSAL': refusal },
    });
  });

  it.each<[what: string, sight: FleetSight, connected: string, refusal: string]>([
    ['connected', broker([{}]), 'since 2026-11-25T08:00:00Z', ''],
    [
      'connected with a certificate of the segment it left',
      broker([{ segment: 'lab.berlin' }]),
      'since 2026-11-25T08:00:00Z as lab.berlin',
      '',
    ],
    ['away, with a session that waits for it', broker([{ connected: false }]), 'no, has a session', ''],
    ['unknown to the broker', broker([{ client: 'thermo.paris' }]), 'no', ''],
    ['banned', broker([], [ban]), 'no', 'banned by hedgerow/revoke: stolen'],
    ['not the one that is banned', broker([], [{ ...ban, who: 'thermo.paris' }]), 'no', ''],
  ])('is at the broker: %s', (_what, sight, connected, refusal) => {
    expect(line(device('thermo'), sight)).toMatchObject({ CONNECTED: connected, 'LAST REFUSAL': refusal });
  });
});

/** The list of a server that holds these. */
function view(found: Device[], more: Partial<View> = {}): View {
  const client = { list: async () => found } as unknown as View['client'];
  return { client, namespace: 'berlin', json: false, broker: undefined, clock: new FakeClock(), ...more };
}

async function listed(of: View): Promise<Heard & { code: number }> {
  const { heard, output } = listen();
  return { code: await listDevices(of, output), ...heard };
}

describe('kubectl hedgerow devices', () => {
  it('prints them by name under their headings', async () => {
    const { code, out } = await listed(view([device('thermo-17'), device('air')]));
    expect([code, out]).toEqual([
      0,
      'DEVICE      SEGMENT   READY   CERTIFICATE UNTIL      LAST REFUSAL\n' +
        'air         office    True    2026-12-25T10:00:00Z   -\n' +
        'thermo-17   office    True    2026-12-25T10:00:00Z   -\n',
    ]);
  });

  it('of all namespaces says which', async () => {
    const { namespace: _berlin, ...everywhere } = view([device('air')]);
    expect((await listed(everywhere)).out).toMatch(/^NAMESPACE +DEVICE[^\n]*\nberlin +air /);
  });

  it('of none says so, and nothing on stdout', async () => {
    expect(await listed(view([]))).toEqual({ code: 0, out: '', err: 'no devices in berlin\n' });
    expect(await listed(view([], { json: true }))).toEqual({ code: 0, out: '[]\n', err: '' });
  });

  it('for scripts is JSON with everything', async () => {
    const { out } = await listed(view([device('thermo')], { json: true, broker: async () => broker([{}]) }));
    expect(JSON.parse(out)).toMatchObject([{ namespace: 'berlin', name: 'thermo', ready: 'True', connection: { state: 'connected' } }]);
  });

  it('what others wrote cannot move the cursor', () => {
    expect(growingTable(['A', 'B'])([['\u001b[2J', 'x']])).toBe('A           B\n\\x{1b}[2J   x\n');
  });

  it.each<[what: string, flags: string[], complaint: string]>([
    ['two places', ['-A', '-n', 'berlin'], 'contradict each other'],
    ['an unknown form', ['-o', 'yaml'], '--output yaml: only json'],
    ['half of the broker', ['--broker-url', 'https://b'], '--broker-api-key-file is required'],
  ])('is wrong use: %s', async (_what, flags, complaint) => {
    const { code, err } = await typed(devices, 'devices', ...flags);
    expect([code, err.includes(complaint)]).toEqual([2, true]);
  });

  it('every flag is in its help', () => {
    for (const flag of Object.keys(devices.flags).filter((name) => name !== 'help')) expect(devices.help).toContain(`--${flag}`);
  });
});

describe('kubectl hedgerow devices --watch', () => {
  it('prints what is there, then each row that reads differently, and no row twice', async () => {
    const server = new TinyServer();
    server.put('air', 0);
    const clock = new FakeClock();
    const stop = new AbortController();
    let sight = broker([]);
    const { heard, output } = listen();
    // The server's objects carry a number: here it stands for the state of the Device.
    const asDevice = (object: { metadata: object; value?: number }): object => ({
      ...object,
      spec: { segment: 'office' },
      status: { conditions: [object.value === 0 ? READY : condition('Ready', 'False', 'Revoked')] },
    });
    const tiny = server.client();
    const client = {
      listPage: async (...args: Parameters<View['client']['listPage']>) => {
        const page = await tiny.listPage(...args);
        return { ...page, items: page.items.map((item) => asDevice(item as never)) };
      },
      watch: async (...args: Parameters<View['client']['watch']>) => {
        const bytes = await tiny.watch(...args);
        return (async function* () {
          for await (const chunk of bytes)
            yield Buffer.from(
              chunk
                .toString()
                .split('\n')
                .filter((text) => text !== '')
                .map((text) => {
                  const event = JSON.parse(text) as { type: string; object: { metadata: object } };
                  return `${JSON.stringify(event.type === 'BOOKMARK' ? event : { ...event, object: asDevice(event.object) })}\n`;
                })
                .join(''),
            );
        })();
      },
    } as unknown as View['client'];
    const ended = watchDevices({ client, namespace: 'ns', json: false, broker: async () => sight, clock }, output, stop.signal);
    const next = async (): Promise<string> => {
      for (let turn = 0; turn < 20; turn++) await clock.advance(1);
      const { out } = heard;
      heard.out = '';
      return out;
    };
    expect(await next()).toMatch(/^DEVICE[^\n]*\nair +office +True +no [^\n]*\n$/);
    server.put('air', 1);
    expect(await next()).toMatch(/^air +office +False\/Revoked [^\n]*\n$/);
    sight = broker([{ client: 'air.ns', segment: 'office.ns' }]);
    await clock.advance(5_000);
    expect(await next()).toMatch(/^air [^\n]* since 2026-11-25T08:00:00Z [^\n]*\n$/);
    await clock.advance(5_000);
    expect(await next()).toBe('');
    server.remove('air');
    expect(await next()).toBe('ns/air deleted\n');
    stop.abort(new Error('seen enough'));
    expect(await ended).toBe(0);
  });
});

describe('a right that is missing is named in the cure', () => {
  it.each([
    [
      'devices.hedgerow.dev is forbidden: User "carol" cannot list resource "devices" in API group "hedgerow.dev" in the namespace "berlin"',
      'ask for the right to list devices.hedgerow.dev in the namespace berlin (a Role)',
    ],
    [
      'namespaces is forbidden: User "carol" cannot list resource "namespaces" in API group "" at the cluster scope',
      'ask for the right to list namespaces in all namespaces (a ClusterRole)',
    ],
    ['forbidden', 'ask for a role with the right that the message names'],
  ])('%s', (message, cure) => expect(cureOfForbidden(message)).toContain(cure));
});
