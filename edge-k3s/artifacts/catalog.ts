// One verified release as the operator writes it into a ConfigMap: what may be served, by digest. Nothing here is believed but digests: devices verify the rest. Pure.
import { createHash } from 'node:crypto';
import { Refused } from './errors.ts';
import { readFileUrl, readReference, type Source } from './reference.ts';

export type CatalogArtifact = { /** SHA-256, 64 hex digits. */ hex: string; size: number; source: Source };

export type Catalog = {
  artifacts: readonly CatalogArtifact[];
  /** SHA-256 of the payload, and the envelope. */
  release: { hex: string; envelope: Buffer };
  /** SHA-256 of 1.root.json, and the roots by number; undefined where it has none. */
  roots: { hex: string; files: ReadonlyMap<number, Buffer> } | undefined;
};

const RELEASE_FILE = 'release.json';
const ENVELOPE_FILE = 'envelope.json';
const ROOT_FILE = /^([1-9][0-9]{0,9})\.root\.json$/;
/** docs/reference/firmware-protocol.md: what a device takes at the most. */
const MOST_ENVELOPE_BYTES = 65_536;
const MOST_ROOT_BYTES = 524_288;
const MOST_ARTIFACTS = 16;
/** 64 GiB: spec.artifacts[].size. */
const MOST_SIZE = 0x10_0000_0000;
const DIGEST = /^sha256:([0-9a-f]{64})$/;

/** `files`: the keys of the ConfigMap, or the files of a directory, by name. Throws `Refused` HR-FW-430. */
export function readCatalog(files: ReadonlyMap<string, Buffer>): Catalog {
  const release = object(parsed(files.get(RELEASE_FILE), RELEASE_FILE), RELEASE_FILE);
  const artifacts = release.artifacts;
  if (!Array.isArray(artifacts) || artifacts.length > MOST_ARTIFACTS) return wrong(`${RELEASE_FILE} has no list of at most 16 artifacts`);
  return {
    artifacts: artifacts.map(artifactOf),
    release: { hex: hexOf(release.manifestDigest, 'manifestDigest'), envelope: envelopeOf(files, release.manifestDigest) },
    roots: rootsOf(files),
  };
}

function artifactOf(one: unknown, at: number): CatalogArtifact {
  const { digest, size, oci, url } = object(one, `artifact ${at}`);
  const source = typeof oci === 'string' ? readReference(oci) : typeof url === 'string' ? readFileUrl(url) : undefined;
  if (source === undefined) return wrong(`artifact ${at} has neither an oci reference by digest nor an https url`);
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > MOST_SIZE) return wrong(`size of artifact ${at} is none`);
  return { hex: hexOf(digest, `digest of artifact ${at}`), size, source };
}

function envelopeOf(files: ReadonlyMap<string, Buffer>, digest: unknown): Buffer {
  const bytes = files.get(ENVELOPE_FILE);
  if (bytes === undefined || bytes.length > MOST_ENVELOPE_BYTES) return wrong(`${ENVELOPE_FILE} is missing or has more than 64 KiB`);
  const { payload } = object(parsed(bytes, ENVELOPE_FILE), ENVELOPE_FILE);
  if (typeof payload !== 'string' || digest !== `sha256:${sha256(Buffer.from(payload, 'base64'))}`)
    return wrong(`the payload of ${ENVELOPE_FILE} does not have the digest that ${RELEASE_FILE} says`);
  return bytes;
}

function rootsOf(files: ReadonlyMap<string, Buffer>): Catalog['roots'] {
  const roots = new Map<number, Buffer>();
  for (const [name, bytes] of files) {
    const number = ROOT_FILE.exec(name)?.[1];
    if (number === undefined) continue;
    if (bytes.length > MOST_ROOT_BYTES) return wrong(`${name} has more than 512 KiB`);
    roots.set(Number(number), bytes);
  }
  const first = roots.get(1);
  if (first === undefined) return roots.size === 0 ? undefined : wrong('there are roots, and no 1.root.json');
  return { hex: sha256(first), files: roots };
}

function parsed(bytes: Buffer | undefined, name: string): unknown {
  if (bytes === undefined) return wrong(`${name} is missing`);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return wrong(`${name} is no JSON`);
  }
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong(`${what} is no object`);
  return value as Record<string, unknown>;
}

function hexOf(digest: unknown, what: string): string {
  return (typeof digest === 'string' ? DIGEST.exec(digest)?.[1] : undefined) ?? wrong(`${what} is no sha256 digest`);
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function wrong(found: string): never {
  throw new Refused('HR-FW-430', found);
}
