// Whether a Device may have a one-time token, and what its device does with it. Pure.
import type { Device } from '../api/device.ts';
import { deviceName, segmentName } from '../api/names.ts';
import { findCondition } from '../runtime/conditions.ts';
import { explain } from './errors.ts';

/** 256 bits of randomness as text that every client can send by HTTP authentication, and a shell can hold (RFC 4648 §5). */
export function tokenText(random: Buffer): string {
  // A cell that begins with a sign is a formula to a spreadsheet, a word that does so a flag to a shell. It costs a twentieth of a bit.
  return random.toString('base64url').replace(/^[-_]/, 'h');
}

/** The refusal, a line with its code; undefined where a token would be worth something. */
export function tokenRefusal(device: Device | undefined, place: string): string | undefined {
  if (device === undefined) return explain('HR-CLI-005', place);
  const { identity, lifecycle } = device.spec;
  if (identity?.enrollment !== 'EST') return explain('HR-CLI-040', `${place} has enrollment: ${identity?.enrollment ?? 'CSR'}`);
  if ((identity.est?.bootstrap ?? 'Token') !== 'Token') return explain('HR-CLI-040', `${place} proves itself by its factory certificate`);
  const revoked = findCondition(device.status?.conditions, 'Revoked');
  // As the EST server sees it: also while the operator is still about to find out.
  if (lifecycle === 'Revoked' || (revoked !== undefined && revoked.status !== 'False')) return explain('HR-CLI-041', place);
  return undefined;
}

/** What to type on the device. The token is read from the terminal: a command line is visible to every process. */
export function tokenCommands(device: Device, url: string): string {
  const { name = '', namespace = '' } = device.metadata;
  const client = deviceName(name, namespace);
  const subject = `/O=hedgerow/OU=${segmentName(device.spec.segment, namespace)}/CN=${client}`;
  const { host, hostname } = new URL(url);
  return [
    `# on the device of ${namespace}/${name}; est-ca.crt is the CA of the EST server's own certificate`,
    `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${name}.key -outform DER -out ${name}.csr -subj ${subject}`,
    `base64 ${name}.csr > body`,
    "IFS= read -rs token      # paste the token and press Enter; it isn't shown and stands on no command line",
    `(umask 077 && printf 'machine ${hostname} login ${client} password %s\\n' "$token" > netrc)`,
    `curl --fail-with-body --cacert est-ca.crt --netrc-file netrc -H 'Content-Type: application/pkcs10' --data-binary @body \\`,
    `  https://${host}/.well-known/est/simpleenroll -o answer && base64 -d answer | openssl pkcs7 -inform DER -print_certs -out ${name}.crt`,
    'rm netrc',
    '# "202" or no answer: the same again, with the same request. Later: curl --key and --cert, /simplereenroll.',
    '',
  ].join('\n');
}
