// A release as the operator believes it: roots from the pinned one to the newest, the statement under enough signatures, and a manifest that says the same.
import { createHash } from 'node:crypto';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { CONFIG_MAPS } from '../api/resources.ts';
import { advance, explainFirmware, type Problem, reasonOfFirmware, verifyRelease } from '../firmware/firmware.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden } from '../kube/errors.ts';
import { differenceOf } from './decide-trust.ts';
import { explain, type ReleaseCode, reasonOf } from './errors.ts';
import { type ConfigMap, remember, rememberedRoot } from './roots.ts';

/** `roots`: the files that were verified, for the driver and for devices. */
export type Verified = {
  ok: true;
  manifestDigest: string;
  signers: readonly string[];
  rootVersion: number;
  pinned: string;
  roots: ReadonlyMap<string, Uint8Array>;
};
/** `about`: which of the two conditions it belongs to. */
export type Untrusted = { ok: false; about: 'Root' | 'Artifact'; reason: string; message: string };

export type VerifyDeps = {
  client: Pick<KubeClient, 'get' | 'mergePatch'> /** The operator's. */;
  namespace: string;
  pinned: readonly string[];
};

export async function verify(
  deps: VerifyDeps,
  release: { namespace: string; spec: FirmwareReleaseSpec },
  now: number,
  signal: AbortSignal,
): Promise<Verified | Untrusted> {
  const { policyRef, envelope } = release.spec.trust;
  const policy = await policyOf(deps.client, { name: policyRef.name, namespace: release.namespace }, signal);
  if (policy === undefined) return refused('HR-FW-201', `ConfigMap ${release.namespace}/${policyRef.name} cannot be read`);
  const roots = filesOf(policy);
  const pinned = pinOf(deps.pinned, roots);
  const memory = await rememberedRoot(deps.client, deps.namespace, pinned, signal);
  if (memory.is === 'missing') return refused('HR-FW-202', memory.found);
  const chain = advance(pinned, memory.remembered, roots, now);
  const { remembered } = chain;
  if (remembered !== undefined && (remembered.version !== memory.remembered?.version || remembered.digest !== memory.remembered.digest))
    await remember(deps.client, { namespace: deps.namespace, pinned, resourceVersion: memory.resourceVersion }, remembered, signal);
  if (!chain.ok) return wrong('Root', chain.problem, `ConfigMap ${policyRef.name}`);
  const verified = verifyRelease(Buffer.from(envelope), chain.root);
  if (!verified.ok) return wrong('Artifact', verified.problem, 'spec.trust.envelope');
  const { facts, signers, digest } = verified.value;
  const difference = differenceOf(release.spec, facts);
  if (difference !== undefined) return { ...refused('HR-FW-203', difference), about: 'Artifact' };
  return { ok: true, manifestDigest: `sha256:${digest}`, signers, rootVersion: chain.root.version, pinned, roots };
}

/** What may not be read is as good as not there: RBAC names the ConfigMaps of trust policies. */
async function policyOf(
  client: Pick<KubeClient, 'get'>,
  ref: { name: string; namespace: string },
  signal: AbortSignal,
): Promise<ConfigMap | undefined> {
  try {
    return await client.get<ConfigMap>(CONFIG_MAPS, ref, signal);
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}

function filesOf({ data, binaryData }: ConfigMap): Map<string, Uint8Array> {
  return new Map<string, Uint8Array>([
    ...Object.entries(data ?? {}).map(([name, text]) => [name, Buffer.from(text)] as const),
    ...Object.entries(binaryData ?? {}).map(([name, base64]) => [name, Buffer.from(base64, 'base64')] as const),
  ]);
}

/** The pin that is about this first root; where none is, any of them refuses it. */
function pinOf(pinned: readonly string[], roots: ReadonlyMap<string, Uint8Array>): string {
  const digest = createHash('sha256')
    .update(roots.get('1.root.json') ?? '')
    .digest('hex');
  return pinned.find((one) => one === digest) ?? pinned[0] ?? '';
}

const refused = (code: ReleaseCode, found: string): Untrusted => ({
  ...{ ok: false, about: 'Root', reason: reasonOf(code), message: explain(code, found) },
});

const wrong = (about: Untrusted['about'], problem: Problem, where: string): Untrusted => ({
  ...{ ok: false, about, reason: reasonOfFirmware(problem), message: explainFirmware(problem, where) },
});
