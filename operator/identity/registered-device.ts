// The Device that a factory certificate stands for: its name and its manifest. A pure function of the manufacturer's CA and the serial number, so that neither the
// stranger nor chance has a say in it, and every process comes to the same one.
import { createHash } from 'node:crypto';
import type { Device } from '../api/device.ts';
import {
  ANNOTATION_FACTORY_KEY,
  ANNOTATION_MANUFACTURER_CA,
  ANNOTATION_REGISTERED_BY,
  ANNOTATION_REGISTRATION,
  LABEL_ORIGIN,
  MAX_LABEL,
  MAX_WIRE_NAME,
  ORIGIN_JIT,
} from '../api/names.ts';
import { API_VERSION, DEVICES } from '../api/resources.ts';

/** Who a device is for its maker. `ca`, `factoryKey`: SHA-256, lower hex, of the CA certificate that its chain leads to and of the public key in the factory certificate. */
export type FactoryIdentity = { ca: string; serial: string; factoryKey: string };

/** 50 bits: of a million devices of one site, two share a name with a probability of 1 in 2,000; then the second is refused (`HR-ID-085`). */
const HASH_CHARS = 10;
const SHORTEST_STEM = 1;
const LONGEST_STEM = 40;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** `<serial as a label>-<hash>`; undefined where the namespace is so long that no name is left (X.509's 64 characters for `<name>.<namespace>`). */
export function registeredName({ ca, serial }: Pick<FactoryIdentity, 'ca' | 'serial'>, namespace: string): string | undefined {
  const room = Math.min(MAX_LABEL, MAX_WIRE_NAME - 1 - namespace.length) - HASH_CHARS - 1;
  if (room < SHORTEST_STEM) return undefined;
  const stem = serial
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, Math.min(room, LONGEST_STEM))
    .replace(/^-+|-+$/g, '');
  const hash = [...createHash('sha256').update(`${ca}\n${serial}`).digest().subarray(0, HASH_CHARS)]
    .map((byte) => ALPHABET[byte % 32])
    .join('');
  return `${stem === '' ? 'd' : stem}-${hash}`;
}

/** The Device as the operator makes it; `request` = uid of the CertificateRequest that it is made for, which no other Device can have. */
export function registeredDevice(
  ref: { name: string; namespace: string; segment: string },
  identity: FactoryIdentity,
  request: string,
): Device {
  const { name, namespace, segment } = ref;
  const annotations = {
    [ANNOTATION_REGISTERED_BY]: segment,
    [ANNOTATION_MANUFACTURER_CA]: identity.ca,
    [ANNOTATION_FACTORY_KEY]: identity.factoryKey,
    [ANNOTATION_REGISTRATION]: request,
  };
  const metadata = { name, namespace, labels: { [LABEL_ORIGIN]: ORIGIN_JIT }, annotations };
  return { apiVersion: API_VERSION, kind: DEVICES.kind, metadata, spec: specOf(segment, identity.serial) } as Device;
}

/** What a person applies where the policy wants one to: it holds nothing that a shell or YAML would interpret, the grammar of names and serial numbers sees to that. */
export function proposedManifest(ref: { name: string; namespace: string; segment: string }, identity: FactoryIdentity): string {
  const { name, namespace, segment } = ref;
  const annotations = { [ANNOTATION_MANUFACTURER_CA]: identity.ca, [ANNOTATION_FACTORY_KEY]: identity.factoryKey };
  const object = {
    apiVersion: API_VERSION,
    kind: DEVICES.kind,
    metadata: { name, namespace, annotations },
    spec: specOf(segment, identity.serial),
  };
  return JSON.stringify(object);
}

function specOf(segment: string, serial: string): object {
  return { segment, hardware: { serial }, identity: { enrollment: 'EST', est: { bootstrap: 'Manufacturer' } } };
}
