import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SegmentRights, TextInForce } from '../broker/broker.ts';
import { FakeClock } from '../runtime/clock.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { createLoop, type Loop } from './loop.ts';
import { createProbeMetrics } from './probe-metrics.ts';
import type { Question } from './questions.ts';
import type { Run } from './run.ts';

const rights = (segment: string): SegmentRights => ({ segment, publish: [{ topic: 'dt/{segment}/{device}/#' }], subscribe: [] });
const textOf = (digest: string, segments: Record<string, string> = { 'a.x': '1', 'b.x': '1' }): TextInForce => ({
  digest: digest.padEnd(16, '0'),
  segments: new Map(Object.entries(segments)),
});

let clock: FakeClock;
let text: TextInForce | undefined;
/** What the broker does with a question. */
let answer: (question: Question) => number;
/** Answers instead of it, as long as it is there. */
let instead: Run | undefined;
let during: () => void;
let asked: number[];
let told: string[];
let metrics: ReturnType<typeof createMetrics>;
let loop: Loop;
let stop: AbortController;

const right = ({ expect: wanted }: Question): number => (wanted === 'refused' ? 0x87 : 0);

beforeEach(async () => {
  clock = new FakeClock();
  text = textOf('1');
  answer = right;
  instead = undefined;
  during = () => undefined;
  [asked, told] = [[], []];
  metrics = createMetrics();
  loop = createLoop({
    async ask(questions) {
      asked.push(clock.elapsed());
      during();
      return instead ?? { ended: true, answers: questions.map((question) => ({ question, code: answer(question) })) };
    },
    text: () => text,
    rights: () => [rights('a.x'), rights('b.x')],
    clock,
    log: createLog({ level: 'error', write: () => undefined }),
    metrics,
    measured: createProbeMetrics(metrics.registry),
  });
  loop.onChange((segments) => void told.push([...segments].sort().join(' ')));
  stop = new AbortController();
  void loop.controller.run(stop.signal);
  await clock.advance(0);
});
afterEach(() => stop.abort(new Error('the test is over')));

const stateOf = (segment: string): string => loop.standing(segment).state;
const change = async (to: TextInForce | undefined): Promise<void> => {
  text = to;
  loop.textChanged();
  await clock.advance(0);
};
const metric = async (name: string): Promise<string[]> =>
  (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(name));

describe('a broker that enforces', () => {
  it('is tried once at the start and every five minutes, and told once', async () => {
    await clock.advance(3600_000);
    expect(asked).toHaveLength(13);
    expect(told).toEqual(['a.x b.x']);
    expect([stateOf('a.x'), stateOf('b.x')]).toEqual(['passed', 'passed']);
  });

  it('however often the text changes, it is tried four times a minute at most, and segments that stay are left in peace', async () => {
    const before = asked.length;
    for (let i = 0; i < 600; i++) {
      await change(textOf(String(i), { 'a.x': '1', 'b.x': String(i) }));
      await clock.advance(100);
    }
    expect(asked.length - before).toBeLessThanOrEqual(5);
    expect(told.slice(1).some((names) => names.includes('a.x'))).toBe(false);
  });

  it('answers of a text that changed meanwhile belong to none', async () => {
    await clock.advance(20_000);
    answer = () => 0x87;
    during = () => {
      text = textOf('3');
    };
    await change(textOf('2'));
    [answer, during] = [right, () => undefined];
    expect([stateOf('a.x'), told.length]).toEqual(['passed', 1]);
    await clock.advance(30_000);
    expect(stateOf('a.x')).toBe('passed');
  });
});

describe('a broker that does not', () => {
  const open = (question: Question): number => (question.segment === 'a.x' ? 0 : right(question));

  it('is asked twice before anybody is told, and again every half a minute', async () => {
    answer = open;
    await clock.advance(304_000);
    expect([stateOf('a.x'), asked.length]).toEqual(['passed', 2]);
    await clock.advance(1_000);
    expect([stateOf('a.x'), stateOf('b.x')]).toEqual(['failed', 'passed']);
    expect(told).toEqual(['a.x b.x', 'a.x']);
    expect(asked.length).toBe(3);
    expect(await metric('fleet_probe_failing')).toEqual(['fleet_probe_failing{surface="broker"} 1']);
    await clock.advance(40_000);
    expect(asked.length).toBe(5);
    expect(told).toHaveLength(2);
    answer = right;
    await clock.advance(30_000);
    expect([stateOf('a.x'), told.at(-1)]).toEqual(['passed', 'a.x']);
    expect(await metric('fleet_probe_failing')).toEqual(['fleet_probe_failing{surface="broker"} 0']);
  });

  it('once is not enough: a second connection that finds nothing clears it', async () => {
    let times = 0;
    answer = (question) => (question.topic === '#' && times++ === 0 ? 0 : right(question));
    await clock.advance(310_000);
    expect([stateOf('a.x'), told.length, asked.length]).toEqual(['passed', 1, 3]);
  });

  it('no metric has a name of a device or of a segment as a label', async () => {
    answer = open;
    await clock.advance(305_000);
    expect((await metric('fleet_probe')).join('\n')).not.toMatch(/a[.]x|-probe/);
    expect(await metric('fleet_probe_runs_total{surface="broker",result="failed"}')).toEqual([
      'fleet_probe_runs_total{surface="broker",result="failed"} 1',
    ]);
  });
});

describe('a canary that cannot try', () => {
  const away: Run = { ended: false, problem: { code: 'HR-PRB-012', found: 'ECONNREFUSED' } };

  it('takes nothing back until the last probe is a quarter of an hour old; then nobody knows', async () => {
    instead = away;
    await clock.advance(890_000);
    expect([stateOf('a.x'), told.length]).toEqual(['passed', 1]);
    await clock.advance(60_000);
    expect(loop.standing('a.x')).toMatchObject({
      state: 'unknown',
      reason: 'ProbeIncomplete',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(told).toHaveLength(2);
    instead = undefined;
    await clock.advance(40_000);
    expect(stateOf('a.x')).toBe('passed');
  });

  it('no text in force: nothing is asked, and after two minutes nobody knows', async () => {
    const before = asked.length;
    await change(undefined);
    await clock.advance(100_000);
    expect([stateOf('a.x'), asked.length - before]).toEqual(['pending', 0]);
    await clock.advance(30_000);
    expect(stateOf('a.x')).toBe('unknown');
  });

  it('what could not be asked after something was found is not said to have passed', async () => {
    await change(textOf('2', { 'a.x': '2', 'b.x': '2' }));
    const open: Question = { ask: 'subscribe', topic: 'dt/a.x/#', expect: 'refused', segment: 'a.x' };
    instead = { ended: true, answers: [{ question: open, code: 0 }] };
    await clock.advance(60_000);
    expect([stateOf('a.x'), stateOf('b.x')]).toEqual(['failed', 'pending']);
  });
});
