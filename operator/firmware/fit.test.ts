import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { artifactFor, type FirmwareFacts, misfitOf } from './fit.ts';
import { isBelow, isInRange } from './version-order.ts';

const DIGEST = `sha256:${'b'.repeat(64)}`;
const OLD = { version: '2.3.0', digest: 'sha256:old', securityCounter: 6 };
type Artifact = FirmwareReleaseSpec['artifacts'][number];
const artifact = (more: Partial<Artifact> = {}): Artifact => ({
  ...{ name: 'full', oci: '', format: 'raw', size: 1, digest: DIGEST },
  ...more,
});
const spec = (more: Partial<FirmwareReleaseSpec> = {}): FirmwareReleaseSpec =>
  ({ version: '2.4.0', component: 'app', securityCounter: 7, artifacts: [artifact()], selector: {}, ...more }) as FirmwareReleaseSpec;
const device = (more: Partial<FirmwareFacts> = {}): FirmwareFacts => ({ hold: false, pin: '', running: { app: OLD }, ...more });

describe('a release is for a device', () => {
  it.each<[says: string, release: Partial<FirmwareReleaseSpec>, device: Partial<FirmwareFacts>, why: string | undefined]>([
    ['that runs an older version', {}, {}, undefined],
    ['that has said nothing yet', {}, { running: {} }, undefined],
    ['not where it is held', {}, { hold: true }, 'Held'],
    ['not where it is pinned to another version', {}, { pin: '2.3.0' }, 'Held'],
    ['where it is pinned to this one', {}, { pin: '2.4.0' }, undefined],
    ['where another component is pinned', { component: 'modem' }, { pin: '2.3.0' }, undefined],
    ['not without an image for its model', { artifacts: [artifact({ hardware: { models: ['x'] } })] }, { model: 'y' }, 'Incompatible'],
    ['nor with a delta alone', { artifacts: [artifact({ baseDigest: 'sha256:old' })] }, {}, 'Incompatible'],
    ['not where it runs', {}, { running: { app: { version: '2.4.0', digest: DIGEST } } }, 'Current'],
    ['where another build of the same version runs', {}, { running: { app: { ...OLD, version: '2.4.0' } } }, undefined],
    ['not where a newer version runs', {}, { running: { app: { ...OLD, version: '2.4.1' } } }, 'Newer'],
    ['where its pre-release runs', {}, { running: { app: { ...OLD, version: '2.4.0-rc.1' } } }, undefined],
    ['not where the security counter is higher, whatever the version', {}, { running: { app: { ...OLD, securityCounter: 8 } } }, 'Newer'],
    ['not from a version outside fromVersions', { compatibility: { fromVersions: '>=2.3.1 <2.4.0' } }, {}, 'Incompatible'],
    ['from one inside', { compatibility: { fromVersions: '>=2.1.0 <2.4.0' } }, {}, undefined],
    ['not from an unknown one where fromVersions asks', { compatibility: { fromVersions: '>=2.1.0' } }, { running: {} }, 'Blocked'],
    ['not before what it requires', { requires: [{ component: 'boot', version: '>=1.4.0' }] }, {}, 'Blocked'],
    [
      'after it',
      { requires: [{ component: 'boot', version: '>=1.4.0' }] },
      { running: { app: OLD, boot: { ...OLD, version: '1.4.0' } } },
      undefined,
    ],
  ])('%s', (_, release, facts, why) => expect(misfitOf(spec(release), device(facts))?.why).toBe(why));

  it('the first whole image that names its hardware, or names none, is its own', () => {
    const delta = artifact({ name: 'delta', baseDigest: 'sha256:old' });
    const special = artifact({ name: 'special', hardware: { models: ['x'], revisions: ['2'] } });
    const nameOf = (facts: Partial<FirmwareFacts>): string | undefined => artifactFor([delta, special, artifact()], device(facts))?.name;
    expect([nameOf({ model: 'x', revision: '2' }), nameOf({ model: 'x', revision: '1' }), nameOf({})]).toEqual(['special', 'full', 'full']);
  });
});

describe('ranges of versions', () => {
  it.each<[string | undefined, string, boolean]>([
    ['2.4.0', '>=2.1.0 <2.4.0', false],
    ['2.3.9', '>=2.1.0 <2.4.0', true],
    ['2.4.0', '2.4.0', true],
    ['2.4.0+build.7', '=2.4.0', true],
    ['2.10.0', '>2.9.0', true],
    ['2.4.0-rc.1', '<2.4.0', true],
    [undefined, '>=0.0.0', false],
  ])('%s is in %s: %s', (version, range, inside) => expect(isInRange(version, range)).toBe(inside));

  it('a version is below, equal or above, and one of them only', () => {
    const version = fc
      .tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.constantFrom('', '-rc', '-rc.1', '-rc.10', '-2', '-2.a'))
      .map(([major, minor, patch, pre]) => `${major}.${minor}.${patch}${pre}`);
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(['<', '=', '>'].filter((operator) => isInRange(a, `${operator}${b}`))).toHaveLength(1);
        if (isBelow(a, b) && isBelow(b, c)) expect(isBelow(a, c)).toBe(true);
      }),
    );
  });
});
