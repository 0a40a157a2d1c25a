import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import { findCondition } from '../runtime/conditions.ts';
import { decide, type Situation } from './decide.ts';
import { type Lack, lackOf } from './decide-dependencies.ts';
import { releaseStatus } from './release-status.ts';
import { counted, fleetOf, MANIFEST, NOW, releaseOf, situationOf, specOf, started, stepsOf } from './testing/rollout.ts';

type Phase = FirmwareReleaseStatus['phase'];
/** A release that requires those of these names. */
const needing = (name: string, names: string[], phase?: Phase) =>
  releaseOf(specOf([{ name: 'all' }], { requires: names.map((release) => ({ component: `c-${release}`, version: '>=1.0.0', release })) }), {
    ...{ name, key: `hq/${name}`, status: phase === undefined ? undefined : { phase } },
  });
type Release = ReturnType<typeof needing>;
const lack = (own: Release, others: Release[]): Lack | undefined =>
  lackOf(own, (name) => [own, ...others].find((one) => one.name === name));

describe('what a release requires', () => {
  const own = needing('app', ['boot']);
  it.each<[says: string, found: Lack | undefined, why: string | undefined, names: string]>([
    ['nothing', lack(needing('app', []), []), undefined, ''],
    ['one that is completed', lack(own, [needing('boot', [], 'Completed')]), undefined, ''],
    [
      'one that runs',
      lack(own, [needing('boot', [], 'RollingOut')]),
      'Required',
      'hq/boot, which it requires, is not completed: RollingOut',
    ],
    ['one that nobody has looked at', lack(own, [needing('boot', [])]), 'Required', 'Verifying'],
    ['one that is not there', lack(own, []), 'NotFound', 'hq/boot, which it requires, is not there'],
    ['one that failed', lack(own, [needing('boot', [], 'Failed')]), 'Failed', 'is Failed'],
    ['one that went back', lack(own, [needing('boot', [], 'RolledBack')]), 'Failed', 'is RolledBack'],
    ['one that another took the place of', lack(own, [needing('boot', [], 'Superseded')]), 'Failed', 'is Superseded'],
    [
      'two, of which one is completed',
      lack(needing('app', ['boot', 'modem']), [needing('boot', [], 'Completed'), needing('modem', [])]),
      'Required',
      'hq/modem',
    ],
    ['itself', lack(needing('app', ['app']), []), 'Cycle', 'app requires app'],
    [
      'itself over two others',
      lack(own, [needing('boot', ['modem']), needing('modem', ['app'])]),
      'Cycle',
      'app requires boot requires modem requires app',
    ],
    ['one that is in a cycle of others', lack(own, [needing('boot', ['modem']), needing('modem', ['boot'])]), 'Required', 'hq/boot'],
  ])('%s', (_, found, why, names) => {
    expect(found?.why).toBe(why);
    expect(found?.what ?? '').toContain(names);
  });

  it('is followed in a net of many paths in a moment', () => {
    const layers = Array.from({ length: 40 }, (_, at) => ['a', 'b'].map((name) => needing(`${name}${at}`, [`a${at + 1}`, `b${at + 1}`])));
    expect(lack(needing('app', ['a0', 'b0']), layers.flat())?.why).toBe('Required');
  });
});

describe('a release that waits for another', () => {
  const missing: Lack = { what: 'FirmwareRelease hq/boot, which it requires, is not there', why: 'NotFound' };
  const spec = needing('app', ['boot']).spec;
  const blocked = (more: Partial<Situation>): Situation => situationOf(spec, fleetOf(4), more);
  const statusOf = (situation: Situation) =>
    releaseStatus({
      ...{ release: releaseOf(spec), situation, decision: decide(situation), jobs: [], trouble: undefined },
      belief: { verdict: { ok: true, manifestDigest: MANIFEST, signers: ['k'], rootVersion: 1, pinned: 'p', roots: new Map() }, at: NOW },
    });

  it('waits, though no device is ready for it yet, and says for what', () => {
    const { phase, conditions } = statusOf(blocked({ lack: missing }));
    expect(phase).toBe('Waiting');
    expect(findCondition(conditions, 'DependenciesMet')).toMatchObject({ status: 'False', reason: 'NotFound', message: missing.what });
    expect(findCondition(conditions, 'Stalled')).toBeUndefined();
    expect(findCondition(conditions, 'Reconciling')?.message).toBe(missing.what);
  });

  it('is stuck in a cycle, with a cure', () => {
    const { conditions } = statusOf(blocked({ lack: { what: 'app requires app', why: 'Cycle' } }));
    expect(findCondition(conditions, 'Stalled')).toMatchObject({ status: 'True', reason: 'RequirementCycle' });
    expect(findCondition(conditions, 'Stalled')?.message).toContain('Cure: ');
  });

  it('begins when that is completed; each device still needs the version itself', () => {
    const ready = fleetOf(4).map((one) => ({ ...one, running: { ...one.running, 'c-boot': { version: '1.0.0', digest: 'x' } } }));
    expect([decide(situationOf(spec, ready)).next.do, decide(blocked({})).next.do]).toEqual(['Start', 'Complete']);
    expect(findCondition(statusOf(situationOf(spec, ready)).conditions, 'DependenciesMet')).toMatchObject({ status: 'True' });
  });

  it('goes on once it has begun, whatever becomes of the other', () => {
    const plain = specOf([{ name: 'all' }]);
    const waves = started(situationOf(plain, fleetOf(4))).map((wave) => counted(wave, { inFlight: 2 }, { done: false }));
    expect(decide(situationOf(plain, fleetOf(4), { steps: stepsOf(waves), lack: missing })).next.do).toBe('Offer');
  });
});
