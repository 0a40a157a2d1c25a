import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { isInStep } from '../firmware/firmware.ts';
import { decide, type Situation } from './decide.ts';
import { paceOf } from './decide-pace.ts';
import { wavesWanted } from './decide-waves.ts';
import { counted, deviceOf, fleetOf, MANIFEST, NOBODY, NOW, situationOf, specOf, started, stepsOf, UID } from './testing/rollout.ts';
import type { WaveView } from './view.ts';

const WAVES = [{ name: 'canary', size: '10' }, { name: 'broad' }];
const MINUTE_MS = 60_000;

/** The canary at both sites, with what its drivers counted. */
function afterCanary(spec: FirmwareReleaseSpec, counts: object, more: Partial<Situation> = {}, done = true): Situation {
  const devices = fleetOf(100);
  const canary = started(situationOf(spec, devices)).map((wave) => counted(wave, counts, { done }));
  return situationOf(spec, devices, { steps: stepsOf(canary), ...more });
}

const GATES = { gates: { error: { ratio: '2%', minSample: 5, confidence: '95%' } } };
const OPEN = { openApprovers: 'alice may approve requests to Issuer/hedgerow-system/directives' };
const approval = { wave: 'broad', digest: MANIFEST, generation: 1, by: 'bob' };

describe('what a release does next', () => {
  it.each<[says: string, situation: Situation, expected: object]>([
    ['it starts with the first wave', situationOf(specOf(WAVES), fleetOf(100)), { do: 'Start', step: 0 }],
    ['not before it is verified', situationOf(specOf(WAVES), fleetOf(100), { manifestDigest: undefined }), { do: 'Verify' }],
    ['it has nothing to start where no device takes it', situationOf(specOf(WAVES), []), { do: 'Complete' }],
    [
      'another release in the way is waited for',
      situationOf(specOf(WAVES), fleetOf(9), { inTheWay: () => ({ what: 'hq/other', why: 'Queued' }) }),
      { do: 'Wait', reason: 'hq/other', why: 'Queued' },
    ],
    [
      'one that has begun is not held up by another any more',
      afterCanary(specOf(WAVES), { confirmed: 5 }, { inTheWay: () => ({ what: 'hq/other', why: 'Queued' }) }),
      { do: 'Start', step: 1 },
    ],
    [
      'nothing begins while somebody else may approve for drivers',
      situationOf(specOf(WAVES), fleetOf(100), OPEN),
      { do: 'Hold', why: 'ApproverOpen', reason: OPEN.openApprovers },
    ],
    [
      'a wave at work is not carried on then',
      afterCanary(specOf(WAVES), { inFlight: 5 }, OPEN, false),
      { do: 'Hold', why: 'ApproverOpen' },
    ],
    ['nor does the next wave follow', afterCanary(specOf(WAVES), { confirmed: 5 }, OPEN), { do: 'Hold', why: 'ApproverOpen' }],
    [
      'an Abort turns it round all the same',
      afterCanary(specOf(WAVES), { inFlight: 5 }, { ...OPEN, asked: { ...NOBODY, abortedBy: 'bob' } }, false),
      { do: 'Revert', which: 'RevertUnconfirmed' },
    ],
    ['a wave at work is carried on', afterCanary(specOf(WAVES), { inFlight: 5 }, {}, false), { do: 'Offer' }],
    ['the next wave follows when the first has ended', afterCanary(specOf(WAVES), { confirmed: 5 }), { do: 'Start', step: 1 }],
    [
      'not before its soak is over',
      afterCanary(specOf([{ ...WAVES[0], name: 'canary', soak: '10m' }, { name: 'broad' }]), { confirmed: 5 }),
      { do: 'Soak', until: NOW + 10 * MINUTE_MS },
    ],
    [
      'and not without the approval that it asks for',
      afterCanary(
        specOf([
          { name: 'canary', size: '10' },
          { name: 'broad', approval: 'Required' },
        ]),
        { confirmed: 5 },
      ),
      { do: 'Hold', why: 'Approval' },
    ],
    [
      'of somebody else than its author',
      afterCanary(
        specOf([
          { name: 'canary', size: '10' },
          { name: 'broad', approval: 'Required' },
        ]),
        { confirmed: 5 },
        {
          asked: { ...NOBODY, approvals: [{ ...approval, by: 'ci' }] },
        },
      ),
      { do: 'Hold', why: 'Approval' },
    ],
    [
      'nor where it has no author at all',
      afterCanary(
        specOf(
          [
            { name: 'canary', size: '10' },
            { name: 'broad', approval: 'Required' },
          ],
          { author: undefined } as object,
        ),
        { confirmed: 5 },
        {
          asked: { ...NOBODY, approvals: [approval] },
        },
      ),
      { do: 'Hold', why: 'Approval' },
    ],
    [
      'with it, it goes on',
      afterCanary(
        specOf([
          { name: 'canary', size: '10' },
          { name: 'broad', approval: 'Required' },
        ]),
        { confirmed: 5 },
        {
          asked: { ...NOBODY, approvals: [approval] },
        },
      ),
      { do: 'Start', step: 1 },
    ],
    [
      'a Pause holds it',
      afterCanary(specOf(WAVES), { inFlight: 5 }, { asked: { ...NOBODY, pausedBy: 'bob' } }, false),
      { do: 'Hold', why: 'Paused' },
    ],
    [
      'a gate that fails turns it round, and names the wave',
      afterCanary(specOf(WAVES, {}, GATES), { failed: 5 }),
      { do: 'Revert', which: 'RevertUnconfirmed', wave: 'canary' },
    ],
    [
      'an Abort turns it round',
      afterCanary(specOf(WAVES), { inFlight: 5 }, { asked: { ...NOBODY, abortedBy: 'bob' } }, false),
      { do: 'Revert', which: 'RevertUnconfirmed' },
    ],
    [
      'a Rollback brings all back',
      afterCanary(specOf(WAVES), { confirmed: 5 }, { asked: { ...NOBODY, rolledBackBy: 'bob' } }),
      { do: 'Revert', which: 'RevertAll' },
    ],
    [
      'where there is a way back',
      afterCanary(specOf(WAVES), { confirmed: 5 }, { asked: { ...NOBODY, rolledBackBy: 'bob' }, canGoBack: false }),
      { do: 'Hold', why: 'NoWayBack' },
    ],
  ])('%s', (_, situation, expected) => expect(decide(situation).next).toMatchObject(expected));
});

describe('what the waves are told', () => {
  const actions = (situation: Situation): string[] => {
    const decision = decide(situation);
    return situation.steps.flatMap(({ waves }) => waves).map((wave) => decision.actionOf(wave));
  };
  const aborted = { asked: { ...NOBODY, abortedBy: 'bob' } };
  it.each<[says: string, situation: Situation, expected: string[]]>([
    ['an Abort stops who is on the way', afterCanary(specOf(WAVES), { inFlight: 1, confirmed: 4 }, aborted, false), ['Stop', 'Stop']],
    ['and who was away and still has the offer', afterCanary(specOf(WAVES), { straggler: 1, confirmed: 4 }, aborted), ['Stop', 'Stop']],
    ['and leaves alone where all is settled', afterCanary(specOf(WAVES), { confirmed: 5 }, aborted), ['Install', 'Install']],
    [
      'a Rollback brings back what has confirmed',
      afterCanary(specOf(WAVES), { confirmed: 5 }, { asked: { ...NOBODY, rolledBackBy: 'bob' } }),
      ['Revert', 'Revert'],
    ],
    [
      'without a way back who has not booted it is stopped all the same',
      afterCanary(specOf(WAVES), { inFlight: 5 }, { asked: { ...NOBODY, rolledBackBy: 'bob' }, canGoBack: false }, false),
      ['Stop', 'Stop'],
    ],
  ])('%s', (_, situation, expected) => expect(actions(situation)).toEqual(expected));

  it('never less strict than what it was told: an Abort that is deleted does not bring a wave back', () => {
    const situation = afterCanary(specOf(WAVES), { inFlight: 1 }, aborted, false);
    const stopped = started(situation);
    const later = situationOf(specOf(WAVES), fleetOf(100), { steps: stepsOf(stopped) });
    expect(stopped.map(({ spec }) => spec.action)).toEqual(['Stop', 'Stop']);
    expect(actions(later)).toEqual(['Stop', 'Stop']);
  });

  it('a Pause suspends every wave that is at work', () => {
    const situation = afterCanary(specOf(WAVES), { inFlight: 1 }, { asked: { ...NOBODY, pausedBy: 'bob' } }, false);
    expect(started(situation).map(({ spec }) => spec.suspend)).toEqual([true, true]);
  });

  it('asked twice, the second time nothing changes', () => {
    const situation = situationOf(specOf(WAVES), fleetOf(100));
    const waves = started(situation);
    const again = started({ ...situation, steps: stepsOf(waves), now: NOW + 1000 });
    expect(again.map(({ spec }) => spec)).toEqual(waves.map(({ spec }) => spec));
  });

  it('of a step that was begun at one site before the operator died, the other sites follow with the same range', () => {
    const situation = situationOf(specOf(WAVES), fleetOf(100));
    const [first, second] = started(situation);
    const again = started({ ...situation, steps: stepsOf([first as WaveView]) });
    expect(again.map(({ spec }) => spec.cohort)).toEqual([first?.spec.cohort, second?.spec.cohort]);
  });
});

describe('who joins', () => {
  const spec = specOf([{ name: 'all' }]);
  const done = started(situationOf(spec, fleetOf(10))).map((wave) => counted(wave, { confirmed: 5 }, { endedAt: NOW }));
  const devices = [
    ...fleetOf(10).map((one) => ({ ...one, running: { app: { version: '2.4.0', digest: 'x', releaseUid: UID, step: 0 } } })),
    deviceOf(99, { createdAt: NOW + MINUTE_MS }),
  ];
  const next = (afterMs: number, more: Partial<Situation> = {}, of = spec): object =>
    decide(situationOf(of, devices, { steps: stepsOf(done), now: NOW + afterMs, ...more })).next;

  it('gets a step of the last wave, a while after it has ended', () => {
    expect([next(2 * MINUTE_MS), next(11 * MINUTE_MS)]).toEqual([{ do: 'Complete' }, { do: 'Start', step: 1 }]);
  });
  it('is none under Snapshot', () => expect(next(11 * MINUTE_MS, {}, { ...spec, membership: 'Snapshot' })).toEqual({ do: 'Complete' }));
  it('is left to a later release', () =>
    expect(next(11 * MINUTE_MS, { inTheWay: (joining) => (joining ? { what: 'hq/newer', why: 'Queued' } : undefined) })).toEqual({
      do: 'Complete',
    }));
});

describe('the pace', () => {
  it('never exceeds that of the release, and every site that is in it can go on', () => {
    const sites = fc.uniqueArray(
      fc.record({ site: fc.string({ minLength: 1, maxLength: 6 }), share: fc.nat(100_000), has: fc.constant(undefined) }),
      {
        ...{ selector: ({ site }: { site: string }) => site, maxLength: 40 },
      },
    );
    fc.assert(
      fc.property(sites, fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 5000 }), (list, perMinute, maxInFlight) => {
        const split = [...paceOf({ perMinute, maxInFlight }, 0, list).values()];
        const sum = (values: number[]): number => values.reduce((all, one) => all + one, 0);
        expect(sum(split.map((one) => one.perMinute))).toBeLessThanOrEqual(perMinute);
        expect(sum(split.map((one) => one.maxInFlight))).toBeLessThanOrEqual(maxInFlight);
        expect(split.every((one) => one.perMinute > 0 && one.maxInFlight > 0)).toBe(true);
        if (list.length > 0) expect(split.length).toBe(Math.min(list.length, perMinute, maxInFlight));
        if (list.length > 0 && list.length <= Math.min(perMinute, maxInFlight))
          expect(sum(split.map((one) => one.perMinute))).toBe(perMinute);
      }),
    );
  });
});

it('from the first wave to the last every device is in exactly one step, whatever the waves', () => {
  const wave = fc.record({
    size: fc.option(fc.constantFrom('1', '7', '20%'), { nil: undefined }),
    growth: fc.option(fc.constantFrom({ start: '10%', factor: 2, max: '40%' }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(wave, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 60 }), (list, count) => {
      const waves = [
        ...list.map((one, at) => ({ ...one, ...(one.growth === undefined ? {} : { size: undefined }), name: `w${at}` })),
        { name: 'rest' },
      ];
      const spec = specOf(waves as Parameters<typeof specOf>[0]);
      let [devices, views] = [fleetOf(count), [] as WaveView[]];
      for (let step = 0; step < 40; step++) {
        const situation = situationOf(spec, devices, { steps: stepsOf(views), now: NOW + step });
        if (decide(situation).next.do === 'Complete') break;
        const now = started(situation);
        devices = devices.map((one) => {
          const record = one.running.app;
          const own = now.find(({ namespace, spec: { step: at } }) => namespace === one.namespace && at === step);
          if (own === undefined || record?.releaseUid === UID || !isInStep({ uid: UID, spec }, own.spec, one, record ?? {})) return one;
          return { ...one, running: { app: { version: '2.4.0', digest: 'x', releaseUid: UID, step } } };
        });
        views = now.map((view) => (view.status === undefined ? counted(view, { confirmed: 1 }, { endedAt: NOW + step }) : view));
      }
      expect(devices.every(({ running }) => running.app?.releaseUid === UID)).toBe(true);
      const last = situationOf(spec, devices, { steps: stepsOf(views), now: NOW + 100 });
      expect(decide(last).next).toEqual({ do: 'Complete' });
      expect(wavesWanted({ namespace: 'hq', name: 'app' }, last, decide(last))).toEqual({ ok: true, value: [] });
    }),
    { numRuns: 60 },
  );
});

describe('waves, while somebody else may approve for drivers', () => {
  const suspended = (situation: Situation): boolean[] => {
    const wishes = wavesWanted({ namespace: 'hq', name: 'app-2-4-0' }, situation, decide(situation));
    return wishes.ok ? wishes.value.map(({ spec }) => spec.suspend) : [];
  };

  it('are suspended, whatever the release does', () => {
    const approvals = specOf([
      { name: 'canary', size: '10' },
      { name: 'broad', approval: 'Required' },
    ]);
    for (const spec of [specOf(WAVES), approvals]) {
      expect(suspended(afterCanary(spec, { inFlight: 5 }, {}, false))).toEqual([false, false]);
      expect(suspended(afterCanary(spec, { inFlight: 5 }, OPEN, false))).toEqual([true, true]);
    }
  });

  it('are not made', () => expect(suspended(situationOf(specOf(WAVES), fleetOf(100), OPEN))).toEqual([]));

  it('go back all the same', () => {
    const aborted = { ...OPEN, asked: { ...NOBODY, abortedBy: 'bob' } };
    expect(suspended(afterCanary(specOf(WAVES), { inFlight: 5 }, aborted, false))).toEqual([false, false]);
  });
});
