// Whether EMQX is set up so that the rights mean anything: read from its own answers, never changed here. Pure (emqx-profile.md, 11).
import type { Mode } from './acl-text.ts';
import { type BrokerCode, ERRORS } from './errors.ts';

/** Bodies of the answers as they came; `undefined` where EMQX did not give one. */
export type PostureAnswers = {
  listeners: unknown;
  /** `GET /listeners/{id}` of those that are enabled: the list has no ssl_options. */
  details: ReadonlyMap<string, unknown>;
  zone: unknown;
  settings: unknown;
  sources: readonly { type: string; enable: boolean }[];
  rulesForAll: unknown;
  delayed: unknown;
  invalidCertificateBanned: boolean;
};

export type Finding = { code: BrokerCode; found: string };

/** The profile that was run on a broker; as the API gives it back, with one backslash. */
export const SEGMENT_EXPRESSION =
  "nth(2, regex_extract(dn, '^CN=[a-z0-9-]{1,62}[.]([a-z0-9-]{1,62}),OU=([a-z0-9-]{1,62}[.]\\1),O=hedgerow$'))";
export const CLIENTID_OVERRIDE =
  "coalesce(nth(1, regex_extract(dn, '^CN=([a-z0-9-]{1,62}[.]([a-z0-9-]{1,62})),OU=[a-z0-9-]{1,62}[.]\\2,O=hedgerow$')), 'invalid-certificate')";

/** Everything that is unsafe, worst first; empty when the broker may be trusted with the rights. */
export function posture(answers: PostureAnswers, mode: Mode): Finding[] {
  return [
    ...listenerFindings(answers, mode),
    ...identityFindings(answers.zone),
    ...authorizationFindings(answers, mode),
    ...(at(answers.delayed, 'enable') === false
      ? []
      : [unlessUnread(answers.delayed, 'HR-BRK-018', 'delayed publishing is on', '/mqtt/delayed')]),
    ...(answers.invalidCertificateBanned ? [] : [{ code: 'HR-BRK-019', found: 'the id invalid-certificate is not banned' } as const]),
  ];
}

/** One line for people: what is wrong and the cure of each. */
export function describe(findings: readonly Finding[]): string {
  return findings.map(({ code, found }) => `${code}: ${found}. Cure: ${ERRORS[code].cure}`).join('; ');
}

function listenerFindings(answers: PostureAnswers, mode: Mode): Finding[] {
  if (!Array.isArray(answers.listeners)) return [unread('/listeners')];
  return answers.listeners.flatMap((row): Finding[] => {
    const id = String(at(row, 'id'));
    // A listener that is switched off but still runs is one that somebody started by hand.
    if (at(row, 'enable') === false && at(at(row, 'status'), 'running') !== true) return [];
    if (id.startsWith('tcp:') || id.startsWith('ws:'))
      return [{ code: 'HR-BRK-010', found: `listener ${id} on ${String(at(row, 'bind'))} has no TLS` }];
    const options = at(answers.details.get(id), 'ssl_options');
    return options === undefined ? [unread(`/listeners/${id}`)] : tlsFindings(id, options, mode);
  });
}

function tlsFindings(id: string, options: unknown, mode: Mode): Finding[] {
  const findings: Finding[] = [];
  if (at(options, 'verify') !== 'verify_peer') findings.push({ code: 'HR-BRK-011', found: `listener ${id}: verify is not verify_peer` });
  else if (at(options, 'fail_if_no_peer_cert') !== true)
    findings.push({ code: 'HR-BRK-011', found: `listener ${id}: fail_if_no_peer_cert is not true` });
  const versions = at(options, 'versions');
  const offered = Array.isArray(versions) ? versions.map(String) : ['unknown'];
  // A TLS 1.2 session may be resumed without its certificate being looked at again (emqx.md §4).
  const tolerated = mode === 'guest' && at(options, 'reuse_sessions') === false ? ['tlsv1.3', 'tlsv1.2'] : ['tlsv1.3'];
  const old = offered.filter((version) => !tolerated.includes(version));
  if (old.length > 0) findings.push({ code: 'HR-BRK-012', found: `listener ${id} offers ${old.join(', ')}` });
  return findings;
}

function identityFindings(zone: unknown): Finding[] {
  const mqtt = at(zone, 'mqtt');
  if (mqtt === undefined) return [unread('/configs/global_zone')];
  const findings: Finding[] = [];
  if (at(mqtt, 'peer_cert_as_clientid') !== 'cn') findings.push({ code: 'HR-BRK-013', found: 'mqtt.peer_cert_as_clientid is not cn' });
  if (at(mqtt, 'peer_cert_as_username') !== 'md5') findings.push({ code: 'HR-BRK-013', found: 'mqtt.peer_cert_as_username is not md5' });
  const attributes = at(mqtt, 'client_attrs_init');
  const segment = (Array.isArray(attributes) ? attributes : []).filter((one) => at(one, 'set_as_attr') === 'seg');
  if (segment.length !== 1 || at(segment[0], 'expression') !== SEGMENT_EXPRESSION)
    findings.push({ code: 'HR-BRK-014', found: 'mqtt.client_attrs_init does not set seg with the expression of the profile' });
  if (at(mqtt, 'clientid_override') !== CLIENTID_OVERRIDE)
    findings.push({ code: 'HR-BRK-015', found: 'mqtt.clientid_override is not the expression of the profile' });
  return findings;
}

function authorizationFindings({ settings, sources, rulesForAll }: PostureAnswers, mode: Mode): Finding[] {
  const findings: Finding[] = [];
  // In a shared EMQX the fence at the end of our block comes first for every client of ours.
  if (mode === 'owned' && at(settings, 'no_match') !== 'deny')
    findings.push(unlessUnread(settings, 'HR-BRK-016', 'authorization.no_match is not deny', '/authorization/settings'));
  const order = sources.filter((source) => source.enable).map((source) => source.type);
  if (order[0] !== 'built_in_database' || order[1] !== 'file' || (mode === 'owned' && order.length > 2))
    findings.push({ code: 'HR-BRK-020', found: `the enabled authorization sources are ${order.length === 0 ? 'none' : order.join(', ')}` });
  const forAll = at(rulesForAll, 'rules');
  if (!Array.isArray(forAll)) findings.push(unread('/authorization/sources/built_in_database/rules/all'));
  else if (forAll.some((rule) => at(rule, 'permission') !== 'deny'))
    findings.push({
      code: 'HR-BRK-017',
      found: `a record for all clients allows ${String(
        at(
          forAll.find((rule) => at(rule, 'permission') !== 'deny'),
          'topic',
        ),
      )}`,
    });
  return findings;
}

const unread = (path: string): Finding => ({ code: 'HR-BRK-021', found: `GET ${path} gave nothing that could be read` });
const unlessUnread = (answer: unknown, code: BrokerCode, found: string, path: string): Finding =>
  answer === undefined ? unread(path) : { code, found };

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>)[name] : undefined;
}
