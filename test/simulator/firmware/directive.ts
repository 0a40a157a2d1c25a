// A directive as a device judges it: docs/reference/firmware-protocol.md, "What a device checks, in this order".
import { X509Certificate } from 'node:crypto';
import { type Envelope, isSigned, openEnvelope, parseJson } from './envelope.ts';
import { type Directive, directiveOf } from './form.ts';

/** What the device keeps of the last directive that it took, one for each component. */
export type Floor = { epoch: number; fence: number; seq: number; nonce: string };

export type Facts = {
  device: string;
  /** The pinned directive CAs. */
  cas: readonly X509Certificate[];
  /** Seconds; undefined without a clock. */
  now: number | undefined;
  /** Of this boot. */
  nonce: string;
  floors: Readonly<Record<string, Floor>>;
};

export type Drop = 'envelope' | 'certificate' | 'signature' | 'form' | 'audience' | 'epoch' | 'fence' | 'sequence' | 'echo';
export type Judged =
  | { verdict: 'dropped'; why: Drop }
  /** `expired`: it is to be answered by Rejected 6. */
  | { verdict: 'new' | 'known' | 'expired'; directive: Directive; floor: Floor };

const TYPE = 'application/vnd.hedgerow.firmware.directive.v1+json';
const MOST_BYTES = 16_384;
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

export function judge(bytes: Uint8Array, facts: Facts): Judged {
  const envelope = openEnvelope(bytes, MOST_BYTES);
  const [signature] = envelope?.signatures ?? [];
  if (envelope === undefined || signature === undefined || envelope.type !== TYPE || envelope.signatures.length !== 1)
    return drop('envelope');
  const leaf = leafOf(envelope, facts);
  if (leaf === undefined) return drop('certificate');
  if (!isSigned(envelope, signature, leaf.publicKey)) return drop('signature');
  const directive = directiveOf(tryParse(envelope.payload));
  if (directive === undefined) return drop('form');
  if (directive.aud !== facts.device) return drop('audience');
  return inOrder(directive, begin(leaf), facts);
}

/** Beyond signature and form: whether it is newer than what was taken, and of now. */
export function inOrder(directive: Directive, epoch: number, { floors, now, nonce }: Facts): Judged {
  const { fence, seq, component } = directive;
  const last = floors[component] ?? { epoch: 0, fence: 0, seq: 0, nonce: '' };
  if (epoch < last.epoch) return drop('epoch');
  const isSameEpoch = epoch === last.epoch;
  if (isSameEpoch && fence < last.fence) return drop('fence');
  const floor = { epoch, fence, seq, nonce: directive.nonce };
  if (seq === last.seq && directive.nonce === last.nonce) return { verdict: 'known', directive, floor };
  if (isSameEpoch && seq <= last.seq) return drop('sequence');
  const highest = Math.max(epoch, ...Object.values(floors).map((one) => one.epoch));
  if (now === undefined || now < highest) return directive.echo === nonce ? { verdict: 'new', directive, floor } : drop('echo');
  return { verdict: now < directive.exp ? 'new' : 'expired', directive, floor };
}

/** The certificate that signed, if it leads to a pinned CA and is for directives of this device's site. */
function leafOf({ signatures }: Envelope, { cas, device, now, floors }: Facts): X509Certificate | undefined {
  const ders = signatures[0]?.x5c ?? [];
  if (ders.length < 1 || ders.length > 3 || ders.some(({ length }) => length > 2048)) return undefined;
  try {
    const chain = ders.map((der) => new X509Certificate(der));
    const [leaf, ...between] = chain;
    if (leaf === undefined || leaf.ca || between.some(({ ca }) => !ca)) return undefined;
    const isLinked = chain.every((one, at) => {
      const issuers = at + 1 < chain.length ? chain.slice(at + 1, at + 2) : cas;
      return issuers.some((issuer) => issuer.ca && one.checkIssued(issuer) && one.verify(issuer.publicKey));
    });
    const site = device.slice(device.indexOf('.') + 1);
    const isFor = leaf.subjectAltName === `URI:urn:hedgerow:firmware:directive:${site}` && (leaf.keyUsage ?? []).includes(CODE_SIGNING);
    const knowsTime = now !== undefined && now >= Math.max(begin(leaf), ...Object.values(floors).map(({ epoch }) => epoch));
    const isOver = knowsTime && chain.some((one) => now >= one.validToDate.getTime() / 1000);
    return isLinked && isFor && !isOver ? leaf : undefined;
  } catch {
    return undefined;
  }
}

const begin = (certificate: X509Certificate): number => Math.floor(certificate.validFromDate.getTime() / 1000);
const drop = (why: Drop): Judged => ({ verdict: 'dropped', why });

function tryParse(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes);
  } catch {
    return undefined;
  }
}
