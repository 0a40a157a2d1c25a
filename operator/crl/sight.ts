// What the operator sees of the lists, from outside and without a key: it fetches them where brokers do, and believes what a CA of the devices has signed.
import { X509Certificate } from 'node:crypto';
import type { LedgerEntry } from '../identity/identity.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { type CrlCode, ERRORS, explain, type Problem } from './errors.ts';
import type { FetchList } from './fetch-list.ts';
import { type IssuerFacts, type IssuerName, parseIssuer } from './issuers.ts';
import { isSignedBy, plainSerial, type ReadList, readList } from './read-list.ts';

/** A problem with its reason in one word and its text for a condition. */
export type ListProblem = { reason: string; message: string };

export interface ListSight {
  /** Whether the newest list of the issuer that was seen names the certificate. */
  names(issuer: string, serial: string): boolean;
  /** Whether its list, or an answer that says why there is none, was seen since this process began; before that nobody knows. */
  known(issuer: string): boolean;
  /** Its server answers and has a list: what is missing on it comes within seconds. */
  expected(issuer: string): boolean;
  /** What is wrong with the list of this issuer for a device that may be out of touch for so long. */
  problem(issuer: string, offlineBudgetMs: number): ListProblem | undefined;
  /** Called with the issuers whose problem changed, and the devices whose certificate a list names now. */
  onChange(listener: (changed: { issuers: ReadonlySet<string>; devices: ReadonlySet<string> }) => void): void;
  /** The ledger changed. */
  wake(): void;
  /** One round of questions to those that are due. */
  look(signal: AbortSignal): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

export type SightDeps = {
  /** Of the CRL server, without a slash at the end. */
  url: string;
  /** CA certificates in PEM, read again with each list that is new. */
  readAuthorities(): Promise<string>;
  fetchList: FetchList;
  issuers: { get(name: IssuerName): IssuerFacts | undefined };
  /** Undefined while the ledger was not read. */
  entries(): Iterable<LedgerEntry> | undefined;
  clock: Clock;
  log: Log;
};

type Seen = {
  etag: string | undefined;
  list: ReadList | undefined;
  problem: Problem | undefined;
  /** By `clock.elapsed()`. */
  firstAskedAt: number;
  askedAt: number;
  answeredAt: number;
  told: string;
};
/** Serial to device, of what is revoked and has not expired. */
type Wanted = Map<string, Map<string, string>>;

const TICK_MS = 1_000;
/** Nothing is missing: a list is asked for as often as a broker would. */
const EVERY_MS = 30_000;
/** A server that hangs must not make the others wait, nor 5 MB of each of a hundred be here at once. */
const AT_ONCE = 8;
/** A server that is being replaced is no news. */
const PATIENCE_MS = 60_000;
const BACKDATE_MS = 5 * 60_000;
const CODE = /^(HR-CRL-\d{3}) /;

export function createListSight(deps: SightDeps): ListSight {
  const { clock, log } = deps;
  const seen = new Map<string, Seen>();
  const listeners: ((changed: { issuers: ReadonlySet<string>; devices: ReadonlySet<string> }) => void)[] = [];
  let wanted: Wanted | undefined;
  let stale = true;
  let walkedAt = Number.NEGATIVE_INFINITY;

  function refresh(): void {
    if (!stale && clock.elapsed() - walkedAt < EVERY_MS) return;
    const entries = deps.entries();
    if (entries === undefined) return;
    wanted = wantedOf(entries, clock.now());
    stale = false;
    walkedAt = clock.elapsed();
    for (const issuer of wanted.keys()) if (!seen.has(issuer)) seen.set(issuer, unseen(clock.elapsed()));
    for (const issuer of seen.keys()) if (!wanted.has(issuer)) seen.delete(issuer);
  }

  const missing = (issuer: string): [serial: string, device: string][] =>
    [...(wanted?.get(issuer) ?? [])].filter(([serial]) => seen.get(issuer)?.list?.serials.has(serial) !== true);

  async function look(signal: AbortSignal): Promise<void> {
    refresh();
    const now = clock.elapsed();
    const due = [...seen].filter(([issuer, { askedAt }]) => now - askedAt >= (missing(issuer).length > 0 ? TICK_MS : EVERY_MS));
    const devices = new Set<string>();
    const askNext = async (): Promise<void> => {
      for (let next = due.shift(); next !== undefined && !signal.aborted; next = due.shift()) {
        const [issuer, known] = next;
        const before = missing(issuer);
        await ask(issuer, known, signal);
        for (const [serial, device] of before) if (known.list?.serials.has(serial) === true) devices.add(device);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, askNext));
    if (!signal.aborted) tell(devices);
  }

  async function ask(issuer: string, known: Seen, signal: AbortSignal): Promise<void> {
    known.askedAt = clock.elapsed();
    const path = pathOf(issuer);
    if (path === undefined) return;
    try {
      const answer = await deps.fetchList(`${deps.url}${path}`, known.list === undefined ? undefined : known.etag, signal);
      if (answer.status === 304) take(known, known.list, undefined);
      else if (answer.status === 200) await judge(known, answer.body, answer.etag);
      else refused(known, answer.body);
    } catch (error) {
      if (!signal.aborted) log.debug({ issuer, err: error }, 'the CRL server did not answer');
    }
  }

  async function judge(known: Seen, body: Buffer, etag: string | undefined): Promise<void> {
    const list = readList(body);
    if (list === undefined) return take(known, known.list, { code: 'HR-CRL-026' });
    const authorities = certificatesIn(await deps.readAuthorities());
    if (authorities.length === 0) return take(known, known.list, { code: 'HR-CRL-028' });
    if (!authorities.some((authority) => isSignedBy(list, authority))) return take(known, known.list, { code: 'HR-CRL-025' });
    known.etag = etag;
    take(known, list, undefined);
  }

  function take(known: Seen, list: ReadList | undefined, problem: Problem | undefined): void {
    known.list = list;
    known.problem = problem;
    known.answeredAt = clock.elapsed();
  }

  /** Of a refusal only the code is believed, and the words are our own: nobody has signed it. */
  function refused(known: Seen, body: Buffer): void {
    const code = CODE.exec(body.subarray(0, 64).toString('latin1'))?.[1];
    // A process that has just begun does not know the issuer yet, or has not read its CA.
    if (code === undefined || !(code in ERRORS) || code === 'HR-CRL-030' || code === 'HR-CRL-031') return;
    take(known, known.list, { code: code as CrlCode });
  }

  function tell(devices: ReadonlySet<string>): void {
    const issuers = new Set<string>();
    for (const [issuer, known] of seen) {
      const now = `${known.answeredAt >= 0} ${expected(issuer)} ${problemOf(issuer)?.code ?? ''} ${lastsMs(known)}`;
      if (now !== known.told) issuers.add(issuer);
      known.told = now;
    }
    if (issuers.size > 0 || devices.size > 0) for (const listener of listeners) listener({ issuers, devices });
  }

  function problemOf(issuer: string): Problem | undefined {
    if (pathOf(issuer) === undefined) return { code: 'HR-CRL-029' };
    const known = seen.get(issuer);
    if (known === undefined) return undefined;
    if (known.problem !== undefined) return known.problem;
    if (known.list === undefined) return clock.elapsed() - known.firstAskedAt > PATIENCE_MS ? { code: 'HR-CRL-024' } : undefined;
    if (known.list.nextUpdateMs <= clock.now()) return { code: 'HR-CRL-023' };
    const name = parseIssuer(issuer);
    const facts = name === undefined ? undefined : deps.issuers.get(name);
    if (facts === undefined) return undefined;
    return facts.distributionPoints.some((point) => point.startsWith('http://')) ? undefined : { code: 'HR-CRL-021' };
  }

  function expected(issuer: string): boolean {
    const known = seen.get(issuer);
    if (known === undefined || known.problem !== undefined || pathOf(issuer) === undefined) return false;
    const since = known.answeredAt < 0 ? known.firstAskedAt : known.answeredAt;
    return clock.elapsed() - since <= PATIENCE_MS;
  }

  return {
    look,
    names: (issuer, serial) => seen.get(issuer)?.list?.serials.has(plainSerial(serial)) === true,
    known: (issuer) => (seen.get(issuer)?.answeredAt ?? -1) >= 0 || problemOf(issuer) !== undefined,
    expected,
    problem(issuer, offlineBudgetMs) {
      const found = problemOf(issuer) ?? tooShort(seen.get(issuer), offlineBudgetMs);
      return found === undefined ? undefined : { reason: ERRORS[found.code].title, message: explain(found) };
    },
    onChange: (listener) => void listeners.push(listener),
    wake() {
      stale = true;
    },
    async run(signal) {
      while (!signal.aborted) {
        await look(signal);
        await clock.sleep(TICK_MS, signal).catch(() => undefined);
      }
    },
  };
}

const unseen = (now: number): Seen => ({
  ...{ etag: undefined, list: undefined, problem: undefined, told: '' },
  ...{ firstAskedAt: now, askedAt: Number.NEGATIVE_INFINITY, answeredAt: -1 },
});

function wantedOf(entries: Iterable<LedgerEntry>, now: number): Wanted {
  const wanted: Wanted = new Map();
  for (const { issuer, serial, device, notAfter, revoked } of entries) {
    if (Date.parse(notAfter) <= now) continue;
    const own = wanted.get(issuer) ?? new Map<string, string>();
    wanted.set(issuer, own);
    if (revoked !== undefined) own.set(plainSerial(serial), device);
  }
  return wanted;
}

/** What is left of a list when the next one is due, ms: the server makes one after an eighth of the time (docs/guides/crl.md). */
function lastsMs({ list }: Seen): number | undefined {
  return list === undefined ? undefined : ((list.nextUpdateMs - list.thisUpdateMs - BACKDATE_MS) * 7) / 8;
}

function tooShort(known: Seen | undefined, offlineBudgetMs: number): Problem | undefined {
  const leftMs = known === undefined ? undefined : lastsMs(known);
  if (leftMs === undefined || offlineBudgetMs <= leftMs) return undefined;
  const hours = Math.floor(leftMs / 3_600_000);
  return { code: 'HR-CRL-027', found: `a list of this issuer lasts ${hours}h at the least, less than the offlineBudget of the Device` };
}

/** Undefined for a CA that is no issuer of this cluster. */
function pathOf(issuer: string): string | undefined {
  const name = parseIssuer(issuer);
  if (name === undefined) return undefined;
  return name.kind === 'Issuer' ? `/crl/${name.namespace}/${name.name}.crl` : `/crl/${name.name}.crl`;
}

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}
