import { describe, expect, it } from 'vitest';
import type { ClientRule } from './broker.ts';
import type { RecordRule } from './emqx.ts';
import { isOurs, isQuarantine, normalised, recordOf, sameRecord, subscribable } from './record.ts';

const CLIENT = 'thermo-1.berlin';
const quarantine = recordOf({ client: CLIENT, kind: 'quarantine', rules: [{ topic: 'dt/x', permission: 'allow', action: 'publish' }] });
const commands: ClientRule = { topic: `cmd/lab.berlin/${CLIENT}/#`, permission: 'allow', action: 'subscribe' };
const moved = recordOf({ client: CLIENT, kind: 'moved', rules: [commands] });
const echoed = (rules: readonly ClientRule[]): RecordRule[] => normalised(rules);

describe('the record of a client', () => {
  it('in quarantine: eight allows, then everything is denied, $-topics too (emqx-profile.md, 12)', () => {
    expect(quarantine.rules.map((rule) => `${rule.permission} ${rule.action} ${rule.topic}`)).toEqual([
      `allow publish ota/v1/d/${CLIENT}/hello`,
      `allow publish ota/v1/d/${CLIENT}/log`,
      `allow publish recovery/${CLIENT}/#`,
      `allow publish ota/v1/d/${CLIENT}/state`,
      `allow publish trust/v1/d/${CLIENT}/confirmed`,
      `allow subscribe ota/v1/d/${CLIENT}/directive`,
      `allow subscribe recovery/${CLIENT}/#`,
      'allow subscribe trust/v1/anchors',
      'deny all #',
      'deny all $SYS/#',
      'deny all $events/#',
    ]);
  });

  it('that moved: its rights between what every device keeps and the denies', () => {
    expect(moved.rules).toHaveLength(12);
    expect(moved.rules[8]).toEqual(commands);
    expect(subscribable(moved.rules)).toEqual([`ota/v1/d/${CLIENT}/directive`, `recovery/${CLIENT}/#`, 'trust/v1/anchors', commands.topic]);
  });

  it('never has more rules than EMQX takes; what is left out is counted', () => {
    const many = Array.from({ length: 120 }, (_, i): ClientRule => ({ topic: `a/${i}`, permission: 'allow', action: 'publish' }));
    const record = recordOf({ client: CLIENT, kind: 'moved', rules: many });
    expect(record.rules).toHaveLength(100);
    expect(record.leftOut).toBe(31);
    expect(record.rules.at(-3)?.permission).toBe('deny');
  });

  it.each(['#', '$SYS/#', 'a/#/b', 'a/$' + '{clientid}', 'eq a', 'a//b', 'cmd/+', 'cmd/+/#', 'a b', ''])(
    'leaves out the topic %j',
    (topic) => {
      expect(recordOf({ client: CLIENT, kind: 'moved', rules: [{ ...commands, topic }] })).toMatchObject({ leftOut: 1 });
    },
  );
});

describe('a record that is there', () => {
  it('is the same with the defaults that EMQX fills in', () => expect(sameRecord(echoed(moved.rules), moved.rules)).toBe(true));
  it.each<[string, RecordRule[] | undefined]>([
    ['missing', undefined],
    ['empty', []],
    ['in another order', echoed([...moved.rules].reverse())],
    ['with another QoS', echoed(moved.rules).map((rule, i) => (i === 0 ? { ...rule, qos: [0, 1, 2] } : rule))],
    ['with retained allowed', echoed(moved.rules).map((rule, i) => (i === 0 ? { ...rule, retain: 'all' } : rule))],
    ['with a rule more', [...echoed(moved.rules), ...echoed([commands])]],
  ])('is another one when it is %s', (_name, seen) => expect(sameRecord(seen, moved.rules)).toBe(false));

  it('is known as ours by its frame', () => {
    expect(isOurs(CLIENT, echoed(quarantine.rules))).toBe(true);
    expect(isOurs(CLIENT, echoed(moved.rules))).toBe(true);
    expect(isOurs('thermo-2.berlin', echoed(moved.rules))).toBe(false);
    expect(isOurs(CLIENT, echoed([commands]))).toBe(false);
    expect(isOurs('other', echoed(recordOf({ client: 'other', kind: 'quarantine', rules: [] }).rules))).toBe(false);
  });

  it('is a quarantine when nothing is in the frame', () => {
    expect(isQuarantine(CLIENT, echoed(quarantine.rules))).toBe(true);
    expect(isQuarantine(CLIENT, echoed(moved.rules))).toBe(false);
    expect(isQuarantine(CLIENT, undefined)).toBe(false);
  });
});
