// The alert with which a TLS handshake ended, as a device logs it, and what it means between a device and the broker. Pure.
import { type CliCode, ERRORS } from './errors.ts';
import { WrongUse } from './parse.ts';

export type TlsAlert = { number: number; name: string };
type Meaning = TlsAlert & { means: string; cure: string };

/** RFC 8446 §6.2 and RFC 5246 §7.2.2; what EMQX sends when was seen at one (emqx.md §2). */
const ALERTS: readonly Meaning[] = [
  {
    ...{ number: 40, name: 'handshake_failure' },
    means: 'in TLS 1.2 the device showed no certificate, or both sides have no cipher in common',
    cure: 'let the device show its certificate, and speak TLS 1.2 with ECDHE or TLS 1.3',
  },
  {
    ...{ number: 42, name: 'bad_certificate' },
    means:
      'the broker checks revocation lists and has none that it can use for the CA of this certificate, or the certificate does not read',
    cure: 'fetch the list from where the certificate says (crlDistributionPoints), from the place of the broker: it must answer, and its nextUpdate must not be over (docs/guides/crl.md)',
  },
  {
    ...{ number: 43, name: 'unsupported_certificate' },
    means: 'the certificate is not one for clients',
    cure: 'let the device use the certificate that Hedgerow gave it: kubectl hedgerow identity shows its fingerprint',
  },
  {
    ...{ number: 44, name: 'certificate_revoked' },
    means: 'the revocation list of its CA names the certificate',
    cure: 'nothing takes that back; give the device a new key and certificate',
  },
  {
    ...{ number: 45, name: 'certificate_expired' },
    means: "the certificate is over by the broker's clock",
    cure: "see that the device uses its newest certificate (kubectl hedgerow identity), and that the broker's clock is right",
  },
  {
    ...{ number: 46, name: 'certificate_unknown' },
    means: 'one side does not accept the certificate of the other, for a reason that it keeps to itself',
    cure: 'see whether the device trusts the broker: --mqtt with --mqtt-ca-file; then whether it uses the certificate that kubectl hedgerow identity shows',
  },
  {
    ...{ number: 48, name: 'unknown_ca' },
    means: 'one side does not know the CA of the other',
    cure: "sent by the broker: add the device's CA to the CA bundle of the listener; sent by the device: give it the CA of the broker (--mqtt-ca-file tries that)",
  },
  {
    ...{ number: 51, name: 'decrypt_error' },
    means: 'the key that the device has is not that of the certificate that it shows',
    cure: 'let the device use the key for which this certificate was made: openssl x509 -noout -pubkey and openssl pkey -pubout must print the same',
  },
  {
    ...{ number: 70, name: 'protocol_version' },
    means: 'both sides have no version of TLS in common',
    cure: 'let the device speak TLS 1.2 or 1.3, or see versions of the listener',
  },
  {
    ...{ number: 112, name: 'unrecognized_name' },
    means: 'the broker, or what stands before it, has no certificate for the name that the device asks for (SNI)',
    cure: 'let the device connect by a name that the listener has a certificate for',
  },
  {
    ...{ number: 116, name: 'certificate_required' },
    means: 'the device showed no certificate',
    cure: 'let the device show its certificate: the client library wants key and certificate, not the CA alone',
  },
];

/** `45`, `certificate_expired`, `sslv3 alert certificate expired`, `SSL alert number 45`: as libraries write it. */
export function tlsAlertOf(text: string): TlsAlert {
  const number = /(?:^|number[ :]+|alert[ :]+)(\d{1,3})\b/i.exec(text)?.[1];
  const words = text.toLowerCase().replace(/[^a-z0-9]+/g, '_');
  const found = ALERTS.find((alert) => (number === undefined ? words.includes(alert.name) : alert.number === Number(number)));
  if (found === undefined) throw new WrongUse(`--tls-alert: none of ${ALERTS.map(({ number: n, name }) => `${n} ${name}`).join(', ')}`);
  return { number: found.number, name: found.name };
}

const CODE: CliCode = 'HR-CLI-026';

export function alertFinding({ number, name }: TlsAlert): { code: CliCode; weight: 'stops'; found: string; cure: string } {
  const known = ALERTS.find((alert) => alert.number === number);
  const found = `alert ${number} (${name}): ${known?.means ?? ERRORS[CODE].cause}`;
  return { code: CODE, weight: 'stops', found, cure: known?.cure ?? ERRORS[CODE].cure };
}
