import { describe, expect, it } from 'vitest';
import type { Condition } from '../api/meta.ts';
import { newsOf } from './news.ts';

const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
  type,
  status,
  reason,
  message: `${reason}: why`,
  lastTransitionTime: '2026-11-25T12:00:00Z',
});
const stalled = condition('Stalled', 'True', 'WrongSubject');
const ready = condition('Ready', 'True', 'Ready');

describe('what of a status is worth an Event', () => {
  it.each<[string, Condition[] | undefined, Condition[], string[]]>([
    ['a Device that simply became Ready is not', undefined, [ready], []],
    ['a Device that stalls is', [ready], [ready, stalled], ['WrongSubject']],
    ['one that stays stalled for the same reason is not again', [stalled], [stalled], []],
    ['one that stalls for another reason is', [stalled], [condition('Stalled', 'True', 'WeakKey')], ['WeakKey']],
    [
      'a revocation is once the broker shows it',
      [condition('Revoked', 'Unknown', 'Revoking')],
      [condition('Revoked', 'True', 'Revoked')],
      ['Revoked'],
    ],
    ['a revocation under way is not yet', undefined, [condition('Revoked', 'Unknown', 'Revoking')], []],
    ['a quarantine is', [ready], [condition('Quarantined', 'True', 'Quarantined')], ['Quarantined']],
  ])('%s', (_name, before, after, reasons) => {
    expect(newsOf(before, after).map((news) => news.reason)).toEqual(reasons);
  });
});
