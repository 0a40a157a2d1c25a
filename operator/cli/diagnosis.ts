// Why a device cannot connect, from what was seen: what stops it first comes first. Pure.
import type { Device } from '../api/device.ts';
import type { Condition } from '../api/meta.ts';
import type { ClientSight } from '../broker/broker.ts';
import { findCondition } from '../runtime/conditions.ts';
import { type DeviceIdentity, span } from './device-identity.ts';
import { inSeconds } from './device-row.ts';
import { type CliCode, ERRORS } from './errors.ts';
import type { Probe } from './probe.ts';
import { alertFinding, type TlsAlert } from './tls-alert.ts';

/** `stops`: no connection. `limits`: a connection with fewer rights than the segment's. `note`: not here, but perhaps at the device. */
export type Weight = 'stops' | 'limits' | 'note';
export type Finding = { code: string; weight: Weight; found: string; cure: string };

/** What is undefined was not looked at. */
export type Observed = {
  device: Device;
  identity: DeviceIdentity;
  namespaceEnds: boolean | undefined;
  /** ms since the epoch, by this machine. */
  now: number;
  /** How far this machine's clock is ahead of the API server's. */
  skewMs: number | undefined;
  probe: Probe | undefined;
  /** What the device's own log says. */
  alert: TlsAlert | undefined;
  broker: ClientSight | { unreachable: string } | undefined;
};

/** Those that stop it before those that limit it, each in the order in which a connection would meet them. */
export function diagnose(seen: Observed): Finding[] {
  const found = STAGES.flatMap((stage) => stage(seen));
  return WEIGHTS.flatMap((weight) => found.filter((finding) => finding.weight === weight));
}

const WEIGHTS: readonly Weight[] = ['stops', 'limits', 'note'];
const STAGES: readonly ((seen: Observed) => Finding[])[] = [life, conditions, certificate, lists, clocks, network, handshake, bans, rules];

function life({ device, namespaceEnds }: Observed): Finding[] {
  const { deletionTimestamp, generation } = device.metadata;
  const shown = device.status?.observedGeneration;
  const revoked = findCondition(device.status?.conditions, 'Revoked');
  return [
    ...(namespaceEnds === true ? [finding('HR-CLI-010', 'stops')] : []),
    ...(deletionTimestamp === undefined
      ? []
      : [finding('HR-CLI-011', 'stops', `it is being deleted since ${inSeconds(deletionTimestamp)}`)]),
    ...(device.spec.lifecycle === 'Revoked' || revoked !== undefined
      ? [finding('HR-CLI-013', 'stops', revoked?.message ?? 'spec.lifecycle is Revoked')]
      : []),
    ...(shown === generation && shown !== undefined
      ? []
      : [
          finding(
            'HR-CLI-012',
            shown === undefined ? 'stops' : 'note',
            shown === undefined ? undefined : 'its manifest was changed since an operator looked at it',
          ),
        ]),
  ];
}

/** The rooms say themselves what is wrong and what helps; the same sentence is said once. */
function conditions({ device, identity }: Observed): Finding[] {
  const all = device.status?.conditions ?? [];
  if (findCondition(all, 'Revoked') !== undefined) return [];
  const noCertificate = identity.certificate === undefined && all.length > 0;
  const certified = findCondition(all, 'Certified');
  const quarantined = findCondition(all, 'Quarantined');
  const others = ['Segmented', 'Authorized', 'Stalled'].flatMap((type) => {
    const one = findCondition(all, type);
    const isBad = type === 'Stalled' ? one?.status === 'True' : one !== undefined && one.status !== 'True';
    return isBad && one !== undefined && one.reason !== 'Quarantined'
      ? [said(one, 'HR-CLI-034', type === 'Stalled' ? 'note' : 'limits')]
      : [];
  });
  const found = [
    ...(noCertificate ? [certified === undefined ? finding('HR-CLI-014', 'stops') : said(certified, 'HR-CLI-014', 'stops')] : []),
    ...(!noCertificate && certified !== undefined && certified.status !== 'True' ? [said(certified, 'HR-CLI-034', 'note')] : []),
    ...(quarantined === undefined && device.spec.lifecycle !== 'Quarantined'
      ? []
      : [finding('HR-CLI-033', 'limits', quarantined?.message)]),
    ...others,
  ];
  return found.filter((one, at) => found.findIndex((other) => other.code === one.code && other.found === one.found) === at);
}

/** `HR-ID-009: what was found. Cure: …` keeps its own code and cure. */
function said({ type, reason, message }: Condition, code: CliCode, weight: Weight): Finding {
  const own = /^(HR-[A-Z]+-\d{3}): ([\s\S]*?)[.]? Cure: ([\s\S]+)$/.exec(message);
  if (own !== null) return { code: own[1] ?? '', weight, found: own[2] ?? '', cure: own[3] ?? '' };
  return finding(code, weight, `${type} says ${reason}${message === '' ? '' : `: ${message}`}`);
}

function certificate({ identity, now, skewMs }: Observed): Finding[] {
  const { certificate: own, ledger, segment } = identity;
  if (own === undefined) return [];
  const byServer = now - (skewMs ?? 0);
  const [begins, ends] = [Date.parse(own.notBefore), Date.parse(own.notAfter)];
  const entry = ledger?.find((line) => line.sha256 === own.sha256);
  const revoked = entry?.revoked;
  return [
    ...(byServer >= ends ? [finding('HR-CLI-015', 'stops', `it expired ${span(byServer - ends)} ago, at ${inSeconds(own.notAfter)}`)] : []),
    ...(byServer < begins
      ? [finding('HR-CLI-016', 'stops', `it is valid from ${inSeconds(own.notBefore)}, in ${span(begins - byServer)}`)]
      : []),
    ...(ledger !== undefined && entry === undefined ? [finding('HR-CLI-019', 'stops', 'the ledger does not hold it')] : []),
    ...(revoked === undefined
      ? []
      : [finding('HR-CLI-019', 'stops', `the ledger says ${revoked.reason ?? 'revoked'} by ${revoked.by ?? 'nobody named'}`)]),
    ...(cannotConnect(identity)
      ? [finding('HR-CLI-028', 'stops', `its subject has CN=${own.seen?.commonName ?? 'none'} and OU=${own.seen?.segment ?? 'none'}`)]
      : []),
    ...(own.seen === undefined || own.seen.segment === segment || cannotConnect(identity)
      ? []
      : [finding('HR-CLI-018', 'limits', `the certificate says ${own.seen.segment ?? 'none'}, the manifest ${segment}`)]),
  ];
}

/** A certificate of another CA, with a subject that an owned broker refuses. */
function cannotConnect({ enrollment, client, certificate: own }: DeviceIdentity): boolean {
  return enrollment === 'Existing' && own?.seen !== undefined && own.seen.commonName !== client;
}

/** The operator looks at the lists where brokers fetch them; whether this broker checks any is not known here. */
function lists({ device }: Observed): Finding[] {
  const missing = findCondition(device.status?.conditions, 'CRLUnavailable');
  return missing?.status === 'True' ? [said(missing, 'HR-CLI-027', 'note')] : [];
}

function handshake({ alert }: Observed): Finding[] {
  return alert === undefined ? [] : [alertFinding(alert)];
}

/** More than this is no network delay. */
const NOTABLE_SKEW_MS = 30_000;
/** cert-manager does not backdate: within this time of its making a device that is slow finds a certificate not valid yet. */
const YOUNG_MS = 3_600_000;

function clocks({ identity, now, skewMs, broker }: Observed): Finding[] {
  const skewed =
    skewMs !== undefined && Math.abs(skewMs) > NOTABLE_SKEW_MS
      ? [
          finding(
            'HR-CLI-017',
            'note',
            `the clock of this machine is ${span(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} the API server's`,
          ),
        ]
      : [];
  const begins = identity.certificate?.notBefore;
  const age = begins === undefined ? Number.NaN : now - (skewMs ?? 0) - Date.parse(begins);
  const connected = broker !== undefined && 'client' in broker && broker.client?.connected === true;
  const young =
    age >= 0 && age < YOUNG_MS && !connected
      ? [
          finding(
            'HR-CLI-017',
            'note',
            `the certificate is ${span(age)} old: a device whose clock is slow by more than that finds it not valid yet`,
          ),
        ]
      : [];
  return [...skewed, ...young];
}

function network({ probe, now, skewMs }: Observed): Finding[] {
  if (probe === undefined) return [];
  const where = `${probe.host}:${probe.port}`;
  if (probe.dns.error !== undefined) return [finding('HR-CLI-020', 'stops', `${probe.host}: ${probe.dns.error}`)];
  if (probe.tcp?.error !== undefined)
    return [finding('HR-CLI-021', 'stops', `${where} (${probe.dns.addresses.join(', ')}): ${probe.tcp.error}`)];
  const { tls } = probe;
  if (tls === undefined || 'error' in tls) return [finding('HR-CLI-022', 'stops', `${where}: ${tls?.error ?? 'no handshake'}`)];
  const byServer = now - (skewMs ?? 0);
  const over = tls.chain.filter(({ notBefore, notAfter }) => byServer >= Date.parse(notAfter) || byServer < Date.parse(notBefore));
  return [
    ...over.map((one) =>
      finding('HR-CLI-023', 'stops', `${one.subject} is valid from ${inSeconds(one.notBefore)} to ${inSeconds(one.notAfter)}`),
    ),
    ...(tls.nameError === undefined ? [] : [finding('HR-CLI-024', 'stops', tls.nameError)]),
    // What is over is not trusted either: said once.
    ...(typeof tls.trust === 'string' || over.length > 0 ? [] : [finding('HR-CLI-025', 'stops', tls.trust.error)]),
  ];
}

function bans({ broker }: Observed): Finding[] {
  if (broker === undefined) return [];
  if ('unreachable' in broker) return [unreachable(broker.unreachable)];
  return broker.bans.map(({ as, who, by, reason, until }) => {
    const what = as === 'clientid' ? `the client id ${who}` : 'this certificate';
    const end = until === 'infinity' ? 'for ever' : `until ${inSeconds(until)}`;
    return { ...finding('HR-CLI-030', 'stops', `${what} is banned ${end} by ${by}: ${reason}`), cure: cureOfBan(by, `${as}/${who}`) };
  });
}

/** Who made it knows how it ends. */
function cureOfBan(by: string, path: string): string {
  if (by.startsWith('hedgerow/')) return "it is the operator's and goes when what it stands for goes: a revocation, or an old certificate";
  if (by === 'flapping detector')
    return 'EMQX saw too many connections within a minute; the operator removes it within seconds. See whether two devices use this certificate';
  return `a person made it: DELETE /api/v5/banned/${path} at EMQX takes it back (docs/guides/revoke-with-the-operator-down.md)`;
}

function unreachable(line: string): Finding {
  const own = /^(HR-BRK-\d{3}): ([\s\S]*?)[.]? Cure: ([\s\S]+)$/.exec(line);
  return { code: own?.[1] ?? 'HR-BRK-001', weight: 'note', found: own?.[2] ?? line, cure: own?.[3] ?? 'correct the flags of the broker' };
}

function rules({ broker, identity }: Observed): Finding[] {
  if (broker === undefined || 'unreachable' in broker) return [];
  const { record, acl } = broker;
  return [
    ...(record === 'none' ? [] : [finding('HR-CLI-031', record === 'foreign' ? 'note' : 'limits', RECORDS[record])]),
    ...(acl.granted ? [] : [finding('HR-CLI-032', 'limits', `${identity.segment}: ${TEXTS[acl.kind]}`)]),
  ];
}

const RECORDS = {
  quarantine: 'only its firmware and recovery topics: a quarantine',
  moved: 'the rights of its new segment, until its certificate names that segment',
  foreign: 'rules that somebody else made; they add to or take from its rights',
} as const;

const TEXTS = {
  owned: "Hedgerow's text grants it nothing",
  guest: "Hedgerow's block grants it nothing",
  boot: 'the text allows nobody anything yet',
  foreign: 'the text was written by others and is not adopted (kubectl hedgerow adopt broker)',
  unreadable: 'the text does not read',
} as const;

function finding(code: CliCode, weight: Weight, found?: string): Finding {
  return { code, weight, found: found ?? ERRORS[code].cause, cure: ERRORS[code].cure };
}
