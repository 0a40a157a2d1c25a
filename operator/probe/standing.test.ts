import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TextInForce } from '../broker/broker.ts';
import type { Problem } from './errors.ts';
import { CHANGED_MS, dueInMs, FRESH_MS, type ProbeState, START_MS, standingOf, type Tried } from './standing.ts';

const text = (digest: string, segments: Record<string, string> = { 'a.x': '1', 'b.x': '1' }): TextInForce => ({
  digest,
  segments: new Map(Object.entries(segments)),
});
const OPEN: Problem = { code: 'HR-PRB-001', found: 'open' };
const NONE = { shared: [], bySegment: new Map<string, Problem>() };
const tried = (atMs: number, over: Partial<Tried> = {}): Tried => ({ atMs, text: text('one'), findings: NONE, ...over });
const state = (over: Partial<ProbeState> = {}): ProbeState => ({
  ...{ startedAtMs: 0, tried: undefined, stopped: undefined, changedAtMs: undefined },
  ...over,
});
const stopped = (atMs: number) => ({ atMs, problem: { code: 'HR-PRB-012', found: 'ECONNREFUSED' } as const });
const LATER = 10 * 60_000;

describe('what is said of a segment', () => {
  it.each<[string, ProbeState, TextInForce | undefined, number, string]>([
    ['nothing was tried yet: what stands holds', state(), text('one'), 1000, 'pending'],
    [
      'the broker is away when the operator starts: what stands holds for a while',
      state({ stopped: stopped(1000) }),
      undefined,
      START_MS - 1,
      'pending',
    ],
    ['and then nobody knows', state({ stopped: stopped(1000) }), undefined, START_MS, 'unknown ProbeIncomplete'],
    ['nothing was even started for long', state(), undefined, START_MS, 'unknown ProbeStale'],
    ['tried and as it should be', state({ tried: tried(1000) }), text('one'), 2000, 'passed Probed'],
    ['until it is too long ago', state({ tried: tried(1000) }), text('one'), 1000 + FRESH_MS - 1, 'passed Probed'],
    ['then nobody knows', state({ tried: tried(1000) }), text('one'), 1000 + FRESH_MS, 'unknown ProbeStale'],
    [
      'a canary that cannot connect takes nothing back while the last is fresh',
      state({ tried: tried(1000), stopped: stopped(2000) }),
      text('one'),
      3000,
      'passed Probed',
    ],
    [
      'and is the reason when it is not',
      state({ tried: tried(0), stopped: stopped(2000) }),
      text('one'),
      FRESH_MS,
      'unknown ProbeIncomplete',
    ],
    [
      'something is open for all',
      state({ tried: tried(1000, { findings: { ...NONE, shared: [OPEN] } }) }),
      text('one'),
      2000,
      'failed ProbeFailed',
    ],
    [
      'open for this one',
      state({ tried: tried(1000, { findings: { ...NONE, bySegment: new Map([['a.x', OPEN]]) } }) }),
      text('one'),
      2000,
      'failed ProbeFailed',
    ],
    [
      'open for another',
      state({ tried: tried(1000, { findings: { ...NONE, bySegment: new Map([['b.x', OPEN]]) } }) }),
      text('one'),
      2000,
      'passed Probed',
    ],
    [
      'what was open stays said when the text changes',
      state({ tried: tried(1000, { findings: { ...NONE, shared: [OPEN] } }), changedAtMs: 1500 }),
      text('two'),
      2000,
      'failed ProbeFailed',
    ],
    [
      'another policy has changed: this one is as it was tried',
      state({ tried: tried(LATER), changedAtMs: LATER }),
      text('two', { 'a.x': '1', 'b.x': '2' }),
      LATER + 1,
      'passed Probed',
    ],
    [
      'this policy has changed: what stands holds if it was said of this generation',
      state({ tried: tried(LATER), changedAtMs: LATER }),
      text('two', { 'a.x': '2' }),
      LATER + 1,
      'pending',
    ],
    [
      'and a text that nobody could try counts no more',
      state({ tried: tried(LATER), changedAtMs: LATER }),
      text('two'),
      LATER + CHANGED_MS,
      'unknown ProbeStale',
    ],
    [
      'its rights are not in the text',
      state({ tried: tried(LATER), changedAtMs: LATER }),
      text('two', { 'b.x': '1' }),
      LATER + 1,
      'pending',
    ],
    ['no text is in force for a moment', state({ tried: tried(LATER), changedAtMs: LATER }), undefined, LATER + 1, 'pending'],
    ['no text is in force', state({ tried: tried(LATER), changedAtMs: LATER }), undefined, LATER + CHANGED_MS, 'unknown ProbeStale'],
  ])('%s', (_what, now, inForce, nowMs, expected) => {
    const standing = standingOf('a.x', now, inForce, nowMs);
    expect(standing.state === 'pending' ? 'pending' : `${standing.state} ${standing.reason}`).toBe(expected);
  });

  it('never passes without a probe of these very rights that is fresh and found nothing', () => {
    const moment = fc.integer({ min: 0, max: 4 * FRESH_MS });
    const rights = fc.constantFrom('1', '2');
    fc.assert(
      fc.property(
        fc.record({
          atMs: moment,
          nowMs: moment,
          changed: fc.option(moment, { nil: undefined }),
          was: rights,
          is: rights,
          open: fc.boolean(),
        }),
        ({ atMs, nowMs, changed, was, is, open }) => {
          const findings = open ? { ...NONE, shared: [OPEN] } : NONE;
          const one = state({ tried: tried(atMs, { text: text('one', { 'a.x': was }), findings }), changedAtMs: changed });
          if (standingOf('a.x', one, text('two', { 'a.x': is }), nowMs).state !== 'passed') return;
          expect([open, was === is, nowMs - atMs < FRESH_MS]).toEqual([false, true, true]);
        },
      ),
    );
  });

  it('says the same words at every moment at which it says the same', () => {
    const words = [1000, 60_000, 240_000].map((nowMs) => standingOf('a.x', state({ tried: tried(500) }), text('one'), nowMs));
    expect(new Set(words.map((one) => JSON.stringify(one))).size).toBe(1);
  });
});

describe('when the next probe is due', () => {
  const found = { findings: { ...NONE, shared: [OPEN] } };
  it.each<[string, ProbeState, string, number, number]>([
    ['never tried: now', state(), 'one', 5, 0],
    ['passed: five minutes after it', state({ tried: tried(1000) }), 'one', 2000, 299_000],
    ['passed five minutes ago: now', state({ tried: tried(0) }), 'one', 300_000, 0],
    ['another text: a quarter of a minute after the last', state({ tried: tried(1000) }), 'two', 2000, 14_000],
    ['another text long after the last: now', state({ tried: tried(1000) }), 'two', 20_000, 0],
    ['something was open: half a minute after it', state({ tried: tried(1000, found) }), 'one', 1000, 30_000],
    [
      'it came to no end: half a minute after it, whatever the text',
      state({ tried: tried(0), stopped: stopped(1000) }),
      'two',
      1000,
      30_000,
    ],
  ])('%s', (_what, now, digest, nowMs, expected) => expect(dueInMs(now, text(digest), nowMs)).toBe(expected));
});
