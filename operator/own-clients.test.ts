import { describe, expect, it } from 'vitest';
import { LISTENER, ROLLOUT_SEGMENT } from './api/names.ts';
import { CANARY, type DesiredBroker } from './broker/broker.ts';
import { withOwnClients } from './own-clients.ts';

const DRIVER = '-rollout-0123456789abcdef.-hedgerow';
const THERMO = 'thermo-1.berlin';
const wanted: DesiredBroker = {
  segments: [{ segment: 'office.berlin', publish: [], subscribe: [] }],
  bans: [],
  overrides: [],
  judge: (client, md5) => (client === THERMO && md5 === 'm1' ? 'ok' : 'unknown'),
  segmentOf: () => undefined,
};
const probe = { isCanary: (md5: string) => md5 === 'm2' };
const inventory = { isListener: (md5: string) => md5 === 'm3' };
const drivers = { judge: (client: string, md5: string) => (client === DRIVER && md5 === 'm4' ? ('ok' as const) : ('unknown' as const)) };
const NONE = { probe: undefined, inventory: undefined, drivers: undefined };
const ALL = { probe, inventory, drivers };

describe('the clients that Hedgerow is itself', () => {
  it.each([
    [THERMO, 'm1'],
    [CANARY, 'm2'],
    [LISTENER, 'm3'],
    [DRIVER, 'm4'],
  ])('%s is taken with its own certificate and with no other', (client, own) => {
    const { judge } = withOwnClients(wanted, ALL);
    for (const md5 of ['m1', 'm2', 'm3', 'm4', 'm5']) expect([md5, judge(client, md5)]).toEqual([md5, md5 === own ? 'ok' : 'unknown']);
  });

  it.each([CANARY, LISTENER, DRIVER])('%s is unknown where there is none', (client) => {
    const { judge } = withOwnClients(wanted, NONE);
    for (const md5 of ['m1', 'm2', 'm3', 'm4']) expect(judge(client, md5)).toBe('unknown');
  });

  it('have their rights beside those of the segments, each where it is', () => {
    const names = (own: Parameters<typeof withOwnClients>[1]): string[] =>
      withOwnClients(wanted, own).segments.map(({ segment }) => segment);
    expect(names(NONE)).toEqual(['office.berlin']);
    expect(names({ ...NONE, inventory })).toEqual([LISTENER, 'office.berlin']);
    expect(names({ ...NONE, drivers })).toEqual([ROLLOUT_SEGMENT, 'office.berlin']);
    expect(names(ALL)).toEqual([ROLLOUT_SEGMENT, LISTENER, 'office.berlin']);
  });
});
