// Whether a client certificate proves that a device is the Device. Pure: what was found out about the certificate comes in, a refusal or nothing goes out.
// Nothing here is taken from the TLS library's verdict: it says "expired" also of an expired certificate of a stranger's CA with the name of ours.
import { type CertificateFacts, type EstDevice, type FactoryFacts, factoryCertificates, type LedgerEntry } from '../identity/identity.ts';
import { type Refusal, refuse } from './errors.ts';

/** A certificate that begins this far in the future was made by an issuer whose clock differs from ours. */
const CLOCK_SKEW_MS = 300_000;

export type OwnCertificate = {
  now: number;
  facts: CertificateFacts;
  /** The signature of one of the fleet's CAs verifies. */
  signedByOurs: boolean;
  /** What the ledger says of this very certificate. */
  entry: LedgerEntry | undefined;
  /** The Device of the entry, as it is now. */
  device: EstDevice | undefined;
};

/** The current certificate of a device, a superseded one, one of another CA that the manifest named, or one that expired within the offlineBudget (design/api.md). */
export function judgeOwnCertificate({ now, facts, signedByOurs, entry, device }: OwnCertificate): Refusal | undefined {
  const isExisting = entry?.via === 'Existing' && entry.sha256 === facts.sha256;
  if (!signedByOurs && !isExisting) return refuse('HR-EST-010');
  if (entry === undefined || entry.sha256 !== facts.sha256 || device === undefined || device.uid !== entry.deviceUid)
    return refuse('HR-EST-011');
  if (entry.revoked !== undefined) return refuse('HR-EST-012', `certificate ${facts.serial} is revoked`);
  if (device.revoked) return refuse('HR-EST-006');
  const named = `O=hedgerow\nOU=${entry.segment}\nCN=${device.name}.${device.namespace}`;
  // One of another CA was held to the rules for such when the operator recorded it; the ledger names its very bytes.
  if (!isExisting && (!facts.dictatedUsages || facts.subject !== named)) return refuse('HR-EST-015');
  if (facts.isCa || facts.spki !== entry.spki) return refuse('HR-EST-015');
  if (Date.parse(facts.notBefore) > now + CLOCK_SKEW_MS) return refuse('HR-EST-014');
  if (Date.parse(facts.notAfter) + device.offlineBudgetMs <= now) {
    const allowed = device.offlineBudgetMs === 0 ? 'and its Device has no spec.offlineBudget' : 'and spec.offlineBudget has run out since';
    return refuse('HR-EST-013', `certificate ${facts.serial} expired at ${facts.notAfter}, ${allowed}`);
  }
  return undefined;
}

export type FactoryCertificate = {
  device: EstDevice | undefined;
  /** Leads to the CA that the segment names, and is valid now. */
  leadsToManufacturer: boolean;
  factory: FactoryFacts;
  /** The CA that it leads to, and its own key. */
  proof: { ca: string; key: string };
};

export function judgeFactoryCertificate({ device, leadsToManufacturer, factory, proof }: FactoryCertificate): Refusal | undefined {
  // One answer for all that a stranger could otherwise find out about names of Devices.
  if (device === undefined || device.bootstrap !== 'Manufacturer') return refuse('HR-EST-005');
  if (!leadsToManufacturer) return refuse('HR-EST-021');
  if (device.revoked) return refuse('HR-EST-006');
  if (factory.serialNumber === undefined || factory.serialNumber !== factory.hardwareSerial) return refuse('HR-EST-022');
  if (device.serial !== factory.serialNumber) return refuse('HR-EST-023');
  return factoryCertificates.isFactoryOf(device, proof) ? undefined : refuse('HR-EST-024');
}
