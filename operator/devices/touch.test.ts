import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Sight, TouchLog, type TouchMemory } from './touch.ts';
import { memoryOf, PAGES, pagesOf } from './touch-pages.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.parse('2026-11-25T12:00:00Z');
const NAME = 'thermo-1.berlin';
const BUDGET = 72 * HOUR;

const there: ReadonlyMap<string, Sight> = new Map([[NAME, { connected: true, goneAtMs: undefined }]]);
const nowhere: ReadonlyMap<string, Sight> = new Map();
const went = (goneAtMs: number): ReadonlyMap<string, Sight> => new Map([[NAME, { connected: false, goneAtMs }]]);
const watched = (saysOut = false, budgetMs = BUDGET) => [{ name: NAME, budgetMs, saysOut }];

/** Looks every four minutes from one moment to the other. */
function lookThrough(log: TouchLog, fromMs: number, toMs: number, clients = nowhere): void {
  for (let at = fromMs; at <= toMs; at += 4 * MINUTE) log.look(at, clients, watched());
}

describe('a device with an offlineBudget', () => {
  it('is unknown until somebody has looked', () => expect(new TouchLog(undefined).touch(NAME)).toBe('unknown'));

  it('that was there is out of touch when its time has passed and not before', () => {
    const log = new TouchLog(undefined);
    log.look(START, there, watched());
    lookThrough(log, START + MINUTE, START + MINUTE + BUDGET);
    expect(log.touch(NAME)).toBe('absent');
    expect(log.look(START + 2 * MINUTE + BUDGET, nowhere, watched())).toEqual([NAME]);
    expect(log.touch(NAME)).toBe('out');
    expect(log.lastSeenMs(NAME)).toBe(START + MINUTE);
  });

  it('is told of once each way', () => {
    const log = new TouchLog({ watchedUntilMs: START, away: new Map([[NAME, START - BUDGET - MINUTE]]) });
    expect(log.look(START + MINUTE, nowhere, watched(false))).toEqual([NAME]);
    expect(log.look(START + 2 * MINUTE, nowhere, watched(true))).toEqual([]);
    expect(log.look(START + 3 * MINUTE, there, watched(true))).toEqual([NAME]);
    expect(log.look(START + 4 * MINUTE, there, watched(false))).toEqual([]);
  });

  it('that never came counts from the first look after it had its certificate', () => {
    const log = new TouchLog(undefined);
    log.look(START - HOUR, nowhere, []);
    lookThrough(log, START, START + BUDGET);
    expect(log.lastSeenMs(NAME)).toBe(START);
    log.look(START + BUDGET + MINUTE, nowhere, watched());
    expect(log.touch(NAME)).toBe('out');
  });

  it('whose session lasts went when the broker says so, at the latest now', () => {
    const log = new TouchLog(undefined);
    log.look(START, nowhere, watched());
    log.look(START + 4 * MINUTE, went(START + 3 * MINUTE), watched());
    expect(log.lastSeenMs(NAME)).toBe(START + 3 * MINUTE);
    log.look(START + 8 * MINUTE, went(START + HOUR), watched());
    expect(log.lastSeenMs(NAME)).toBe(START + 8 * MINUTE);
  });

  it('is not blamed for a time in which nobody looked: a short one does not count, after a long one it has all of its time again', () => {
    const away = new Map([[NAME, START - 10 * HOUR]]);
    const short = new TouchLog({ watchedUntilMs: START, away });
    short.look(START + 2 * HOUR, nowhere, watched());
    expect(short.lastSeenMs(NAME)).toBe(START - 8 * HOUR);
    const long = new TouchLog({ watchedUntilMs: START, away });
    long.look(START + 19 * HOUR, nowhere, watched());
    expect(long.lastSeenMs(NAME)).toBe(START + 19 * HOUR);
  });

  it('is forgotten with its budget or its Device', () => {
    const log = new TouchLog(undefined);
    log.look(START, nowhere, watched());
    log.look(START + MINUTE, nowhere, []);
    expect([log.touch(NAME), log.memory()?.away.size]).toEqual(['unknown', 0]);
  });
});

describe('whatever looks, pauses and restarts come', () => {
  const step = fc.record({
    afterMs: fc.oneof(fc.integer({ min: 15_000, max: 5 * MINUTE }), fc.integer({ min: 15_000, max: 60 * HOUR })),
    there: fc.boolean(),
    restart: fc.boolean(),
  });

  it('out of touch is who was at no look of its whole budget, and looks there were', () =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 10 * MINUTE, max: 100 * HOUR }), (steps, budgetMs) => {
        let log = new TouchLog(undefined);
        let at = START;
        /** Observed absence: the sum of the pauses in which somebody looked, since it was there or since a pause that was too long. */
        let absence = 0;
        let present = true;
        for (const one of steps) {
          at += one.afterMs;
          if (one.restart) log = restarted(log, at);
          log.look(at, one.there ? there : nowhere, watched(false, budgetMs));
          absence = one.there || present ? 0 : one.afterMs <= 5 * MINUTE ? absence + one.afterMs : one.afterMs > budgetMs / 4 ? 0 : absence;
          present = one.there;
          if (log.touch(NAME) === 'out') expect(absence).toBeGreaterThan(budgetMs - 1);
          if (one.there) expect(log.touch(NAME)).toBe('seen');
        }
      }),
    ));

  it('and a memory that was written and read again makes nobody out of touch sooner, nor later than by a minute', () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 * HOUR }), fc.integer({ min: 0, max: 5 * MINUTE }), (awayMs, pauseMs) => {
        const memory = { watchedUntilMs: START, away: new Map([[NAME, START - awayMs]]) };
        const [kept, lost] = [new TouchLog(memory), restarted(new TouchLog(memory), START)];
        for (const log of [kept, lost]) log.look(START + pauseMs, nowhere, watched());
        const late = (lost.lastSeenMs(NAME) ?? 0) - (kept.lastSeenMs(NAME) ?? 0);
        expect(late).toBeGreaterThanOrEqual(0);
        expect(late).toBeLessThan(MINUTE);
      }),
    ));

  function restarted(log: TouchLog, nowMs: number): TouchLog {
    const memory = log.memory();
    return memory === undefined ? new TouchLog(undefined) : new TouchLog(memoryOf(pagesOf(memory), nowMs));
  }
});

describe('the pages of the memory', () => {
  const memory = fc.record({
    watchedUntilMs: fc.integer({ min: START, max: START + 1_000 * HOUR }),
    away: fc
      .uniqueArray(fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/), { maxLength: 40 })
      .chain((names) =>
        fc
          .array(fc.integer({ min: START - 1_000 * HOUR, max: START }), { minLength: names.length, maxLength: names.length })
          .map((times) => new Map(names.map((name, at) => [`${name}.berlin`, times[at] ?? START]))),
      ),
  });

  it('give back what was put in, to the minute', () =>
    fc.assert(
      fc.property(memory, (given: TouchMemory) => {
        const back = memoryOf(pagesOf(given), given.watchedUntilMs + HOUR);
        expect(back?.watchedUntilMs).toBe(given.watchedUntilMs);
        expect([...(back?.away.keys() ?? [])].sort()).toEqual([...given.away.keys()].sort());
        for (const [name, lastMs] of given.away) {
          const late = (back?.away.get(name) ?? Number.NaN) - lastMs;
          expect(late >= 0 && late < MINUTE).toBe(true);
        }
      }),
    ));

  it('keep how long somebody was away when the clock was set back meanwhile', () => {
    const pages = pagesOf({ watchedUntilMs: START, away: new Map([[NAME, START - 10 * HOUR]]) });
    expect(memoryOf(pages, START - 24 * HOUR)).toEqual({ watchedUntilMs: START - 24 * HOUR, away: new Map([[NAME, START - 34 * HOUR]]) });
  });

  it('may hold anything: what does not read is left out', () =>
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.dictionary(fc.constantFrom('away', 'watchedUntil', 'x'), fc.string()), { nil: undefined })),
        (pages) => {
          const read = memoryOf(pages, START);
          for (const [name, lastMs] of read?.away ?? []) expect([name.includes('.'), Number.isFinite(lastMs)]).toEqual([true, true]);
        },
      ),
    ));

  it('without a page that says until when somebody looked are no memory; a line that is damaged costs its own devices only', () => {
    expect(memoryOf([], START)).toBeUndefined();
    const watchedUntil = new Date(START).toISOString();
    const away = `2026-11-25T08:00Z a.berlin b.berlin\n2026-11-25T09:00Z ../etc c.berlin\nyesterday d.berlin`;
    expect([...(memoryOf([{ watchedUntil, away }], START)?.away.keys() ?? [])]).toEqual(['a.berlin', 'b.berlin']);
  });

  it('hold 200,000 devices within what an object may hold', () => {
    const away = new Map(Array.from({ length: 200_000 }, (_, at) => [`thermometer-${at}.berlin-north`, START - (at % 5_000) * MINUTE]));
    const pages = pagesOf({ watchedUntilMs: START, away });
    expect(pages).toHaveLength(PAGES);
    for (const page of pages) expect(JSON.stringify(page).length).toBeLessThan(1024 * 1024);
    expect(memoryOf(pages, START)?.away.size).toBe(200_000);
  }, 60_000);
});
