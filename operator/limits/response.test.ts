import { describe, expect, it } from 'vitest';
import type { Over } from './meter.ts';
import { respond, type Situation, sentence } from './response.ts';

const OVER: Over = { limit: 'messages', allowed: '10/s', excess: { amount: 1_500, overMs: 29_500 } };
const situation = (change: Partial<Situation> = {}): Situation => ({
  ...{ device: 'thermo-1', segment: 'sensors', over: OVER, triggers: ['LimitExceeded'], lifecycle: 'Active', standing: undefined },
  spent: undefined,
  ...change,
});

describe('what follows for a device above a limit', () => {
  it.each<[string, Partial<Situation>, string]>([
    ['it is quarantined where the policy asks for it', {}, 'quarantine'],
    ['nothing without the trigger', { triggers: [] }, 'nothing'],
    ['nothing by the trigger of something else', { triggers: ['AuthorizationDenials'] }, 'nothing'],
    ['denials have their own trigger', { over: { ...OVER, limit: 'denials' }, triggers: ['AuthorizationDenials'] }, 'quarantine'],
    ['and not that of limits', { over: { ...OVER, limit: 'denials' } }, 'nothing'],
    ['nothing more for one that is shut already, by whomever', { lifecycle: 'Quarantined', spent: 'fleet' }, 'nothing'],
    ['nothing more for one that is revoked', { lifecycle: 'Revoked', standing: 'another' }, 'nothing'],
    ['nothing while ours stands and is not shown by the Device yet', { standing: 'ours', spent: 'segment' }, 'nothing'],
    ['a name that is taken is told', { standing: 'another' }, 'tell HR-LIM-002'],
    ['a budget that is spent is told', { spent: 'fleet' }, 'tell HR-LIM-001'],
  ])('%s', (_name, change, expected) => {
    const response = respond(situation(change));
    expect(response.do === 'tell' ? `tell ${response.code}` : response.do).toBe(expected);
  });

  it('the reason holds the trigger, the evidence and the policy', () => {
    expect(respond(situation())).toEqual({
      ...{ do: 'quarantine', name: 'thermo-1-limit-exceeded' },
      reason:
        'LimitExceeded: sent at least 1500 messages within 30 s, limits.messages is 10/s; spec.quarantine.triggers of SegmentPolicy sensors',
    });
  });

  it.each<[Over['limit'], string]>([
    ['bytes', 'sent at least 1500 bytes within 30 s, limits.bytes is 10/s'],
    ['connectRate', 'connected at least 1500 times within 30 s, limits.connectRate is 10/s'],
    ['denials', 'was denied a topic at least 1500 times within 30 s, 10/s are borne'],
  ])('of %s: %s', (limit, expected) => expect(sentence({ ...OVER, limit })).toBe(expected));
});
