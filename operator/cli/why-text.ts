// The findings about a device for a person, with what was looked at and what was not. Pure.
import { printable } from './adoption-text.ts';
import { inSeconds } from './device-row.ts';
import type { Finding, Observed } from './diagnosis.ts';

export function whyText(seen: Observed, findings: readonly Finding[]): string {
  const { namespace, name } = seen.identity;
  const parts = [
    `${namespace}/${name}: ${verdict(findings)}${connection(seen)}\n`,
    ...findings.map(
      (finding) => `${finding.weight.padEnd(6)}  ${finding.code}: ${printable(finding.found)}\n        Cure: ${printable(finding.cure)}\n`,
    ),
    `${lookedAt(seen)}\n`,
    ...chain(seen),
    ...acl(seen),
  ];
  return parts.join('\n');
}

function verdict(findings: readonly Finding[]): string {
  const [stops, limits] = (['stops', 'limits'] as const).map((weight) => findings.filter((finding) => finding.weight === weight).length);
  if (stops !== 0) return `cannot connect${stops === 1 ? '' : `, for ${stops} reasons`}`;
  return limits === 0 ? 'nothing was found that stops it' : 'can connect, with fewer rights than its segment has';
}

function connection({ broker }: Observed): string {
  if (broker === undefined || 'unreachable' in broker) return '';
  if (broker.client?.connected !== true) return '; it is not connected';
  return `; it is connected since ${inSeconds(broker.client.since ?? '')}${broker.client.segment === undefined ? '' : ` as ${printable(broker.client.segment)}`}`;
}

function lookedAt({ identity, namespaceEnds, skewMs, probe, broker }: Observed): string {
  const missing = [
    ...(namespaceEnds === undefined ? ['the namespace (get on namespaces)'] : []),
    ...(identity.ledger === undefined ? ["the ledger (list on certificateledgers in the operator's namespace)"] : []),
    ...(skewMs === undefined ? ["the API server's clock"] : []),
    ...(probe === undefined ? ['the network (--mqtt HOST:PORT)'] : []),
    ...(broker === undefined ? ['the broker (--broker-url)'] : []),
    ...(probe?.tls !== undefined && 'chain' in probe.tls && probe.tls.trust === 'not checked'
      ? ['trust in the broker (--mqtt-ca-file)']
      : []),
    "the device's own clock and network",
  ];
  return `Not looked at: ${missing.join(', ')}.`;
}

function chain({ probe }: Observed): string[] {
  if (probe?.tls === undefined || 'error' in probe.tls) return [];
  const { protocol, chain: certificates } = probe.tls;
  const lines = certificates.map(
    ({ subject, issuer, notAfter }) => `  ${printable(subject)}, until ${inSeconds(notAfter)}, signed by ${printable(issuer)}\n`,
  );
  return [`${printable(probe.host)}:${probe.port} (${probe.dns.addresses.join(', ')}) speaks ${protocol} and shows:\n${lines.join('')}`];
}

function acl({ broker, identity }: Observed): string[] {
  if (broker === undefined || 'unreachable' in broker) return [];
  const lines = broker.acl.lines.map((line) => `  ${printable(line)}\n`);
  return [
    lines.length === 0
      ? `No rule at the broker names ${identity.segment}.\n`
      : `Rules at the broker that name ${identity.segment}:\n${lines.join('')}`,
  ];
}
