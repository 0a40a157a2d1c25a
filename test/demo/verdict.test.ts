import { describe, expect, it } from 'vitest';
import { createPaint } from './paint.ts';
import { checkLines, exitCodeOf, held, type Outcome, summaryLines } from './verdict.ts';

const paint = createPaint(false);
const good: Outcome = { number: 1, proof: 'a stranger is refused', checks: [{ claim: 'TLS', held: true, seen: 'alert' }], figure: 'alert' };
const bad: Outcome = { number: 2, proof: 'nothing is heard', checks: [{ claim: 'SUBACK', held: false, seen: 'granted' }] };

describe('the exit code', () => {
  it.each([
    ['all scenes held', [good], 1, 0],
    ['one did not', [good, bad], 2, 1],
    ['a scene was not played', [good], 2, 1],
    ['nothing was played', [], 0, 1],
    ['a scene checked nothing', [{ ...good, checks: [] }], 1, 1],
    ['a scene cannot be played here', [good, { ...bad, checks: [], leftOut: 'no Job runs' }], 2, 0],
    ['no scene can be played here', [{ ...good, checks: [], leftOut: 'no Job runs' }], 1, 1],
    ['a scene broke off after its checks', [{ ...good, broken: 'waited 30 s' }], 1, 1],
  ] as const)('%s', (_name, outcomes, scenes, code) => expect(exitCodeOf(outcomes as readonly Outcome[], scenes)).toBe(code));
});

it('one claim that did not hold is enough', () => {
  expect(held({ ...good, checks: [...good.checks, ...bad.checks] })).toBe(false);
});

describe('the summary', () => {
  it('shows the figure of what held and the claim of what did not', () => {
    const text = summaryLines([good, bad], 2, paint, 100).join('\n');
    expect(text).toMatch(/held {5}1 {2}a stranger is refused {2}alert/);
    expect(text).toMatch(/FAILED {3}2 {2}nothing is heard\s+SUBACK: granted/);
    expect(text).toContain('1 of 2 held');
  });

  it('says how many were not played', () => {
    expect(summaryLines([good], 9, paint, 100).at(-1)).toBe('1 of 9 held, 8 not played');
  });

  it('says of what cannot be played here why, and counts it as nothing', () => {
    const lines = summaryLines([good, { ...bad, checks: [], leftOut: 'no Job runs' }], 2, paint, 100);
    expect(lines[1]).toMatch(/skip {5}2 {2}nothing is heard\s+no Job runs/);
    expect(lines.at(-1)).toBe('1 of 2 held, 1 cannot be played here');
  });

  it('a broken scene says why', () => {
    expect(summaryLines([{ ...good, broken: 'waited 30 s for the ban' }], 1, paint, 100)[0]).toContain('waited 30 s for the ban');
  });

  it('keeps to a narrow terminal', () => {
    for (const line of summaryLines([good, bad], 2, paint, 40)) expect(line.length).toBeLessThanOrEqual(40);
    for (const line of checkLines({ claim: 'a long claim about many things', held: true, seen: 'x'.repeat(90) }, paint, 40))
      expect(line.length).toBeLessThanOrEqual(40);
  });
});
