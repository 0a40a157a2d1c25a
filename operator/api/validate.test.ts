import { describe, expect, it } from 'vitest';
import { deviceKind } from './device.ts';
import { interventionKind } from './intervention.ts';
import { segmentPolicyKind } from './segment-policy.ts';
import { specProblems } from './validate.ts';

describe('specProblems', () => {
  it('says nothing of a spec that fits, and fills in its defaults', () => {
    const spec = { segment: 'office-sensors' };
    expect(specProblems(deviceKind, spec)).toEqual([]);
    expect(spec).toMatchObject({ lifecycle: 'Active', identity: { enrollment: 'CSR', duration: '720h' } });
  });

  it.each([
    ['what is missing', {}, "spec: must have required property 'segment'"],
    ['a field that is none, by its path', { segment: 's', identity: { crs: 'x' } }, 'spec.identity.crs is no field of this kind'],
    [
      'the cure of a pattern instead of the pattern',
      { segment: 's', identity: { duration: '30d' } },
      /^spec\.identity\.duration: a duration is written in hours/,
    ],
    ['the place in a list', { segment: 's', grants: [{}] }, "spec.grants[0]: must have required property 'action'"],
  ])('names %s', (_what, spec, problem) => {
    const found = specProblems(deviceKind, spec).map((text) => text.replace('HR-API-007: ', ''));
    expect(found).toContainEqual(typeof problem === 'string' ? problem : expect.stringMatching(problem));
  });

  it('tells all of it at once', () => {
    expect(specProblems(segmentPolicyKind, { trust: 9, mode: 'Maybe', topics: { publish: [{ topic: '#' }] } })).toHaveLength(3);
  });

  it.each([
    ['2026-12-01T00:00:00Z', true],
    ['2026-12-01T00:00:00.123+01:00', true],
    ['2026-12-01T00:00:00', false],
    ['2026-12-01', false],
    ['2026-02-30T00:00:00Z', false],
    ['2026-12-01T24:00:00Z', false],
    ['tomorrow', false],
  ])('%s is a time: %s', (expires, good) => {
    const spec = { target: { kind: 'Device', name: 'd' }, action: 'Quarantine', requestedBy: 'a', reason: 'r', expires };
    expect(specProblems(interventionKind, spec)).toHaveLength(good ? 0 : 1);
  });
});
