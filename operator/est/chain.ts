// Who signed a certificate. Cryptographically, name by name, by our own rules: what the TLS library says of a client certificate is never asked.
import { X509Certificate } from 'node:crypto';

/** The certificates in a PEM text, in order; undefined when one does not read or there is none. */
export function readPem(text: string): X509Certificate[] | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    return certificates.length === 0 ? undefined : certificates;
  } catch {
    return undefined;
  }
}

/** True when one of the CAs signed it. The name alone does not do: anybody may call a CA so. */
export function isSignedByOneOf(certificate: X509Certificate, authorities: readonly X509Certificate[], now: number): boolean {
  return authorities.some((authority) => isValidAt(authority, now) && signed(authority, certificate));
}

/** Intermediates that a client sends are few; more is an attack on our time. */
const MOST_INTERMEDIATES = 4;

/** True when the certificate leads to an anchor over intermediates that the client sent, each valid now. Anchors are trusted as they stand (RFC 5280 §6.1.1 d). */
export function leadsTo(
  certificate: X509Certificate,
  sent: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  now: number,
): boolean {
  const unused = sent.slice(0, MOST_INTERMEDIATES);
  let last = certificate;
  for (let depth = 0; depth <= MOST_INTERMEDIATES; depth++) {
    if (anchors.some((anchor) => signed(anchor, last))) return true;
    const at = unused.findIndex((candidate) => candidate !== last && isValidAt(candidate, now) && signed(candidate, last));
    const [next] = at < 0 ? [] : unused.splice(at, 1);
    if (next === undefined) return false;
    last = next;
  }
  return false;
}

export function isValidAt(certificate: X509Certificate, now: number): boolean {
  return certificate.validFromDate.getTime() <= now && now < certificate.validToDate.getTime();
}

function signed(authority: X509Certificate, certificate: X509Certificate): boolean {
  try {
    // `checkIssued`: names, key identifiers, and that the authority's usages let it sign certificates.
    return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    return false;
  }
}
