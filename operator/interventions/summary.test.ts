import { describe, expect, it } from 'vitest';
import type { Condition } from '../api/meta.ts';
import { type DeviceSight, type Sight, summarise } from './summary.ts';
import type { InterventionView } from './view.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const view: InterventionView = {
  key: 'berlin/thermo-17-x',
  uid: 'u1',
  resourceVersion: '1',
  namespace: 'berlin',
  name: 'thermo-17-x',
  generation: 1,
  target: { kind: 'Device', name: 'thermo-17' },
  action: 'Revoke',
  requestedBy: 'alice',
  reason: 'stolen',
  createdAt: '2026-11-24T11:59:00Z',
  expires: undefined,
  compromised: false,
  approve: undefined,
  status: undefined,
};
const condition = (type: string, status: Condition['status'], message = ''): Condition => ({
  type,
  status,
  reason: type,
  message,
  lastTransitionTime: '2026-11-24T11:59:30Z',
});
const sight = (...conditions: Condition[]): DeviceSight => ({ conditions, revocationSteps: [] });
const seen = (device: DeviceSight | undefined): Sight => (device === undefined ? undefined : { kind: 'Device', device });
const applied = (next: InterventionView, device: DeviceSight | undefined) => {
  const found = summarise(next, seen(device), NOW).conditions?.find(({ type }) => type === 'Applied');
  return [found?.status, found?.reason];
};

describe('whether an Intervention is applied', () => {
  it.each<[string, Partial<InterventionView>, DeviceSight | undefined, [string, string]]>([
    [
      'a Revoke is applied when the Device shows that ledger and broker hold it',
      {},
      sight(condition('Revoked', 'True')),
      ['True', 'Revoked'],
    ],
    ['a Revoke that the broker has not confirmed is under way', {}, sight(condition('Revoked', 'Unknown')), ['False', 'InProgress']],
    ['a Revoke of a Device that says nothing yet is under way', {}, sight(), ['False', 'InProgress']],
    ['a target that does not exist is named', {}, undefined, ['False', 'TargetNotFound']],
    [
      'a Quarantine is applied when the Device shows it',
      { action: 'Quarantine' },
      sight(condition('Quarantined', 'True')),
      ['True', 'Quarantined'],
    ],
    [
      'a Quarantine of a revoked Device is applied: revoked is stricter',
      { action: 'Quarantine' },
      sight(condition('Revoked', 'True')),
      ['True', 'Revoked'],
    ],
    ['a quarantined Device does not make a Revoke applied', {}, sight(condition('Quarantined', 'True')), ['False', 'InProgress']],
    [
      'a Quarantine past its end is expired',
      { action: 'Quarantine', expires: '2026-11-24T11:59:59Z' },
      sight(condition('Quarantined', 'True')),
      ['False', 'Expired'],
    ],
    ['a Revoke past its end still holds', { expires: '2026-11-24T11:59:59Z' }, sight(condition('Revoked', 'True')), ['True', 'Revoked']],
    ['so is a target that is no Device', { target: { kind: 'SegmentPolicy', name: 'office' } }, sight(), ['False', 'NotSupportedYet']],
  ])('%s', (_name, change, device, expected) => {
    expect(applied({ ...view, ...change }, device)).toEqual(expected);
  });

  const asked = '2026-11-24T11:59:00Z';
  const rotate = { action: 'Rotate', createdAt: asked };
  const shows = (rotation: DeviceSight['rotation']): DeviceSight => ({ ...sight(), rotation });
  const step = (name: string) => ({ step: name, at: '2026-11-24T11:59:30Z' });

  it.each<[string, Partial<InterventionView>, DeviceSight | undefined, [string, string]]>([
    ['a Rotate is under way while the Device does not know of it', rotate, sight(), ['False', 'InProgress']],
    ['a Rotate is under way without a new certificate', rotate, shows({ requestedAt: asked }), ['False', 'InProgress']],
    [
      'a Rotate is applied with the new certificate',
      rotate,
      shows({ requestedAt: asked, steps: [step('Certificate')] }),
      ['True', 'Rotated'],
    ],
    [
      'not by a certificate that came after an older one only',
      rotate,
      shows({ requestedAt: '2026-11-24T11:58:00Z', steps: [step('Certificate')] }),
      ['False', 'InProgress'],
    ],
    [
      'also by one that came after a newer one',
      rotate,
      shows({ requestedAt: '2026-11-24T11:59:59Z', steps: [step('Certificate')] }),
      ['True', 'Rotated'],
    ],
    [
      'a key is not given up while the broker has not confirmed it',
      { ...rotate, compromised: true },
      shows({ requestedAt: asked, compromisedAt: asked, steps: [step('Ledger')] }),
      ['False', 'InProgress'],
    ],
    [
      'a key is given up when ledger and broker show it, whether or not there is a new one',
      { ...rotate, compromised: true },
      shows({ requestedAt: asked, compromisedAt: asked, steps: [step('Ledger'), step('Broker')] }),
      ['True', 'KeyGivenUp'],
    ],
    [
      'not by an older one that gave up older keys',
      { ...rotate, compromised: true },
      shows({ requestedAt: asked, compromisedAt: '2026-11-24T11:58:00Z', steps: [step('Ledger'), step('Broker')] }),
      ['False', 'InProgress'],
    ],
    ['a Rotate of a Device that does not exist names it', rotate, undefined, ['False', 'TargetNotFound']],
  ])('%s', (_name, change, device, expected) => {
    expect(applied({ ...view, ...change }, device)).toEqual(expected);
  });

  it('the steps of a Rotate are those of the Device that are about it', () => {
    const device = shows({ requestedAt: asked, compromisedAt: asked, steps: [step('Ledger'), step('Broker'), step('Certificate')] });
    const steps = (change: Partial<InterventionView>) =>
      summarise({ ...view, ...rotate, ...change }, seen(device), NOW).steps?.map((one) => one.step);
    expect(steps({ compromised: true })).toEqual(['Ledger', 'Broker', 'Certificate', 'Applied']);
    expect(steps({ compromised: false })).toEqual(['Certificate', 'Applied']);
  });

  it('the steps are those that the Device shows, with their times, and when the whole was seen applied', () => {
    const device: DeviceSight = {
      conditions: [condition('Revoked', 'True')],
      revocationSteps: [
        { step: 'Ledger', at: '2026-11-24T11:59:10Z' },
        { step: 'Broker', at: '2026-11-24T11:59:11Z' },
      ],
    };
    expect(summarise(view, seen(device), NOW).steps).toEqual([
      ...device.revocationSteps,
      { step: 'Applied', at: '2026-11-24T12:00:00.000Z' },
    ]);
  });

  it('a step keeps the time at which it was first seen, also when the Device is gone', () => {
    const first = summarise(view, seen(sight(condition('Revoked', 'True'))), NOW);
    const later = summarise({ ...view, status: first }, undefined, NOW + 60_000);
    expect(later.steps).toEqual(first.steps);
    expect(later.conditions?.find(({ type }) => type === 'Applied')?.reason).toBe('TargetNotFound');
  });

  it('nothing changes in the status while nothing changes in the world', () => {
    const device = sight(condition('Revoked', 'True'));
    const first = summarise(view, seen(device), NOW);
    expect(summarise({ ...view, status: first }, seen(device), NOW + 5_000)).toEqual(first);
  });
});
