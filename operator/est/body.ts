// From the bytes that a stranger sent to a PEM text that the gate for requests can judge. Pure.
import { type Refusal, refuse } from './errors.ts';

/** RSA 8192 without attributes is 3.0 KiB in base64; with line ends and room to spare. */
export const MAX_BODY_BYTES = 8_000;

/** RFC 8951 §3.1: base64 whatever the Content-Transfer-Encoding header says, and white space in it means nothing. */
export function pemOfBody(body: Buffer): { pem: string } | Refusal {
  if (body.length > MAX_BODY_BYTES) return refuse('HR-EST-031');
  const text = body.toString('latin1').replace(/[\t\r\n ]/g, '');
  if (text === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return refuse('HR-EST-030');
  const der = Buffer.from(text, 'base64');
  // Node skips what it does not understand; encoding again shows whether it skipped anything.
  if (der.toString('base64') !== text) return refuse('HR-EST-030');
  const lines = text.match(/.{1,64}/g) ?? [];
  return { pem: `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n` };
}

export function isPkcs10(contentType: string | undefined): boolean {
  return /^application\/pkcs10\s*(;|$)/i.test(contentType ?? '');
}
