// What a driver reads before it does anything: the wave, its release, and the catalog, which it verifies itself. Nobody's word for it counts, the operator's neither.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import type { FirmwareWaveSpec, FirmwareWaveStatus } from '../api/firmware-wave.ts';
import { CONFIG_MAPS, FIRMWARE_RELEASES, FIRMWARE_WAVES } from '../api/resources.ts';
import { advance, explainFirmware, type SignedArtifact, verifyRelease } from '../firmware/firmware.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { DriverCode, Problem } from './errors.ts';
import type { RolloutOptions } from './options.ts';
import type { Plan } from './plan.ts';
import { policyOf } from './policy.ts';
import { driversOf } from './shares.ts';

export type WaveObject = KubeObject & { spec: FirmwareWaveSpec; status?: FirmwareWaveStatus };
type ReleaseObject = KubeObject & { spec: FirmwareReleaseSpec; status?: { waves?: { startedAt?: string }[] } };
type ConfigMap = KubeObject & { data?: Record<string, string>; binaryData?: Record<string, string> };

/** Signature: no further try can help. Fit: nothing could be sent to anybody. Later: it may be there the next time. Over: there is nothing to do. */
export type Refusal = { ok: false; how: 'Signature' | 'Fit' | 'Later' | 'Over'; problem: Problem };
export type Prepared = { ok: true; wave: WaveObject; plan: Omit<Plan, 'fence'> };

type Deps = { client: Pick<KubeClient, 'get'>; namespace: string; now: number };
type Options = Pick<RolloutOptions, 'wave' | 'shard' | 'artifactsUrl' | 'roots'>;

export async function prepare(options: Options, deps: Deps, signal: AbortSignal): Promise<Prepared | Refusal> {
  const { client, namespace } = deps;
  const wave = await client.get<WaveObject>(FIRMWARE_WAVES, options.wave, signal);
  if (wave === undefined) return refused('Over', 'HR-FW-301');
  const { release: of, catalog: name } = wave.spec;
  if (isOver(wave)) return refused('Over', 'HR-FW-313', 'the wave has come to its end');
  const release = await client.get<ReleaseObject>(FIRMWARE_RELEASES, { namespace: of.namespace, name: of.name }, signal);
  if (release === undefined || release.metadata.uid !== of.uid) return refused('Over', 'HR-FW-304');
  const catalog = await client.get<ConfigMap>(CONFIG_MAPS, { namespace, name }, signal);
  if (catalog === undefined) return refused('Later', 'HR-FW-302', `there is no ConfigMap ${name}`);
  const verified = verify(catalog, wave.spec, options.roots, deps.now);
  if (!verified.ok) return verified;
  const { rollout } = release.spec;
  if (rollout.mode === 'DownloadOnly') return refused('Fit', 'HR-FW-306', 'mode DownloadOnly');
  const policy = policyOf(release.spec);
  const { pinned, rootVersion, ...facts } = verified;
  return {
    ok: true,
    wave,
    plan: {
      site: options.wave.namespace,
      release: { uid: of.uid, namespace: of.namespace, name: of.name, spec: release.spec, firstStartedAt: firstStart(release) },
      ...{ wave: wave.spec, policy, shard: options.shard, ...facts },
      drivers: driversOf(wave.spec, wave.spec.shards, policy.disruption.length > 0),
      links: {
        images: `${options.artifactsUrl}/fw/sha256`,
        release: `${options.artifactsUrl}/fw/releases/${wave.spec.manifestDigest.slice('sha256:'.length)}`,
        roots: `${options.artifactsUrl}/fw/roots/${pinned}`,
        rootVersion,
      },
    },
  };
}

/** Its drivers have nothing to do any more. */
export const isOver = ({ metadata, status }: WaveObject): boolean =>
  metadata.deletionTimestamp !== undefined || status?.phase === 'Completed' || status?.phase === 'Aborted';

type Facts = Pick<Plan, 'version' | 'securityCounter'> & { artifacts: readonly SignedArtifact[] };
type Verified = ({ ok: true; pinned: string; rootVersion: number } & Facts) | Refusal;

/** By the first of the pinned roots that the catalog begins with. */
function verify(catalog: ConfigMap, wave: FirmwareWaveSpec, roots: readonly string[], now: number): Verified {
  const files = new Map(Object.entries(catalog.binaryData ?? {}).map(([name, text]) => [name, Buffer.from(text, 'base64')]));
  const envelope = catalog.data?.['envelope.json'];
  if (envelope === undefined || files.size === 0) return refused('Later', 'HR-FW-302', 'it has no envelope, or no roots');
  const chains = roots.map((pinned) => ({ pinned, chain: advance(pinned, undefined, files, now) }));
  const good = chains.find(({ chain }) => chain.ok);
  if (good === undefined || !good.chain.ok) {
    const [first] = chains;
    return untrusted(first === undefined || first.chain.ok ? 'no root is pinned' : explainFirmware(first.chain.problem));
  }
  const { pinned, chain } = good;
  const release = verifyRelease(Buffer.from(envelope), chain.root);
  if (!release.ok) return untrusted(explainFirmware(release.problem));
  const { facts, digest } = release.value;
  if (`sha256:${digest}` !== wave.manifestDigest)
    return untrusted(`it holds the statement sha256:${digest}, the wave is for ${wave.manifestDigest}`);
  if (facts.component !== wave.component) return untrusted(`it is for component ${facts.component}, the wave for ${wave.component}`);
  if (facts.artifacts.every(({ baseDigest }) => baseDigest !== undefined)) return refused('Fit', 'HR-FW-305');
  const { version, securityCounter, artifacts } = facts;
  return { ok: true, pinned, rootVersion: chain.root.version, version, securityCounter, artifacts };
}

const untrusted = (found: string): Refusal => refused('Signature', 'HR-FW-303', found);

function refused(how: Refusal['how'], code: DriverCode, found?: string): Refusal {
  return { ok: false, how, problem: found === undefined ? { code } : { code, found } };
}

/** Of the first wave; nobody knows it before one has started, and then this driver is of it. */
function firstStart({ status }: ReleaseObject): number | undefined {
  const times = (status?.waves ?? []).map(({ startedAt }) => Date.parse(startedAt ?? '')).filter((at) => !Number.isNaN(at));
  return times.length === 0 ? undefined : Math.min(...times);
}
