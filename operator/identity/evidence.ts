// What the EST server hands on of a device that nobody made a Device for: the policy that is to let it in, and its factory certificate with the way to the
// manufacturer's CA. The operator looks at the signatures itself: the process that talks with strangers is not taken at its word (docs/adr/0011-just-in-time.md).
import { createHash, X509Certificate } from 'node:crypto';
import { isPath } from './chain.ts';
import { factoryFacts } from './factory.ts';
import type { FactoryIdentity } from './registered-device.ts';
import { isSerial } from './serial-list.ts';

/** `segment`: name of the SegmentPolicy. `path`: leaf, intermediates, CA; each DER in base64. */
export type Evidence = { segment: string; device: string; path: string };

const REGISTERS = 'hedgerow.dev/registers';
const PATH = 'hedgerow.dev/factory-path';
/** A P-256 certificate is under 1 KiB, one of RSA 4096 under 2; six of them make a path. The API server takes 256 KiB of annotations. */
const MOST_PATH_CHARS = 24_576;

export function evidenceOf(segment: string, device: string, path: readonly X509Certificate[]): Evidence | undefined {
  const text = path.map((certificate) => certificate.raw.toString('base64')).join(' ');
  return text.length > MOST_PATH_CHARS ? undefined : { segment, device, path: text };
}

export function evidenceAnnotations({ segment, device, path }: Evidence): Record<string, string> {
  return { [REGISTERS]: `${segment}/${device}`, [PATH]: path };
}

export function readEvidence(annotations: Readonly<Record<string, string>> | undefined): Evidence | undefined {
  const [, segment, device] = /^([a-z0-9-]{1,62})\/([a-z0-9-]{1,62})$/.exec(annotations?.[REGISTERS] ?? '') ?? [];
  const path = annotations?.[PATH] ?? '';
  return segment === undefined || device === undefined || path.length > MOST_PATH_CHARS ? undefined : { segment, device, path };
}

/** Who the path proves the device to be; undefined when it proves nothing. Never throws. */
export function judgeEvidence(evidence: Evidence, now: number): FactoryIdentity | undefined {
  try {
    const path = evidence.path.split(' ').map((text) => new X509Certificate(Buffer.from(text, 'base64')));
    return isPath(path, now) ? factoryIdentity(path) : undefined;
  } catch {
    return undefined;
  }
}

/** Of a path that was found to be one; undefined when the two serial numbers in the leaf are not the same, or nothing that a Device could have. */
export function factoryIdentity(path: readonly X509Certificate[]): FactoryIdentity | undefined {
  const [leaf, anchor] = [path[0], path.at(-1)];
  if (leaf === undefined || anchor === undefined) return undefined;
  const { serialNumber, hardwareSerial } = factoryFacts(leaf);
  if (serialNumber === undefined || serialNumber !== hardwareSerial || !isSerial(serialNumber)) return undefined;
  return { ca: sha256(anchor.raw), serial: serialNumber, factoryKey: factoryKeyOf(leaf) };
}

export function factoryKeyOf(leaf: X509Certificate): string {
  return sha256(leaf.publicKey.export({ type: 'spki', format: 'der' }));
}

export function fingerprintOf(certificate: X509Certificate): string {
  return sha256(certificate.raw);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
