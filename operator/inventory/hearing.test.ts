import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { createHearing, type Hearing, type Records, SETTLE_MS } from './hearing.ts';

const T0 = Date.parse('2026-11-26T12:00:00Z');
const KEY = 'berlin/thermo-1';
const HOUR = 3_600_000;
const running = (n: number) => ({ version: `${n}.0.0`, digest: `sha256:${String(n).repeat(64)}`, securityCounter: n });
const says = (n: number, component = 'app') => ({ component, ...running(n) });

let hearing: Hearing;
beforeEach(() => {
  hearing = createHearing();
});

describe('a hello', () => {
  it('is written when it has stayed so for a minute, once', () => {
    expect(hearing.hello(KEY, [says(1)], undefined, T0)).toBe(true);
    expect(hearing.due(KEY, undefined, T0 + SETTLE_MS - 1)).toEqual({ records: {}, changed: [], againMs: 1 });
    expect(hearing.due(KEY, undefined, T0 + SETTLE_MS)).toEqual({ records: { app: running(1) }, changed: ['app'], againMs: undefined });
    // The cache shows it: nothing is left.
    expect(hearing.due(KEY, { app: running(1) }, T0 + SETTLE_MS)).toEqual({
      records: { app: running(1) },
      changed: [],
      againMs: undefined,
    });
    expect(hearing.size).toBe(0);
  });

  it('of what the record says already leaves nothing behind: not one of 10,000 after a restart of the broker', () => {
    for (let at = 0; at < 10_000; at++) expect(hearing.hello(`berlin/d${at}`, [says(1)], { app: running(1) }, T0)).toBe(false);
    expect(hearing.size).toBe(0);
  });

  it('repeated does not put the minute off; one that says something else begins it anew', () => {
    hearing.hello(KEY, [says(1)], undefined, T0);
    hearing.hello(KEY, [says(1)], undefined, T0 + 50_000);
    expect(hearing.due(KEY, undefined, T0 + SETTLE_MS).changed).toEqual(['app']);
    hearing.hello(KEY, [says(2)], undefined, T0 + 59_000);
    expect(hearing.due(KEY, undefined, T0 + SETTLE_MS)).toMatchObject({ changed: [], againMs: 59_000 });
  });

  it('takes back what the one before said: a device that boots another image and comes back writes nothing', () => {
    const records: Records = { app: { ...running(1), result: 'Confirmed' } };
    hearing.hello(KEY, [says(2)], records, T0);
    hearing.hello(KEY, [says(1)], records, T0 + 20_000);
    expect(hearing.due(KEY, records, T0 + HOUR)).toMatchObject({ changed: [] });
    expect(hearing.size).toBe(0);
  });

  it('says of each component what it runs; the others stay as they are', () => {
    const records: Records = { app: { ...running(1), result: 'Failed' }, radio: running(1) };
    hearing.hello(KEY, [says(1), says(2, 'radio'), says(3, 'boot')], records, T0);
    const { records: after, changed } = hearing.due(KEY, records, T0 + SETTLE_MS);
    expect(changed).toEqual(['radio', 'boot']);
    expect(after).toEqual({ ...records, radio: running(2), boot: running(3) });
  });
});

describe('while a directive is at work on a device', () => {
  it('its driver writes, for this component; afterwards what was heard is due', () => {
    hearing.hello(KEY, [says(2), says(2, 'radio')], undefined, T0);
    hearing.atWork(KEY, 'app', true, T0);
    expect(hearing.due(KEY, undefined, T0 + HOUR)).toMatchObject({ changed: ['radio'], againMs: 23 * HOUR });
    expect(hearing.atWork(KEY, 'radio', false, T0 + HOUR)).toBe(false);
    expect(hearing.atWork(KEY, 'app', false, T0 + HOUR)).toBe(true);
    expect(hearing.due(KEY, { radio: running(2) }, T0 + HOUR)).toMatchObject({ changed: [], againMs: SETTLE_MS });
    // Said again, it does not put the minute off.
    expect(hearing.atWork(KEY, 'app', false, T0 + HOUR + 50_000)).toBe(false);
    expect(hearing.due(KEY, { radio: running(2) }, T0 + HOUR + SETTLE_MS).changed).toEqual(['app']);
  });

  it('a driver that has written within the minute leaves nothing to write', () => {
    hearing.hello(KEY, [says(2)], { app: running(1) }, T0);
    hearing.atWork(KEY, 'app', true, T0);
    hearing.atWork(KEY, 'app', false, T0 + HOUR);
    expect(hearing.due(KEY, { app: { ...running(2), result: 'Confirmed' } }, T0 + HOUR + SETTLE_MS).changed).toEqual([]);
    expect(hearing.size).toBe(0);
  });

  it('an end that a driver wrote since then is the end, whatever the device says', () => {
    hearing.hello(KEY, [says(2)], undefined, T0);
    hearing.atWork(KEY, 'app', true, T0);
    const before: Records = { app: { ...running(1), result: 'TimedOut', endedAt: new Date(T0 - 1000).toISOString() } };
    const after: Records = { app: { ...running(1), result: 'TimedOut', endedAt: new Date(T0 + 1000).toISOString() } };
    expect(hearing.due(KEY, before, T0 + HOUR).changed).toEqual([]);
    expect(hearing.due(KEY, after, T0 + HOUR).changed).toEqual(['app']);
  });

  it('a device that says no more for a day is at work no more', () => {
    hearing.hello(KEY, [says(2)], undefined, T0);
    hearing.atWork(KEY, 'app', true, T0);
    expect(hearing.due(KEY, undefined, T0 + 24 * HOUR).changed).toEqual(['app']);
  });
});

describe('whatever is heard', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('hello' as const), n: fc.integer({ min: 1, max: 3 }), component: fc.constantFrom('app', 'radio') }),
    fc.record({ do: fc.constant('work' as const), is: fc.boolean(), component: fc.constantFrom('app', 'radio') }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ do: fc.constant('look' as const) }),
  );

  it('a write is made only of what the last hello said, changes something, and is none for as long as the device changes its mind each minute', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const one = createHearing();
        let now = T0;
        let records: Records = {};
        let last: ReturnType<typeof says>[] = [];
        let saidAt = T0;
        for (const next of steps) {
          if (next.do === 'wait') now += next.ms;
          if (next.do === 'work') one.atWork(KEY, next.component, next.is, now);
          if (next.do === 'hello') {
            const before = last;
            last = [says(next.n, next.component)];
            if (JSON.stringify(before) !== JSON.stringify(last)) saidAt = now;
            one.hello(KEY, last, records, now);
          }
          if (next.do !== 'look') continue;
          const due = one.due(KEY, records, now);
          for (const component of due.changed) {
            expect(now - saidAt).toBeGreaterThanOrEqual(SETTLE_MS);
            expect(last).toContainEqual({ component, ...due.records[component] });
            expect(records[component]).not.toEqual(due.records[component]);
          }
          if (due.changed.length === 0) expect(due.records).toEqual(records);
          records = due.records;
        }
      }),
    );
  });
});
