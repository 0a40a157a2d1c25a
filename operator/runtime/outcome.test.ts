import { describe, expect, it } from 'vitest';
import { done, type Outcome, strictest } from './outcome.ts';

const requeue = (afterMs: number): Outcome => ({ kind: 'requeue', afterMs, reason: 'R' });
const waiting = (afterMs: number): Outcome => ({ kind: 'waiting', afterMs, reason: 'R', message: 'm' });
const stalled: Outcome = { kind: 'stalled', reason: 'R', message: 'm' };

describe('the strictest of several outcomes', () => {
  it.each<[string, Outcome[], Outcome]>([
    ['is done when there is none', [], done],
    ['is the planned return over nothing to do', [done, requeue(5), done], requeue(5)],
    ['is the earlier of two planned returns', [requeue(9), requeue(5)], requeue(5)],
    ['is a wait over an earlier planned return', [requeue(1), waiting(100)], waiting(100)],
    ['is the earlier of two waits', [waiting(100), waiting(50), waiting(70)], waiting(50)],
    ['is stalled over everything', [waiting(1), stalled, requeue(1)], stalled],
  ])('%s', (_name, outcomes, expected) => {
    expect(strictest(outcomes)).toEqual(expected);
    expect(strictest(outcomes.toReversed())).toEqual(expected);
  });
});
