// A directive read back from the broker, by the driver that comes after the one that sent it. Nothing of it is believed that a directive key of the site has not signed.
import { X509Certificate } from 'node:crypto';
import { siteUri } from '../api/names.ts';
import { isSignedBy, readEnvelope } from './dsse.ts';
import { readBounded } from './json.ts';
import { type Directive, isDirective } from './messages.ts';
import { DIRECTIVE_TYPE, MOST_BYTES } from './protocol.ts';

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

/**
 * `ca`: the one that issues the directive keys. Undefined for anything but a directive for this device, signed by a key that this CA gave to this site. Whether the
 * certificate has run out since does not matter: it was good when it signed, and what is taken from the directive is signed again.
 */
export function readDirective(
  device: string,
  bytes: Uint8Array,
  { ca, site }: { ca: X509Certificate; site: string },
): Directive | undefined {
  const envelope = readEnvelope(bytes, MOST_BYTES.directive);
  const [signature] = envelope?.signatures ?? [];
  if (envelope?.payloadType !== DIRECTIVE_TYPE || envelope.signatures.length !== 1 || signature === undefined) return undefined;
  const leaf = leafOf(signature.x5c ?? [], ca);
  if (leaf === undefined || leaf.ca || leaf.subjectAltName !== `URI:${siteUri(site)}`) return undefined;
  if (!(leaf.keyUsage ?? []).includes(CODE_SIGNING) || !isSignedBy(envelope, signature, leaf.publicKey)) return undefined;
  const directive = readBounded(envelope.payload, MOST_BYTES.directive);
  return isDirective(directive) && directive.aud === device ? directive : undefined;
}

/** The certificate that signed, where each of the chain is issued by the next and the last by the CA. */
function leafOf(ders: readonly Buffer[], ca: X509Certificate): X509Certificate | undefined {
  const chain = ders.map(parsed);
  if (chain.length === 0 || chain.includes(undefined)) return undefined;
  const whole = [...chain.filter((one) => one !== undefined), ca];
  const isUnbroken = whole.slice(1).every((issuer, at) => {
    const one = whole[at];
    return issuer.ca && one?.checkIssued(issuer) === true && one.verify(issuer.publicKey);
  });
  return isUnbroken ? whole[0] : undefined;
}

function parsed(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
