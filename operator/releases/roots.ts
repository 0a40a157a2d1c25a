// The memory of trust roots: the newest that was ever accepted, by the digest of the first. It lies where nobody who writes roots can write, and a root is written down
// before it is used (docs/adr/0026-firmware-trust.md).
import type { ObjectMeta } from '../api/meta.ts';
import { CONFIG_MAPS } from '../api/resources.ts';
import type { Remembered } from '../firmware/firmware.ts';
import type { KubeClient } from '../kube/client.ts';

/** Made by the chart, empty. */
const MEMORY = 'hedgerow-firmware-roots';
const DIGEST = /^[0-9a-f]{64}$/;

export type ConfigMap = { metadata: ObjectMeta; data?: Record<string, string>; binaryData?: Record<string, string> };

/** `missing`: what cannot be read is not the same as nothing that was accepted. */
export type Memory = { is: 'missing'; found: string } | { is: 'known'; remembered: Remembered | undefined; resourceVersion: string };

export async function rememberedRoot(
  client: Pick<KubeClient, 'get'>,
  namespace: string,
  pinned: string,
  signal: AbortSignal,
): Promise<Memory> {
  const map = await client.get<ConfigMap>(CONFIG_MAPS, { name: MEMORY, namespace }, signal);
  if (map === undefined) return { is: 'missing', found: `there is no ConfigMap ${namespace}/${MEMORY}` };
  const written = map.data?.[pinned];
  const remembered = written === undefined ? undefined : read(written);
  if (written !== undefined && remembered === undefined)
    return { is: 'missing', found: `ConfigMap ${namespace}/${MEMORY}: what is written of ${pinned} cannot be read` };
  return { is: 'known', remembered, resourceVersion: map.metadata.resourceVersion ?? '' };
}

/** Rejects with a conflict where somebody else wrote since it was read. */
export async function remember(
  client: Pick<KubeClient, 'mergePatch'>,
  place: { namespace: string; pinned: string; resourceVersion: string },
  { version, digest }: Remembered,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, pinned, resourceVersion } = place;
  const data = { [pinned]: JSON.stringify({ version, digest }) };
  await client.mergePatch(CONFIG_MAPS, { name: MEMORY, namespace }, { metadata: { resourceVersion }, data }, {}, signal);
}

function read(text: string): Remembered | undefined {
  try {
    const { version, digest } = JSON.parse(text) as { version?: unknown; digest?: unknown };
    if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) return undefined;
    return typeof digest === 'string' && DIGEST.test(digest) ? { version, digest } : undefined;
  } catch {
    return undefined;
  }
}
