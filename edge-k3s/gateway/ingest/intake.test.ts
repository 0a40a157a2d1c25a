import { describe, expect, it } from 'vitest';
import type { GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Core } from '../core/core.ts';
import { createBirths } from '../sparkplug/births.ts';
import { createIntake, type Seen } from './intake.ts';
import type { Route } from './routes.ts';

const SEGMENT: GatewaySegment = {
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 200 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 5, detect: [], rules: [] },
  retentionMs: { trend: 1, alert: 1, security: 1 },
};
const ROUTE: Route = {
  ...{ device: 'thermo-1.berlin', segment: SEGMENT, stream: 'climate', group: '', isFit: (m) => m !== 'unfit', sparkplug: undefined },
};
const NOW = 1_790_000_000_000;
const envelope = (m: unknown): Buffer => Buffer.from(JSON.stringify({ v: 1, boot: 1, seq: 1, ts: NOW, m }));

function make(offer: Core['offer'] = () => undefined) {
  const disk = Promise.withResolvers<void>();
  const [seen, settled]: [Seen[], unknown[]] = [[], []];
  let appended = 0;
  const intake = createIntake({
    ...{
      routes: { of: () => ROUTE, configure: () => undefined, devicesChanged: () => undefined },
      births: createBirths(),
      core: { offer },
    },
    append() {
      appended += 1;
      return disk.promise;
    },
    seen: (_device, _segment, what) => seen.push(what),
    clock: { now: () => NOW },
  });
  const say = (payload: Buffer): void => intake.offer('dt/x', payload, 'ticket', (_ticket, refused) => settled.push(refused ?? 'on disk'));
  return { intake, disk, seen, settled, say, appended: () => appended };
}

describe('a message', () => {
  it('is acknowledged when it is on disk, and not before', async () => {
    const { intake, disk, settled, say } = make();
    say(envelope({ celsius: 20 }));
    expect(settled).toEqual([]);
    disk.resolve();
    await intake.settled();
    expect(settled).toEqual(['on disk']);
  });

  it.each([
    ['too large', Buffer.alloc(201), 'HR-GW-305'],
    ['of no form', Buffer.from('{'), 'HR-GW-306'],
    ['of no envelope', Buffer.from('{"m":1}'), 'HR-GW-201'],
    ['unfit', envelope('unfit'), 'HR-GW-307'],
    ['too deep', envelope({ a: { a: { a: { a: { a: { a: { a: { a: { a: 1 } } } } } } } } }), 'HR-GW-308'],
  ])('that is %s is refused at once and goes nowhere', (_, payload, code) => {
    const { seen, settled, say, appended } = make(() => {
      throw new Error('it must not come here');
    });
    say(payload);
    expect([settled, appended(), seen.map(({ kind }) => kind)]).toEqual([[code], 0, ['refused']]);
  });

  it('that was there before changes nothing', () => {
    const { settled, say, appended } = make(() => 'HR-GW-202');
    say(envelope(1));
    expect([settled, appended()]).toEqual([['HR-GW-202'], 0]);
  });

  it.each([
    ['the disk does not take', undefined],
    [
      'only a part of the state has taken',
      () => {
        throw new Error('no space');
      },
    ],
  ] as const)('that %s is not acknowledged, and ends the gateway', async (_, offer) => {
    const { intake, disk, settled, say } = make(offer);
    say(envelope(1));
    disk.reject(new Error('no space'));
    await expect(intake.failed).rejects.toThrow('no space');
    expect(settled).toEqual([]);
    disk.promise.catch(() => undefined);
  });
});
