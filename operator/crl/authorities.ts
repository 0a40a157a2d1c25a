// Reads the CA of every issuer from its Secret, again each minute (RBAC allows `get` of single names, no watch), and says what is wrong with it.
import { SECRETS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { type Authority, isProblem, readAuthority } from './authority.ts';
import type { Problem } from './errors.ts';
import { type IssuerFacts, type IssuerName, parseIssuer } from './issuers.ts';
import type { Publisher } from './publisher.ts';
import type { Report } from './report.ts';

export type AuthoritiesDeps = {
  client: Pick<KubeClient, 'get'>;
  issuers: { get(name: IssuerName): IssuerFacts | undefined };
  clusterResourceNamespace: string;
  publisher: Publisher;
  report: Report;
  clock: Clock;
  log: Log;
};

export interface Authorities {
  /** Served from now on, whatever becomes of it. */
  add(issuer: string): void;
  /** Its object changed: read its CA at once. */
  look(issuer: string): void;
  known(): Iterable<string>;
  isKnown(issuer: string): boolean;
  /** All were read once. */
  readonly settled: boolean;
  run(signal: AbortSignal): Promise<void>;
}

type Secret = KubeObject & { data?: Record<string, string> };

const READ_EVERY_MS = 60_000;

export function createAuthorities(deps: AuthoritiesDeps): Authorities {
  const { client, issuers, publisher, report, clock, log } = deps;
  const known = new Set<string>();
  let asked = new Set<string>();
  let settled = false;
  let wake: () => void = () => undefined;

  function look(issuer: string): void {
    asked.add(issuer);
    wake();
  }

  async function run(signal: AbortSignal): Promise<void> {
    let nextAllAt = clock.elapsed();
    while (!signal.aborted) {
      const all = clock.elapsed() >= nextAllAt;
      const turn = all ? [...known] : [...asked].filter((issuer) => known.has(issuer));
      if (all) nextAllAt = clock.elapsed() + READ_EVERY_MS;
      asked = new Set();
      for (const issuer of turn) await read(issuer, signal);
      await publisher.idle();
      if (signal.aborted) return;
      settled = true;
      publisher.tick();
      for (const issuer of known) report.set(issuer, 'age', ageOf(issuer));
      if (asked.size === 0) await rest(nextAllAt - clock.elapsed(), signal);
    }
  }

  async function read(issuer: string, signal: AbortSignal): Promise<void> {
    const found = await authorityOf(issuer, signal);
    if (signal.aborted) return;
    // A CA that was good stays in use: its list is worth more than none.
    report.set(issuer, 'issuer', isProblem(found) ? found : undefined);
    if (isProblem(found)) return;
    const before = publisher.authority(issuer);
    if (before !== undefined && before.spki !== found.spki) report.set(issuer, 'key', { code: 'HR-CRL-022' });
    if (before === undefined || !isSame(before, found)) publisher.setAuthority(issuer, found);
  }

  async function authorityOf(issuer: string, signal: AbortSignal): Promise<Authority | Problem> {
    const name = parseIssuer(issuer);
    const facts = name === undefined ? undefined : issuers.get(name);
    if (name === undefined || facts === undefined) return { code: 'HR-CRL-001' };
    if (facts.secretName === undefined) return { code: 'HR-CRL-002' };
    const reachable = facts.distributionPoints.some((url) => url.startsWith('http://'));
    report.set(issuer, 'distribution', reachable ? undefined : { code: 'HR-CRL-021' });
    const namespace = name.kind === 'Issuer' ? name.namespace : deps.clusterResourceNamespace;
    const where = `Secret ${namespace}/${facts.secretName}`;
    try {
      const secret = await client.get<Secret>(SECRETS, { namespace, name: facts.secretName }, signal);
      const [certificate, key] = [secret?.data?.['tls.crt'], secret?.data?.['tls.key']];
      if (!certificate || !key) return { code: 'HR-CRL-004', found: `${where} does not exist or has no tls.crt and tls.key` };
      return readAuthority(fromBase64(certificate), fromBase64(key));
    } catch (error) {
      if (isForbidden(error)) return { code: 'HR-CRL-003', found: `this process may not read ${where}` };
      log.debug({ issuer }, 'the Secret of a CA could not be read');
      return { code: 'HR-CRL-005', found: `the API server did not give ${where}` };
    }
  }

  function ageOf(issuer: string): Problem | undefined {
    const list = publisher.list(issuer);
    return list !== undefined && list.nextUpdateMs <= clock.now() ? { code: 'HR-CRL-023' } : undefined;
  }

  /** Ends early when somebody asks. */
  async function rest(ms: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    wake = () => stop.abort();
    await clock.sleep(Math.max(0, ms), AbortSignal.any([signal, stop.signal])).catch(() => undefined);
    wake = () => undefined;
  }

  return {
    add(issuer) {
      if (known.has(issuer)) return;
      known.add(issuer);
      look(issuer);
    },
    look,
    known: () => known,
    isKnown: (issuer) => known.has(issuer),
    get settled() {
      return settled;
    },
    run,
  };
}

const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('utf8');

const isSame = (a: Authority, b: Authority): boolean => a.spki === b.spki && a.issuer.equals(b.issuer) && a.keyId.equals(b.keyId);
