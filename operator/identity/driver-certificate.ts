// The two certificates of the driver of a rollout. Its keys are made here and stay in memory; it asks, and may not approve: the operator does (driver-approver.ts).
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { ANNOTATION_WAVE, LABEL_DRIVER_CERTIFICATE, LABEL_WAVE_UID, ROLLOUT_SEGMENT, rolloutClient, siteUri } from '../api/names.ts';
import { type AskDeps, askForCertificate, type Granted } from './asked-certificate.ts';
import type { IssuerRef } from './device-facts.ts';
import { newCsr, newKey, newUriCsr, type OwnKey } from './new-csr.ts';
import type { OwnCertificate } from './own-certificate.ts';
import { USAGES } from './request-facts.ts';
import type { Subject } from './subject.ts';
import { type CertificateFacts, certificateProblem, readCertificate, termProblem } from './x509.ts';

export type DriverCertificateKind = 'mqtt' | 'directive';

export type DriverWish = {
  /** The operator's own. The issuer is a ClusterIssuer, or an Issuer of this namespace. */
  namespace: string;
  /** The FirmwareWave; its namespace is the site. */
  wave: { namespace: string; name: string; uid: string };
  shard: number;
  issuer: IssuerRef;
};

/** `remove` is for the end of the driver: without its request the broker throws the certificate out. Never rejects. */
export type DriverCertificate = OwnCertificate & { clientId: string; remove(signal: AbortSignal): Promise<void> };

/** `certificate`: PEM chain, the one that signs first. `ca`: of the CA that issues such keys, where it tells; by it those of other drivers are known. */
export type DirectiveKey = { certificate: string; key: KeyObject; notAfterMs: number; ca: string | undefined };

/** A driver that works longer asks again. */
export const DRIVER_CERTIFICATE_MS = 7 * 24 * 3_600_000;
export const DIRECTIVE_USAGES: readonly string[] = ['digital signature', 'code signing'];

/**
 * The certificate of an MQTT client with the rights of drivers. Its request stays until `remove`, the next call for this wave and shard, or the end of the wave: as long
 * as it is there, the broker takes the certificate. Rejects with a sentence for a person.
 */
export async function obtainDriverCertificate(wish: DriverWish, deps: AskDeps, signal: AbortSignal): Promise<DriverCertificate> {
  const key = newKey();
  const spki = spkiOf(key);
  const clientId = rolloutClient(spki);
  const subject = driverSubject(clientId);
  const granted = await ask(wish, 'mqtt', { csr: newCsr(subject, key), usages: USAGES }, deps, signal);
  const read = readCertificate(granted.chain);
  const asked = { subject, spki, durationMs: DRIVER_CERTIFICATE_MS, now: deps.clock.now() };
  const problem = read === undefined ? 'it does not read' : certificateProblem(read, asked);
  if (read === undefined || problem !== undefined) return await refuse(granted, problem, signal);
  const { remove } = granted;
  return { certificate: granted.chain, key: key.privateKey, md5: read.md5, notAfterMs: Date.parse(read.notAfter), clientId, remove };
}

/** A new key that signs directives for the devices of the wave's namespace. Nothing of its request is left. Rejects with a sentence for a person. */
export async function obtainDirectiveKey(wish: DriverWish, deps: AskDeps, signal: AbortSignal): Promise<DirectiveKey> {
  const key = newKey();
  const uri = siteUri(wish.wave.namespace);
  const granted = await ask(wish, 'directive', { csr: newUriCsr(uri, key), usages: DIRECTIVE_USAGES }, deps, signal);
  const read = readCertificate(granted.chain);
  const problem = read === undefined ? 'it does not read' : directiveProblem(read, granted.chain, { uri, key, now: deps.clock.now() });
  if (read === undefined || problem !== undefined) return await refuse(granted, problem, signal);
  await granted.remove(signal);
  return { certificate: granted.chain, key: key.privateKey, notAfterMs: Date.parse(read.notAfter), ca: granted.ca };
}

export function driverSubject(clientId: string): Subject {
  return { organization: 'hedgerow', organizationalUnit: ROLLOUT_SEGMENT, commonName: clientId };
}

/** One name for each driver of a wave, so that its next one finds what it left behind, and no other does. */
export function driverRequestName(waveUid: string, shard: number, kind: DriverCertificateKind): string {
  return `hedgerow-rollout-${createHash('sha256').update(`${waveUid}/${shard}`).digest('hex').slice(0, 12)}-${kind}`;
}

function ask(
  { namespace, wave, shard, issuer }: DriverWish,
  kind: DriverCertificateKind,
  what: { csr: string; usages: readonly string[] },
  deps: AskDeps,
  signal: AbortSignal,
): Promise<Granted> {
  const name = driverRequestName(wave.uid, shard, kind);
  const labels = { [LABEL_DRIVER_CERTIFICATE]: kind, [LABEL_WAVE_UID]: wave.uid };
  const annotations = { [ANNOTATION_WAVE]: `${wave.namespace}/${wave.name}` };
  const asked = { name, namespace, issuer, labels, annotations, durationMs: DRIVER_CERTIFICATE_MS, ...what };
  return askForCertificate(asked, deps, undefined, signal);
}

/** What devices would refuse (docs/reference/firmware-protocol.md), and what was not asked for. */
function directiveProblem(read: CertificateFacts, chain: string, wanted: { uri: string; key: OwnKey; now: number }): string | undefined {
  const { subjectAltName, keyUsage: usages = [] } = new X509Certificate(chain);
  if (subjectAltName !== `URI:${wanted.uri}`) return 'it is not for exactly the site of the wave';
  if (usages.length !== 1 || usages[0] !== CODE_SIGNING) return 'its usage is not exactly code signing';
  if (read.spki !== spkiOf(wanted.key)) return 'its public key is another one';
  if (read.isCa) return 'it is a CA certificate';
  return termProblem(read, { durationMs: DRIVER_CERTIFICATE_MS, now: wanted.now });
}

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

async function refuse(granted: Granted, problem: string | undefined, signal: AbortSignal): Promise<never> {
  await granted.remove(signal);
  throw new Error(`what the issuer signed is not what was asked for: ${problem}`);
}

const spkiOf = (key: OwnKey): string =>
  createHash('sha256')
    .update(key.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
