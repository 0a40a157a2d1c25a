// What the release controller does in the cluster: small, idempotent, each named after what it changes.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import type { ObjectMeta } from '../api/meta.ts';
import { CONFIG_MAPS, FIRMWARE_WAVES, JOBS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists } from '../kube/errors.ts';
import { refOf } from '../kube/object.ts';
import type { Expectations } from '../runtime/expectations.ts';
import { equalJson } from '../runtime/merge-patch.ts';
import type { JobWishes } from './decide-jobs.ts';
import { catalogName, RELEASE_UID_LABEL, type WaveWish } from './decide-waves.ts';
import { jobFor } from './job.ts';
import type { RolloutSettings } from './settings.ts';
import type { Verified } from './verify.ts';
import type { JobView, ReleaseView, WaveView } from './view.ts';

const FIELD_MANAGER = 'hedgerow-releases';
const ROOT_NAME = /^[1-9][0-9]{0,9}\.root\.json$/;
/** The artifacts server and the drivers find catalogs by it. */
const CATALOG_LABEL = 'hedgerow.dev/catalog';

export type Acts = { client: Pick<KubeClient, 'apply' | 'create' | 'delete' | 'mergePatch'> /** The operator's. */; namespace: string };

/** What was verified, for drivers and artifacts servers: they verify it again. */
export async function writeCatalog(
  { client, namespace }: Acts,
  release: ReleaseView,
  verified: Verified,
  signal: AbortSignal,
): Promise<void> {
  const roots = [...verified.roots].filter(([name]) => ROOT_NAME.test(name));
  const catalog = {
    metadata: {
      ...{ name: catalogName(release.uid), namespace },
      labels: { [CATALOG_LABEL]: 'true', [RELEASE_UID_LABEL]: release.uid, 'app.kubernetes.io/managed-by': 'hedgerow' },
    },
    data: { 'release.json': JSON.stringify(releaseOf(release, verified)), 'envelope.json': release.spec.trust.envelope },
    binaryData: Object.fromEntries(roots.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')])),
  };
  await client.apply<{ metadata: ObjectMeta }>(CONFIG_MAPS, catalog, { fieldManager: FIELD_MANAGER }, signal);
}

function releaseOf({ namespace, name, uid, spec }: ReleaseView, { manifestDigest }: Verified): object {
  const { component, version, securityCounter, trust } = spec;
  const artifacts = spec.artifacts.map(({ name: artifact, digest, size, oci, url }: FirmwareReleaseSpec['artifacts'][number]) => ({
    ...{ name: artifact, digest, size },
    ...(oci === undefined ? { url } : { oci }),
  }));
  return { namespace, name, uid, component, version, securityCounter, manifestDigest, policy: trust.policyRef.name, artifacts };
}

/** Each only when it is not as it is to be. */
export async function writeWaves(
  { client }: Acts,
  wishes: readonly WaveWish[],
  own: readonly WaveView[],
  expectations: Expectations,
  signal: AbortSignal,
): Promise<number> {
  const there = new Map(own.map((wave) => [wave.key, wave]));
  let written = 0;
  for (const { namespace, name, labels, spec } of wishes) {
    const key = `${namespace}/${name}`;
    const before = there.get(key);
    if (before !== undefined && equalJson(before.spec, spec)) continue;
    const wave = { metadata: { name, namespace, labels }, spec };
    const after = await client.apply<{ metadata: ObjectMeta }>(FIRMWARE_WAVES, wave, { fieldManager: FIELD_MANAGER }, signal);
    if (before !== undefined)
      expectations.wrote(key, { uid: before.uid, from: before.resourceVersion, to: after.metadata.resourceVersion ?? '' });
    written += 1;
  }
  return written;
}

/** Those that are not wanted go first: two drivers of one site would only take turns at the fence. */
export async function writeJobs(
  { client, namespace }: Acts,
  wishes: JobWishes,
  settings: RolloutSettings,
  signal: AbortSignal,
): Promise<void> {
  for (const job of wishes.remove) await removeJob(client, job, signal);
  for (const { job, suspend } of wishes.change) await client.mergePatch(JOBS, refOf(job.key), { spec: { suspend } }, {}, signal);
  for (const wave of wishes.make) {
    try {
      await client.create(JOBS, jobFor(wave, settings, namespace) as { metadata: ObjectMeta }, signal);
    } catch (error) {
      // Made a moment ago: the cache shows it soon.
      if (!isAlreadyExists(error)) throw error;
    }
  }
}

/** Of a release that is gone, in this order: nobody works any more, then nothing is left to work on. */
export async function removeAll(
  { client, namespace }: Acts,
  left: { uid: string; waves: readonly WaveView[]; jobs: readonly JobView[] },
  signal: AbortSignal,
): Promise<void> {
  for (const job of left.jobs) await removeJob(client, job, signal);
  for (const wave of left.waves) await client.delete(FIRMWARE_WAVES, refOf(wave.key), { uid: wave.uid }, signal);
  await client.delete(CONFIG_MAPS, { name: catalogName(left.uid), namespace }, {}, signal);
}

async function removeJob(client: Acts['client'], { key, uid }: JobView, signal: AbortSignal): Promise<void> {
  await client.delete(JOBS, refOf(key), { uid, propagation: 'Background' }, signal);
}
