// The certificate of one Device as its status and the ledger show it. Pure.
import { X509Certificate } from 'node:crypto';
import type { Device } from '../api/device.ts';
import { deviceName, segmentName } from '../api/names.ts';
import { readCertificate } from '../identity/identity.ts';
import { inSeconds } from './device-row.ts';
import type { LedgerLine } from './ledger.ts';
import { facts } from './table.ts';

export type DeviceIdentity = {
  namespace: string;
  name: string;
  /** What the broker forces from the certificate. */
  client: string;
  enrollment: string;
  /** `<segment>.<namespace>` */
  segment: string;
  certificate: Certificate | undefined;
  /** Undefined where it may not be read. */
  ledger: readonly LedgerLine[] | undefined;
};

export type Certificate = {
  serial: string;
  sha256: string;
  /** RFC 3339. */
  notBefore: string;
  notAfter: string;
  renewAt: string | undefined;
  /** `<kind>/<namespace>/<name>` */
  issuer: string | undefined;
  /** Only where the certificate itself is in the status; that of a Managed device is in its Secret. */
  seen: { segment: string | undefined; commonName: string | undefined; md5: string; issuerSubject: string } | undefined;
};

export function identityOf(device: Device, ledger: readonly LedgerLine[] | undefined): DeviceIdentity {
  const { name = '', namespace = '' } = device.metadata;
  const client = deviceName(name, namespace);
  return {
    ...{ namespace, name, client },
    enrollment: device.spec.identity?.enrollment ?? 'CSR',
    segment: segmentName(device.spec.segment, namespace),
    certificate: certificateOf(device),
    ledger: ledger?.filter((line) => line.device === client),
  };
}

function certificateOf({ spec, status }: Device): Certificate | undefined {
  const { issuer, renewAt, ...shown } = status?.identity ?? {};
  const existing = spec.identity?.existing?.certificate;
  const isShown = existing !== undefined && readCertificate(existing)?.sha256 === shown.fingerprint;
  const pem = status?.certificate ?? (isShown ? existing : undefined);
  const read = pem === undefined ? undefined : readCertificate(pem);
  if (read === undefined || pem === undefined) {
    const { serialNumber, fingerprint, notBefore, notAfter } = shown;
    if (notBefore === undefined || notAfter === undefined) return undefined;
    return { serial: serialNumber ?? '', sha256: fingerprint ?? '', notBefore, notAfter, renewAt, issuer, seen: undefined };
  }
  const { serial, sha256, notBefore, notAfter, md5, subject } = read;
  const seen = {
    segment: relativeName(subject, 'OU'),
    commonName: relativeName(subject, 'CN'),
    md5,
    issuerSubject: oneLine(new X509Certificate(pem).issuer),
  };
  return { serial, sha256, notBefore, notAfter, renewAt, issuer, seen };
}

/** Of a subject with one relative name a line. */
function relativeName(subject: string, type: string): string | undefined {
  return subject
    .split('\n')
    .find((line) => line.startsWith(`${type}=`))
    ?.slice(type.length + 1);
}

const oneLine = (name: string): string => name.split('\n').join(', ');

export function identityText(identity: DeviceIdentity, now: number): string {
  const { namespace, name, client, enrollment, segment, certificate, ledger } = identity;
  return facts([
    ['device', `${namespace}/${name}`],
    ['client id', client],
    ['enrollment', enrollment],
    ['segment', segmentText(segment, certificate)],
    ...(certificate === undefined
      ? ([['certificate', 'none yet; "kubectl hedgerow why" says why']] as const)
      : certificateLines(certificate, now)),
    ...ledgerLines(identity.certificate, ledger),
  ]);
}

function segmentText(segment: string, certificate: Certificate | undefined): string {
  const own = certificate?.seen?.segment;
  if (certificate === undefined) return segment;
  if (certificate.seen === undefined) return `${segment} in the manifest; the certificate is in the Secret of the device and was not read`;
  if (own === segment) return `${segment}, in manifest and certificate`;
  return own === undefined
    ? `${segment} in the manifest, none in the certificate: the device cannot connect with it`
    : `${segment} in the manifest, ${own} in the certificate: the device is moving and needs its next certificate`;
}

function certificateLines(certificate: Certificate, now: number): (readonly [string, string | undefined])[] {
  const { serial, sha256, notBefore, notAfter, renewAt, issuer, seen } = certificate;
  return [
    ['serial', serial],
    ['sha256', sha256],
    ['user name', seen === undefined ? undefined : `${seen.md5} (MD5 of the certificate, at the broker)`],
    ['valid', `${inSeconds(notBefore)} to ${inSeconds(notAfter)}, ${validity(notBefore, notAfter, now)}`],
    ['renewed at', renewAt === undefined ? undefined : inSeconds(renewAt)],
    ['issuer', [issuer, seen?.issuerSubject].filter((part) => part !== undefined).join(': ')],
  ];
}

function validity(notBefore: string, notAfter: string, now: number): string {
  if (now < Date.parse(notBefore)) return 'which has not begun by the clock of this machine';
  const left = Date.parse(notAfter) - now;
  return left <= 0 ? `expired ${span(-left)} ago` : `${span(left)} left`;
}

/** The two largest units are enough for a person. */
export function span(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.max(0, Math.floor(ms / 1000))} s`;
}

function ledgerLines(certificate: Certificate | undefined, ledger: readonly LedgerLine[] | undefined): (readonly [string, string])[] {
  if (ledger === undefined) return [['ledger', 'not readable with your rights']];
  const own = ledger.find((line) => certificate !== undefined && line.sha256 === certificate.sha256);
  const first: [string, string][] =
    certificate === undefined ? [] : [['ledger', own === undefined ? 'does not hold this certificate' : entryText(own)]];
  return [
    ...first,
    ...ledger
      .filter((line) => line !== own)
      .map((line) => ['also', `serial ${line.serial ?? 'not known yet'}: ${entryText(line)}`] as const),
  ];
}

function entryText({ via, segment, notAfter, pending, revoked, ca }: LedgerLine): string {
  const until = notAfter === undefined ? '' : ` until ${inSeconds(notAfter)}`;
  const state =
    revoked === undefined
      ? pending === true
        ? 'approved, not seen yet'
        : 'in force'
      : `revoked ${inSeconds(revoked.at ?? '')}, ${revoked.reason ?? ''} by ${revoked.by ?? ''}`;
  return `${state}; for ${segment ?? 'no segment'}, by ${via ?? 'nobody knows what'}${until}${ca === undefined ? '' : `, signed by CA ${ca}`}`;
}
