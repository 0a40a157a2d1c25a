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

/**
 * The way from the certificate to an anchor over intermediates that the client sent, each valid now: leaf, intermediates, anchor; undefined when there is none.
 * Anchors are trusted as they stand (RFC 5280 §6.1.1 d).
 */
export function pathTo(
  certificate: X509Certificate,
  sent: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  now: number,
): X509Certificate[] | undefined {
  const unused = sent.slice(0, MOST_INTERMEDIATES);
  const path = [certificate];
  for (let last = certificate; path.length <= MOST_INTERMEDIATES + 1; ) {
    const anchor = anchors.find((candidate) => signed(candidate, last));
    if (anchor !== undefined) return [...path, anchor];
    const at = unused.findIndex((candidate) => candidate !== last && isValidAt(candidate, now) && signed(candidate, last));
    const [next] = at < 0 ? [] : unused.splice(at, 1);
    if (next === undefined) return undefined;
    path.push(next);
    last = next;
  }
  return undefined;
}

/** Whether these certificates, leaf first, are such a way. */
export function isPath(path: readonly X509Certificate[], now: number): boolean {
  const anchor = path.at(-1);
  if (anchor === undefined || path.length < 2 || path.length > MOST_INTERMEDIATES + 2) return false;
  return path.slice(0, -1).every((certificate, i) => {
    const issuer = path[i + 1];
    return isValidAt(certificate, now) && issuer !== undefined && signed(issuer, certificate);
  });
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
