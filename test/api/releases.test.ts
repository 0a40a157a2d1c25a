// The shape of a FirmwareRelease. The API server refuses the kind as a whole until something honours it, so its other rules are tried on a twin: the same schema in
// another group, without that one rule.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admissionOf } from '../../operator/api/admission.ts';
import { crdOf } from '../../operator/api/crd.ts';
import { firmwareReleaseKind } from '../../operator/api/firmware-release.ts';
import { specProblems } from '../../operator/api/validate.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { BAD_RELEASES } from './bad-releases.ts';
import { artifact, DIGEST, NAMESPACES, release } from './manifests.ts';
import { type ApiServer, installApi, type Manifest, openApi } from './server.ts';

const TWIN = { ...firmwareReleaseKind.resource, group: 'twin.hedgerow.dev', kind: 'FirmwareReleaseTwin', plural: 'firmwarereleasetwins' };

let api: ApiServer;

beforeAll(async () => {
  const cluster = await sharedCluster();
  await installApi(cluster);
  const run = runner(cluster);
  await run.apply([crdOf({ ...firmwareReleaseKind, resource: TWIN, singular: 'firmwarereleasetwin', shortNames: [] })]);
  await run.kubectl('wait', '--for=condition=Established', `crd/${TWIN.plural}.${TWIN.group}`);
  api = await openApi(cluster);
  for (const namespace of NAMESPACES) await api.create(namespace);
});

afterAll(async () => {
  const { kubectl } = await sharedCluster();
  await kubectl(['delete', 'validatingadmissionpolicy,validatingadmissionpolicybinding', 'twin-authors', '--ignore-not-found']);
  await kubectl(['delete', 'crd', `${TWIN.plural}.${TWIN.group}`, '--wait=false']);
  api.close();
});

describe('a FirmwareRelease', () => {
  it('of the smallest kind is good, and so is one with everything', async () => {
    for (const manifest of [release(), release(EVERYTHING)]) {
      expect((await api.dryRun(twin(manifest))).problems).toEqual([]);
      expect(specProblems(firmwareReleaseKind, structuredClone(manifest.spec))).toEqual([]);
    }
  });

  for (const [sentence, manifest, problems, onlyServer] of BAD_RELEASES) {
    it(`is refused with ${sentence}`, async () => {
      expect((await api.dryRun(twin(manifest))).problems).toEqual(problems);
      const found = specProblems(firmwareReleaseKind, structuredClone(manifest.spec));
      if (onlyServer === undefined) expect(found).not.toEqual([]);
      else expect(found).toEqual([]);
    });
  }

  it('has the user who writes it as its author, or none', async () => {
    await applyAuthors();
    const by = (author: string, change: object = {}): Manifest => twin(release({ author, ...change }));
    const refused = ['HR-API-028: spec.author is alice but you are admin: set spec.author to admin'];
    await waitFor('the policy', async () => ((await api.dryRun(by('alice'))).problems.length > 0 ? true : undefined));
    expect((await api.dryRun(by('alice'))).problems).toEqual(refused);
    expect((await api.dryRun(twin(release()))).problems).toEqual([]);
    expect((await api.create(by('alice'), 'alice')).problems).toEqual([]);
    // Whoever changes what is rolled out answers for it from then on; a label is no such change.
    expect((await api.apply(by('alice', { priority: 900 }), { dryRun: true })).problems).toEqual(refused);
    expect((await api.apply(by('bob', { priority: 900 }), { dryRun: true })).problems).not.toEqual([]);
    expect((await api.apply(by('admin', { priority: 900 }), { dryRun: true })).problems).toEqual([]);
    const labelled = { ...by('alice'), metadata: { ...by('alice').metadata, labels: { ring: 'canary' } } };
    expect((await api.apply(labelled, { dryRun: true })).problems).toEqual([]);
    await api.remove(by('alice'));
  });

  it.each([
    [
      'version',
      { version: '2.4.1' },
      'spec.version: HR-API-016: spec.version is immutable: make a new FirmwareRelease for another version',
    ],
    [
      'component',
      { component: 'modem' },
      'spec.component: HR-API-016: spec.component is immutable: make a new FirmwareRelease for another component',
    ],
    [
      'security counter',
      { securityCounter: 8 },
      'spec.securityCounter: HR-API-016: spec.securityCounter is immutable: make a new FirmwareRelease',
    ],
    [
      'artifacts',
      { artifacts: [artifact({ size: 1 })] },
      'spec.artifacts: HR-API-016: spec.artifacts is immutable: make a new FirmwareRelease',
    ],
  ])('never changes its %s', async (_what, change, problem) => {
    await api.create(twin(release()));
    expect((await api.apply(twin(release(change)), { dryRun: true })).problems).toEqual([problem]);
    expect((await api.apply(twin(release({ priority: 900 })), { dryRun: true })).problems).toEqual([]);
    await api.remove(twin(release()));
  });
});

/** The policy over releases, over the twin. */
async function applyAuthors(): Promise<void> {
  const [policy, binding] = admissionOf('nobody').get('hedgerow-authors') ?? [];
  const text = JSON.stringify([policy, binding])
    .replaceAll('hedgerow-authors', 'twin-authors')
    .replaceAll('"hedgerow.dev"', `"${TWIN.group}"`)
    .replaceAll('"firmwarereleases"', `"${TWIN.plural}"`);
  await runner(await sharedCluster()).apply(JSON.parse(text) as object[]);
}

function twin(manifest: Manifest): Manifest {
  return { ...manifest, apiVersion: `${TWIN.group}/${TWIN.version}`, kind: TWIN.kind };
}

const EVERYTHING = {
  compatibility: { fromVersions: '>=2.1.0 <2.4.0', minVersionFloor: '2.1.0', minBattery: 30, minFreeBytes: '4Mi' },
  requires: [{ component: 'bootloader', version: '>=1.4.0', release: 'bootloader-1-4-0' }],
  trust: {
    policyRef: { name: 'firmware-root' },
    envelope: '{}',
    provenance: { required: true, builders: ['https://ci.example.com/b'], sources: ['https://git.example.com/fw'] },
  },
  artifacts: [
    artifact({ hardware: { vendorId: '6b1d2c7e-8f0a-4b3c-9d5e-0123456789ab', models: ['tmp-2'], revisions: ['1.3'] } }),
    artifact({ name: 'delta', baseDigest: DIGEST.replace('0', 'f') }),
  ],
  membership: 'Snapshot',
  priority: 900,
  conflict: 'Supersede',
  rollout: {
    paused: true,
    waves: [
      { name: 'canary', selector: { matchLabels: { ring: 'canary' } }, size: '5', soak: '24h', approval: 'Required' },
      { name: 'small', size: '1%', min: 10, spread: ['site'], soak: '2d' },
      { name: 'rest', growth: { start: '5%', factor: 2, max: '50%' } },
    ],
    pace: { perMinute: 100, maxInFlight: 500, exponential: { base: 10, factor: 2, increaseOnConfirmed: 50 } },
    disruption: [{ groupBy: 'site', maxUnavailable: '10%' }],
    gates: {
      success: { ratio: '98%', of: 'Reached', minSample: 20, confidence: '95%' },
      error: { ratio: '2%', minSample: 20, kinds: ['Failed', 'RolledBack'] },
      analysis: [{ name: 'crashes', prometheus: { query: 'sum(rate(crashes[5m]))' }, interval: '5m', success: 'r < 0.01' }],
    },
    timeouts: { offer: '7d', download: '2h', install: '15m', confirm: '10m', wave: '48h' },
    retry: { limit: 3, backoff: { base: '10m', factor: 2, cap: '12h' }, causes: ['Network'] },
    stragglers: 'Drop',
    windows: { install: [{ cron: '0 1 * * *', duration: '4h', tz: 'Europe/Berlin' }] },
    mode: 'Forced',
  },
  rollback: { onGateFailure: 'RevertAll', to: { release: 'app-2-3-1' } },
  distribution: { edgeCache: true, prefetch: 'BeforeWave', jitter: '10m', perSiteBandwidth: '20Mbit' },
  historyLimit: 5,
};
