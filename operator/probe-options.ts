// The flags by which the operator is told to try what broker and network enforce. Pure: text in, options or a thrown complaint out.
import { hostPort } from './flags.ts';

/** How the operator tries what the broker enforces. `issuer.namespace`: undefined for a ClusterIssuer. */
export type ProbeFlags = {
  host: string;
  port: number;
  caFile: string | undefined;
  issuer: { kind: 'Issuer' | 'ClusterIssuer'; name: string; namespace: string | undefined };
};

export function probe(values: Record<string, unknown>): ProbeFlags | undefined {
  const given = (flag: string): string | undefined => (typeof values[flag] === 'string' ? values[flag] : undefined);
  const at = given('broker-mqtt');
  if (at === undefined) {
    const without = ['broker-mqtt-ca-file', 'probe-issuer'].find((flag) => given(flag) !== undefined);
    if (without !== undefined) throw new Error(`--${without} means nothing without --broker-mqtt`);
    return undefined;
  }
  const caFile = given('broker-mqtt-ca-file') ?? given('broker-ca-file');
  return { ...hostPort('broker-mqtt', at), caFile, issuer: probeIssuer(given('probe-issuer') ?? given('default-issuer') ?? '') };
}

export function networkCanaries(label: string | undefined): string | undefined {
  if (label !== undefined && !/^[A-Za-z0-9][-A-Za-z0-9_./]*=[A-Za-z0-9][-A-Za-z0-9_.]*$/.test(label))
    throw new Error(`--network-canaries ${label} is not LABEL=VALUE`);
  return label;
}

/** A request stands in the namespace of its Issuer: one without a namespace is not known yet when the operator starts. */
function probeIssuer(text: string): ProbeFlags['issuer'] {
  const [kind, ...words] = text.split('/');
  const [first = '', second = ''] = words;
  if (kind === 'ClusterIssuer' && words.length === 1 && first !== '') return { kind, name: first, namespace: undefined };
  if (kind === 'Issuer' && words.length === 2 && first !== '' && second !== '') return { kind, namespace: first, name: second };
  throw new Error(
    '--broker-mqtt needs --probe-issuer: ClusterIssuer/NAME or Issuer/NAMESPACE/NAME, of a CA that the broker trusts for devices',
  );
}
