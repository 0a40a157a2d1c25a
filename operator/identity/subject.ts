// The one subject a device certificate may have. The broker takes the client id from CN and the segment from OU, so a `+`, `#`, `/` or `,` in
// either would widen topic rules: both are checked here before anything is signed.
import { LABEL_PATTERN, MAX_WIRE_NAME } from '../api/names.ts';

export type Subject = { organization: 'hedgerow'; organizationalUnit: string; commonName: string };

const LABEL = new RegExp(LABEL_PATTERN);

/** `O=hedgerow, OU=<segment>.<namespace>, CN=<device>.<namespace>`, or undefined when the names do not make one. */
export function dictatedSubject(device: { name: string; namespace: string; segment: string }): Subject | undefined {
  const commonName = wireName(device.name, device.namespace);
  const organizationalUnit = wireName(device.segment, device.namespace);
  if (commonName === undefined || organizationalUnit === undefined) return undefined;
  return { organization: 'hedgerow', organizationalUnit, commonName };
}

/** The three relative distinguished names in the order in which the certificate must carry them. */
export function relativeNames(subject: Subject): readonly { oid: string; short: 'O' | 'OU' | 'CN'; value: string }[] {
  return [
    { oid: '2.5.4.10', short: 'O', value: subject.organization },
    { oid: '2.5.4.11', short: 'OU', value: subject.organizationalUnit },
    { oid: '2.5.4.3', short: 'CN', value: subject.commonName },
  ];
}

/** `/O=hedgerow/OU=office.berlin/CN=thermo-17.berlin`, as `openssl req -subj` takes it. */
export function opensslSubject(subject: Subject): string {
  return relativeNames(subject)
    .map((name) => `/${name.short}=${name.value}`)
    .join('');
}

/** The command that makes the right key and request. It holds nothing that a shell would interpret: the grammar of the names sees to that. */
export function opensslCommand(subject: Subject): string {
  const file = subject.commonName.split('.')[0];
  return `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${file}.key -out ${file}.csr -subj ${opensslSubject(subject)}`;
}

function wireName(label: string, namespace: string): string | undefined {
  const name = `${label}.${namespace}`;
  return LABEL.test(label) && LABEL.test(namespace) && name.length <= MAX_WIRE_NAME ? name : undefined;
}
