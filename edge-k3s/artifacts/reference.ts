// Where an artifact lies: `<registry>/<repository>@sha256:<hex>` as spec.artifacts[].oci of a FirmwareRelease has it, or the https URL of the file as .url has it. Pure.

export type Reference = { registry: string; repository: string /** SHA-256, 64 hex digits. */; hex: string };

/** `registry`: host and port, as for a registry. */
export type FileAt = { registry: string; url: string };
export type Source = Reference | FileAt;

/** distribution-spec: components of a repository, one dot, one or two underscores, or dashes between letters and digits. So no `..` and no empty one gets into a path. */
const COMPONENT = '[a-z0-9]+(?:(?:[.]|_{1,2}|-+)[a-z0-9]+)*';
const REGISTRY = '[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?';
const REFERENCE = new RegExp(`^(${REGISTRY})/(${COMPONENT}(?:/${COMPONENT})*)@sha256:([0-9a-f]{64})$`);
const MOST_CHARS = 512;

/** Undefined for what is no such reference. */
export function readReference(text: string): Reference | undefined {
  if (text.length > MOST_CHARS) return undefined;
  const [, registry, repository, hex] = REFERENCE.exec(text) ?? [];
  return registry === undefined || repository === undefined || hex === undefined ? undefined : { registry, repository, hex };
}

const FILE_URL = new RegExp(`^https://(${REGISTRY})/[A-Za-z0-9._~:%+/-]+$`);

/** Undefined for all but https without user, password, query and fragment, to a host that is spelled as it is: `0x7f.1` and `0` are other names of addresses. */
export function readFileUrl(text: string): FileAt | undefined {
  if (text.length > MOST_CHARS || !URL.canParse(text)) return undefined;
  const [, registry] = FILE_URL.exec(text) ?? [];
  if (registry === undefined || new URL(text).host !== registry.replace(/:443$/, '')) return undefined;
  return { registry, url: text };
}

/** Docker's own registry answers under another name than the one that everybody writes. */
const hostOf = (registry: string): string => (registry === 'docker.io' ? 'registry-1.docker.io' : registry);

export const manifestUrl = ({ registry, repository, hex }: Reference): string =>
  `https://${hostOf(registry)}/v2/${repository}/manifests/sha256:${hex}`;

export const blobUrl = ({ registry, repository }: Reference, hex: string): string =>
  `https://${hostOf(registry)}/v2/${repository}/blobs/sha256:${hex}`;
