// From an issuer to its CA: what may be missing on the way, and that all of it is said where people look.
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { OpenSsl } from '../identity/testing/openssl.ts';
import { KubeError } from '../kube/errors.ts';
import type { ObjectRef } from '../kube/object.ts';
import { FakeClock } from '../runtime/clock.ts';
import type { EventNote, Regarding } from '../runtime/events.ts';
import { silentLog } from '../runtime/log.ts';
import { type Authorities, createAuthorities } from './authorities.ts';
import { issuerFacts } from './issuers.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import { createReport, type Report } from './report.ts';
import { Revocations } from './revocations.ts';
import { type Ca, KEYS, makeCa } from './testing/ca.ts';

const ISSUER = 'Issuer/berlin/devices';
const CLUSTER_ISSUER = 'ClusterIssuer//fleet';
const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());
const ca = makeCa(ssl, KEYS['P-256']);
const another = makeCa(ssl, KEYS['P-256']);

type Answer = Ca | 'absent' | 'empty' | KubeError;

let clock: FakeClock;
let publisher: Publisher;
let report: Report;
let authorities: Authorities;
let events: string[];
let said: string[];
let specs: Map<string, object>;
let secrets: Map<string, Answer>;
let reads: string[];

beforeEach(() => {
  clock = new FakeClock();
  [events, said, reads] = [[], [], []];
  const point = { crlDistributionPoints: ['http://crl/crl/berlin/devices.pem'] };
  specs = new Map([
    ['berlin/devices', { ca: { secretName: 'ca', ...point } }],
    ['fleet', { ca: { secretName: 'ca', ...point } }],
  ]);
  secrets = new Map<string, Answer>([['berlin/ca', ca]]);
  const log = { ...silentLog, warn: (fields: object, message: string) => void said.push(JSON.stringify(fields) + message) };
  publisher = createPublisher({ revocations: new Revocations(0), validityMs: 604_800_000, clock, log, published: () => undefined });
  const event = (regarding: Regarding, note: EventNote): void =>
    void events.push(`${note.type} ${note.reason} ${regarding.kind} ${regarding.namespace ?? '-'}/${regarding.name}: ${note.message}`);
  report = createReport({ recorder: { event }, uidOf: () => 'uid', clock, log });
  authorities = createAuthorities({
    client: { get: async <T>(_type: unknown, ref: ObjectRef) => secretOf(ref) as T },
    issuers: {
      get: ({ namespace, name }) => {
        const spec = specs.get(namespace === '' ? name : `${namespace}/${name}`);
        return spec === undefined ? undefined : issuerFacts({ metadata: { name, namespace }, spec });
      },
    },
    clusterResourceNamespace: 'cert-manager',
    publisher,
    report,
    clock,
    log,
  });
});

function secretOf({ namespace, name }: ObjectRef): object | undefined {
  reads.push(`${namespace}/${name}`);
  const answer = secrets.get(`${namespace}/${name}`) ?? 'absent';
  if (answer === 'absent') return undefined;
  if (answer instanceof KubeError) throw answer;
  if (answer === 'empty') return { metadata: {}, data: {} };
  const encoded = (text: string): string => Buffer.from(text).toString('base64');
  return { metadata: {}, data: { 'tls.crt': encoded(answer.certificatePem), 'tls.key': encoded(answer.keyPem) } };
}

async function running(work: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const run = authorities.run(stop.signal);
  await work();
  stop.abort(new Error('the test is over'));
  await clock.advance(1_000);
  await run;
}

const forbidden = new KubeError({ status: 403, reason: 'Forbidden', message: 'secrets "ca" is forbidden' });
const mixed: Ca = { ...ca, keyPem: another.keyPem };

describe('an issuer without a CA that may be used', () => {
  const cases: [string, () => void, string][] = [
    ['is gone', () => specs.delete('berlin/devices'), 'HR-CRL-001 IssuerMissing'],
    ['is none of type ca', () => specs.set('berlin/devices', { vault: { server: 'https://vault' } }), 'HR-CRL-002 NotACaIssuer'],
    ['has a Secret that RBAC does not open', () => secrets.set('berlin/ca', forbidden), 'HR-CRL-003 SecretForbidden'],
    ['has no Secret', () => secrets.delete('berlin/ca'), 'HR-CRL-004 SecretMissing'],
    ['has an empty Secret', () => secrets.set('berlin/ca', 'empty'), 'HR-CRL-004 SecretMissing'],
    [
      'has a Secret that the API server does not give',
      () => secrets.set('berlin/ca', new KubeError({ status: 0, reason: 'Timeout', message: 'no answer' })),
      'HR-CRL-005 SecretUnread',
    ],
    ['has a key of another CA', () => secrets.set('berlin/ca', mixed), 'HR-CRL-012 CaKeyMismatch'],
  ];
  it.each(cases)('because it %s: has no list, and the log, an Event and the metric say so', async (_what, prepare, title) => {
    prepare();
    authorities.add(ISSUER);
    await running(async () => {
      await clock.advance(1_000);
      expect(authorities.settled).toBe(true);
      expect(publisher.list(ISSUER)).toBeUndefined();
      expect(said.join('\n')).toContain(`CRLUnavailable: ${title}`);
      expect(events).toEqual([expect.stringContaining(`Warning CRLUnavailable Issuer berlin/devices: ${title}`)]);
      expect([...report.all()]).toEqual([[ISSUER, title.split(' ')[1]]]);
      await clock.advance(180_000);
      expect(events).toHaveLength(1);
    });
    const everything = [...said, ...events].join('\n');
    for (const line of `${ca.keyPem}${another.keyPem}`.split('\n').filter((one) => one.length > 30)) expect(everything).not.toContain(line);
  });

  it('gets its list within a minute of the cure, and that is said too', async () => {
    secrets.delete('berlin/ca');
    authorities.add(ISSUER);
    await running(async () => {
      await clock.advance(1_000);
      secrets.set('berlin/ca', ca);
      await clock.advance(61_000);
      expect(publisher.list(ISSUER)?.entries).toBe(0);
      expect(events.at(-1)).toContain('Normal CRLAvailable');
      expect([...report.all()]).toEqual([]);
    });
  });

  it('is said again after an hour: events do not live longer', async () => {
    secrets.delete('berlin/ca');
    authorities.add(ISSUER);
    await running(async () => {
      for (let minute = 0; minute < 62; minute++) await clock.advance(60_000);
      expect(events).toHaveLength(2);
    });
  });
});

describe('an issuer with its CA', () => {
  it('has a list at once, and the Secret of a ClusterIssuer is looked for where cert-manager has it', async () => {
    secrets.set('cert-manager/ca', another);
    authorities.add(ISSUER);
    authorities.add(CLUSTER_ISSUER);
    await running(async () => {
      await clock.advance(1_000);
      expect([...publisher.lists()].map(([issuer]) => issuer)).toEqual([ISSUER, CLUSTER_ISSUER]);
      expect(reads).toEqual(['berlin/ca', 'cert-manager/ca']);
      expect(events).toEqual([]);
    });
  });

  it('whose certificates do not say where the list is has one nevertheless, and it is said', async () => {
    specs.set('berlin/devices', { ca: { secretName: 'ca', crlDistributionPoints: ['https://only.example.org/x.pem'] } });
    authorities.add(ISSUER);
    await running(async () => {
      await clock.advance(1_000);
      expect(publisher.list(ISSUER)?.entries).toBe(0);
      expect(events).toEqual([expect.stringContaining('HR-CRL-021 NoDistributionPoint')]);
    });
  });

  it('that is read again each minute is not signed again for that', async () => {
    authorities.add(ISSUER);
    await running(async () => {
      await clock.advance(1_000);
      const first = publisher.list(ISSUER);
      await clock.advance(300_000);
      expect(reads.length).toBeGreaterThanOrEqual(5);
      expect(publisher.list(ISSUER)).toBe(first);
    });
  });

  it('whose Secret goes away keeps its list and has it renewed; that is said', async () => {
    authorities.add(ISSUER);
    await running(async () => {
      await clock.advance(1_000);
      const first = publisher.list(ISSUER);
      secrets.delete('berlin/ca');
      for (let hour = 0; hour < 30; hour++) await clock.advance(3_600_000);
      expect(publisher.list(ISSUER)?.number).toBeGreaterThan(first?.number ?? Number.POSITIVE_INFINITY);
      expect(events[0]).toContain('HR-CRL-004');
    });
  });

  it('whose key was replaced is signed for by the new key, and who loses by that is said', async () => {
    authorities.add(ISSUER);
    await running(async () => {
      await clock.advance(1_000);
      const first = publisher.list(ISSUER);
      secrets.set('berlin/ca', another);
      authorities.look(ISSUER);
      await clock.advance(1_000);
      expect(publisher.list(ISSUER)?.hash).not.toBe(first?.hash);
      expect(events).toEqual([expect.stringContaining('HR-CRL-022 CaKeyReplaced')]);
    });
  });
});
