import { describe, expect, it } from 'vitest';
import type { Ask } from '../api/gateway-asks.ts';
import { causeOfAsk, causeOfOver, sentence } from './cause.ts';
import type { Over } from './meter.ts';
import { respond, type Situation } from './response.ts';

const OVER: Over = { limit: 'messages', allowed: '10/s', excess: { amount: 1_500, overMs: 29_500 } };
const ASK: Ask = { device: 'thermo-1', uid: 'u', trigger: 'ReplayDetected', count: 31, overMs: 4_200, atMs: 0 };
const situation = (change: Partial<Situation> = {}): Situation => ({
  ...{
    device: 'thermo-1',
    segment: 'sensors',
    cause: causeOfOver(OVER),
    triggers: ['LimitExceeded'],
    lifecycle: 'Active',
    standing: undefined,
  },
  spent: undefined,
  ...change,
});

describe('what follows for a device above a limit', () => {
  it.each<[string, Partial<Situation>, string]>([
    ['it is quarantined where the policy asks for it', {}, 'quarantine'],
    ['nothing without the trigger', { triggers: [] }, 'nothing'],
    ['nothing by the trigger of something else', { triggers: ['AuthorizationDenials'] }, 'nothing'],
    [
      'denials have their own trigger',
      { cause: causeOfOver({ ...OVER, limit: 'denials' }), triggers: ['AuthorizationDenials'] },
      'quarantine',
    ],
    ['and not that of limits', { cause: causeOfOver({ ...OVER, limit: 'denials' }) }, 'nothing'],
    ['who is asked for by a gateway too', { cause: causeOfAsk(ASK), triggers: ['ReplayDetected'] }, 'quarantine'],
    ['not where the policy says so no longer', { cause: causeOfAsk(ASK) }, 'nothing'],
    ['and not beyond the budget', { cause: causeOfAsk(ASK), triggers: ['ReplayDetected'], spent: 'segment' }, 'tell HR-LIM-001'],
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

  it.each<[Ask['trigger'], number, string]>([
    [
      'ReplayDetected',
      31,
      'ReplayDetected: sent 31 messages of a recording within 5 s, says the gateway of the site; spec.quarantine.triggers of SegmentPolicy sensors',
    ],
    [
      'SchemaFlood',
      31,
      'SchemaFlood: sent 31 messages against the schema within 5 s, says the gateway of the site; spec.quarantine.triggers of SegmentPolicy sensors',
    ],
    [
      'SchemaViolated',
      1,
      'SchemaViolated: sent 1 message against the schema within 5 s, says the gateway of the site; spec.payload.onViolation of SegmentPolicy sensors',
    ],
  ])('of an ask for %s the reason says who saw it', (trigger, count, reason) => {
    const cause = causeOfAsk({ ...ASK, trigger, count });
    expect(respond(situation({ cause, triggers: [trigger] }))).toMatchObject({ do: 'quarantine', reason });
  });
});
