import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Device } from '../api/device.ts';
import type { Condition } from '../api/meta.ts';
import type { ClientSight } from '../broker/broker.ts';
import type { Certificate, DeviceIdentity } from './device-identity.ts';
import { diagnose, type Observed } from './diagnosis.ts';
import type { Probe, TlsSight } from './probe.ts';
import { condition } from './testing/fake-api.ts';
import { whyText } from './why-text.ts';

const NOW = Date.parse('2026-11-25T10:00:00Z');
const DAY = 86_400_000;
const at = (ms: number): string => new Date(NOW + ms).toISOString();

const CERTIFICATE: Certificate = {
  ...{ serial: '0a', sha256: 's1', notBefore: at(-10 * DAY), notAfter: at(20 * DAY), renewAt: undefined, issuer: undefined },
  seen: { segment: 'office.berlin', commonName: 'thermo.berlin', md5: 'm1', issuerSubject: 'CN=root' },
};
const ENTRY = { device: 'thermo.berlin', sha256: 's1' };
const READY = [
  condition('Ready', 'True', 'Ready'),
  condition('Certified', 'True', 'Certified'),
  condition('Authorized', 'True', 'Authorized'),
];
const TLS: TlsSight = {
  protocol: 'TLSv1.3',
  trust: 'ok',
  chain: [{ subject: 'CN=broker', issuer: 'CN=ca', notBefore: at(-DAY), notAfter: at(DAY) }],
};
const PROBE: Probe = { host: 'broker', port: 8883, dns: { addresses: ['192.0.2.1'] }, tcp: {}, tls: TLS };
const BROKER: ClientSight = {
  client: { clientid: 'thermo.berlin', username: 'm1', connected: true, segment: 'office.berlin', since: at(-DAY) },
  bans: [],
  record: 'none',
  acl: { kind: 'owned', granted: true, lines: ['{allow, all}.'] },
};

type Change = {
  device?: Partial<Device['metadata']>;
  lifecycle?: Device['spec']['lifecycle'];
  conditions?: Condition[];
  seenGeneration?: number | undefined;
  certificate?: Partial<Certificate> | undefined;
  ledger?: DeviceIdentity['ledger'];
} & Partial<Pick<Observed, 'namespaceEnds' | 'skewMs' | 'probe' | 'broker' | 'alert'>> & { enrollment?: string };

/** A device with which all is well, but for this. */
function observed(change: Change = {}): Observed {
  const status = {
    observedGeneration: 3,
    conditions: change.conditions ?? READY,
    ...('seenGeneration' in change ? { observedGeneration: change.seenGeneration } : {}),
  };
  const certificate = 'certificate' in change ? change.certificate && { ...CERTIFICATE, ...change.certificate } : CERTIFICATE;
  return {
    device: {
      ...{ apiVersion: '', kind: '', metadata: { name: 'thermo', namespace: 'berlin', generation: 3, ...change.device } },
      spec: { segment: 'office', lifecycle: change.lifecycle ?? 'Active' } as Device['spec'],
      status: status as NonNullable<Device['status']>,
    },
    identity: {
      ...{ namespace: 'berlin', name: 'thermo', client: 'thermo.berlin', enrollment: change.enrollment ?? 'CSR', segment: 'office.berlin' },
      ...{ certificate, ledger: 'ledger' in change ? change.ledger : [ENTRY] },
    },
    namespaceEnds: 'namespaceEnds' in change ? change.namespaceEnds : false,
    now: NOW,
    skewMs: 'skewMs' in change ? change.skewMs : 0,
    probe: 'probe' in change ? change.probe : PROBE,
    alert: change.alert,
    broker: 'broker' in change ? change.broker : BROKER,
  };
}

const ban = (more: Partial<ClientSight['bans'][number]> = {}) => ({
  ...BROKER,
  bans: [{ as: 'clientid', who: 'thermo.berlin', until: 'infinity', by: 'hedgerow/revoke', reason: 'stolen', ...more }],
});
const network = (tls: Partial<TlsSight>): Probe => ({ ...PROBE, tls: { ...TLS, ...tls } });

describe('why a device cannot connect', () => {
  it('nothing stops it where all is well, and where nothing else could be looked at', () => {
    expect(diagnose(observed())).toEqual([]);
    expect(
      diagnose(observed({ namespaceEnds: undefined, skewMs: undefined, probe: undefined, broker: undefined, ledger: undefined })),
    ).toEqual([]);
  });

  it.each<[what: string, change: Change, code: string, weight: string, found: string | RegExp]>([
    ['its namespace goes', { namespaceEnds: true }, 'HR-CLI-010', 'stops', /namespace/],
    ['it is being deleted', { device: { deletionTimestamp: '2026-11-25T09:00:00Z' } }, 'HR-CLI-011', 'stops', /since 2026-11-25T09:00:00Z/],
    ['no operator has looked at it', { seenGeneration: undefined }, 'HR-CLI-012', 'stops', /no operator/],
    ['an operator has not looked at its last change', { seenGeneration: 2 }, 'HR-CLI-012', 'note', /changed since/],
    ['Git revokes it', { lifecycle: 'Revoked' }, 'HR-CLI-013', 'stops', 'spec.lifecycle is Revoked'],
    [
      'an Intervention revokes it',
      { conditions: [condition('Revoked', 'True', 'Revoked', 'Revoked by Intervention x of alice: stolen')] },
      'HR-CLI-013',
      'stops',
      'Revoked by Intervention x of alice: stolen',
    ],
    [
      'its request is refused, in the words of who refused it',
      {
        certificate: undefined,
        conditions: [condition('Certified', 'False', 'CsrKeyWeak', 'HR-ID-007: the key has 1024 bits. Cure: make a P-256 key')],
      },
      'HR-ID-007',
      'stops',
      'the key has 1024 bits',
    ],
    [
      'it waits for its certificate',
      { certificate: undefined, conditions: [condition('Certified', 'False', 'Issuing', 'waiting for cert-manager')] },
      'HR-CLI-014',
      'stops',
      'Certified says Issuing: waiting for cert-manager',
    ],
    ['its certificate is over', { certificate: { notAfter: at(-2 * DAY) } }, 'HR-CLI-015', 'stops', /expired 2 d 0 h ago/],
    ['its certificate ends at this instant', { certificate: { notAfter: at(0) } }, 'HR-CLI-015', 'stops', /expired 0 s ago/],
    ['its certificate has not begun', { certificate: { notBefore: at(DAY) } }, 'HR-CLI-016', 'stops', /in 1 d 0 h/],
    ['nobody recorded its certificate', { ledger: [] }, 'HR-CLI-019', 'stops', 'the ledger does not hold it'],
    [
      'the ledger revokes it',
      { ledger: [{ ...ENTRY, revoked: { reason: 'Moved', by: 'operator' } }] },
      'HR-CLI-019',
      'stops',
      'the ledger says Moved by operator',
    ],
    [
      'its certificate is of the segment it left',
      { certificate: { seen: { segment: 'lab.berlin', commonName: '', md5: '', issuerSubject: '' } } },
      'HR-CLI-018',
      'limits',
      'the certificate says lab.berlin, the manifest office.berlin',
    ],
    ['this clock is fast', { skewMs: 120_000 }, 'HR-CLI-017', 'note', /2 min ahead of the API server/],
    ['this clock is slow', { skewMs: -120_000 }, 'HR-CLI-017', 'note', /2 min behind the API server/],
    [
      'its CA has no good list',
      { conditions: [...READY, condition('CRLUnavailable', 'True', 'ListExpired', 'HR-CRL-023: over. Cure: see the server')] },
      'HR-CRL-023',
      'note',
      /^over$/,
    ],
    ['the device logs an alert', { alert: { number: 45, name: 'certificate_expired' } }, 'HR-CLI-026', 'stops', /by the broker's clock/],
    [
      'it has a certificate of another CA',
      { enrollment: 'Existing', certificate: { seen: { segment: undefined, commonName: 'sensor', md5: 'm', issuerSubject: 'CN=acme' } } },
      'HR-CLI-028',
      'stops',
      /CN=sensor and OU=none/,
    ],
    ['its certificate is young', { certificate: { notBefore: at(-600_000) }, broker: undefined }, 'HR-CLI-017', 'note', /10 min old/],
    [
      'the name is unknown',
      { probe: { host: 'broker', port: 8883, dns: { addresses: [], error: 'ENOTFOUND' } } },
      'HR-CLI-020',
      'stops',
      'broker: ENOTFOUND',
    ],
    [
      'the port is closed',
      { probe: { ...PROBE, tcp: { error: 'ECONNREFUSED' } } },
      'HR-CLI-021',
      'stops',
      'broker:8883 (192.0.2.1): ECONNREFUSED',
    ],
    ['the port speaks no TLS', { probe: { ...PROBE, tls: { error: 'EPROTO' } } }, 'HR-CLI-022', 'stops', 'broker:8883: EPROTO'],
    [
      "the server's certificate is over",
      {
        probe: network({
          chain: [{ subject: 'CN=broker', issuer: 'CN=ca', notBefore: at(-2 * DAY), notAfter: at(-DAY) }],
          trust: { error: 'CERT_HAS_EXPIRED' },
        }),
      },
      'HR-CLI-023',
      'stops',
      /CN=broker is valid from/,
    ],
    [
      "the server's certificate has another name",
      { probe: network({ nameError: 'Host: broker. is not in the list' }) },
      'HR-CLI-024',
      'stops',
      /is not in/,
    ],
    [
      "the server's certificate is of another CA",
      { probe: network({ trust: { error: 'SELF_SIGNED_CERT_IN_CHAIN' } }) },
      'HR-CLI-025',
      'stops',
      /SELF_SIGNED/,
    ],
    [
      'its client id is banned',
      { broker: ban() },
      'HR-CLI-030',
      'stops',
      'the client id thermo.berlin is banned for ever by hedgerow/revoke: stolen',
    ],
    [
      'its certificate is banned',
      { broker: ban({ as: 'username', who: 'm1', until: at(DAY) }) },
      'HR-CLI-030',
      'stops',
      /^this certificate is banned until/,
    ],
    ['it is quarantined at the broker', { broker: { ...BROKER, record: 'quarantine' } }, 'HR-CLI-031', 'limits', /a quarantine/],
    ['somebody made rules for it', { broker: { ...BROKER, record: 'foreign' } }, 'HR-CLI-031', 'note', /somebody else/],
    [
      'its segment has no rights',
      { broker: { ...BROKER, acl: { kind: 'foreign', granted: false, lines: [] } } },
      'HR-CLI-032',
      'limits',
      /^office\.berlin: the text was written by others/,
    ],
    [
      'the broker cannot be asked',
      { broker: { unreachable: 'HR-BRK-002: GET /banned: 401. Cure: give the key' } },
      'HR-BRK-002',
      'note',
      'GET /banned: 401',
    ],
    [
      'a person quarantines it',
      { conditions: [condition('Quarantined', 'True', 'Quarantined', 'by alice')] },
      'HR-CLI-033',
      'limits',
      'by alice',
    ],
    ['Git quarantines it', { lifecycle: 'Quarantined' }, 'HR-CLI-033', 'limits', /quarantine/],
    [
      'its segment is not there',
      { conditions: [condition('Segmented', 'False', 'SegmentNotFound', 'no such SegmentPolicy')] },
      'HR-CLI-034',
      'limits',
      'Segmented says SegmentNotFound: no such SegmentPolicy',
    ],
    [
      'the broker is unsafe',
      { conditions: [condition('Authorized', 'False', 'BrokerUnsafe', 'HR-BRK-015: not forced. Cure: set it')] },
      'HR-BRK-015',
      'limits',
      'not forced',
    ],
  ])('%s', (_what, change, code, weight, found) => {
    const findings = diagnose(observed(change));
    expect(findings).toEqual([
      { code, weight, found: typeof found === 'string' ? found : expect.stringMatching(found), cure: expect.stringMatching(/\w{3}/) },
    ]);
  });

  it('the clock of the API server decides whether a certificate is over, not that of this machine', () => {
    const codes = (skewMs: number) =>
      diagnose(observed({ certificate: { notAfter: at(DAY) }, skewMs, probe: undefined })).map(({ code }) => code);
    expect(codes(-2 * DAY)).toEqual(['HR-CLI-015', 'HR-CLI-017']);
    expect(codes(2 * DAY)).toEqual(['HR-CLI-017']);
  });

  it('what stops it comes before what limits it, and each in the order of a connection', () => {
    const findings = diagnose(
      observed({
        ...{ namespaceEnds: true, certificate: { notAfter: at(-DAY) }, skewMs: 60_000, probe: network({ nameError: 'no' }) },
        ...{ broker: { ...ban(), record: 'moved' }, conditions: [condition('Segmented', 'False', 'SegmentNotFound')] },
      }),
    );
    expect(findings.map(({ code }) => code)).toEqual([
      ...['HR-CLI-010', 'HR-CLI-015', 'HR-CLI-024', 'HR-CLI-030'],
      ...['HR-CLI-034', 'HR-CLI-031'],
      'HR-CLI-017',
    ]);
  });

  it('of a revoked device what follows from that is not said again', () => {
    const conditions = [
      condition('Revoked', 'True', 'Revoked', 'by alice'),
      condition('Authorized', 'False', 'Revoked'),
      condition('Certified', 'False', 'Revoked'),
    ];
    expect(diagnose(observed({ conditions })).map(({ code }) => code)).toEqual(['HR-CLI-013']);
  });

  it('one sentence of two conditions is said once', () => {
    const message = 'HR-BRK-006: foreign. Cure: adopt';
    const conditions = [condition('Authorized', 'False', 'ForeignAcl', message), condition('Stalled', 'True', 'ForeignAcl', message)];
    expect(diagnose(observed({ conditions }))).toHaveLength(1);
  });

  it.each([
    ['hedgerow/revoke', /it is the operator's/],
    ['flapping detector', /two devices use this certificate/],
    ['bob', /DELETE \/api\/v5\/banned\/clientid\/thermo\.berlin at EMQX/],
  ])('a ban by %s ends as its maker says', (by, cure) => expect(diagnose(observed({ broker: ban({ by }) }))[0]?.cure).toMatch(cure));

  it('whatever times stand there, there is an answer, and a text of it', () => {
    const time = fc.oneof(
      fc.string(),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    );
    fc.assert(
      fc.property(
        fc.record({ notBefore: time, notAfter: time }),
        fc.string(),
        fc.option(fc.integer(), { nil: undefined }),
        (certificate, message, skewMs) => {
          const seen = observed({ certificate, skewMs, conditions: [condition('Authorized', 'False', 'X', message)] });
          const findings = diagnose(seen);
          expect(findings.every(({ cure, found }) => cure !== '' && found !== undefined)).toBe(true);
          expect(whyText(seen, findings)).toContain('berlin/thermo');
        },
      ),
    );
  });
});

describe('as it is printed', () => {
  const printed = (change: Change = {}): string => whyText(observed(change), diagnose(observed(change)));

  it('all that was looked at', () => {
    expect(printed()).toBe(`berlin/thermo: nothing was found that stops it; it is connected since 2026-11-24T10:00:00Z as office.berlin

Not looked at: the device's own clock and network.

broker:8883 (192.0.2.1) speaks TLSv1.3 and shows:
  CN=broker, until 2026-11-26T10:00:00Z, signed by CN=ca

Rules at the broker that name office.berlin:
  {allow, all}.
`);
  });

  it('a finding with its cure, and how to see more', () => {
    expect(
      printed({
        ledger: undefined,
        namespaceEnds: undefined,
        skewMs: undefined,
        probe: undefined,
        broker: undefined,
        lifecycle: 'Revoked',
      }),
    ).toMatch(
      /^berlin\/thermo: cannot connect\n\nstops {3}HR-CLI-013: spec\.lifecycle is Revoked\n {8}Cure: .*\n\nNot looked at: the namespace .*, the ledger .*, the API server's clock, the network \(--mqtt HOST:PORT\), the broker \(--broker-url\), the device's own clock and network\.\n$/,
    );
  });

  it.each<[Change, string]>([
    [{ broker: ban(), certificate: { notAfter: at(-DAY) } }, 'cannot connect, for 2 reasons; it is connected since'],
    [{ lifecycle: 'Quarantined' }, 'can connect, with fewer rights than its segment has'],
    [{ broker: { ...BROKER, client: undefined } }, 'nothing was found that stops it; it is not connected'],
    [
      { broker: { ...BROKER, client: { clientid: 'thermo.berlin', username: 'm1', connected: false, segment: undefined, since: at(0) } } },
      'it is not connected',
    ],
  ])('%#', (change, head) => expect(printed(change)).toContain(head));
});
