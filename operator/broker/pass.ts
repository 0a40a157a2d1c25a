// One comparison with the broker. The order is the safe one: bans, overrides, the text, and only then what gives rights back.
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { createBans } from './bans.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import type { ClientRow, Emqx } from './emqx.ts';
import { type Knowledge, mayWrite, modeOf } from './knowledge.ts';
import { observe, readPosture } from './observe.ts';
import { inParallel } from './parallel.ts';
import { OURS } from './plan.ts';
import { subscribable } from './record.ts';
import type { createRecords } from './records.ts';
import { BrokerError, OneFailed } from './rest.ts';
import { hasRights, sweep } from './sweep.ts';
import { createText, type TextChange } from './text.ts';
import { grantsOf, trimAll } from './trim.ts';
import { createTrust } from './trust.ts';
import type { WantedSource } from './wanted.ts';

export type PassDeps = {
  emqx: Emqx;
  knowledge: Knowledge;
  bans: ReturnType<typeof createBans>;
  records: ReturnType<typeof createRecords>;
  wanted: WantedSource;
  /** Who was found connected, or with a session that lasts, and may be. */
  seen(rows: readonly ClientRow[]): void;
  clock: Clock;
  log: Log;
  metrics: BrokerMetrics;
  canary: boolean;
};

/** 8 in flight: 2,800 to 4,500 bans a second (emqx.md §8). */
const WIDTH = 8;
/** Subscriptions are compared with rights this often even if nothing changed: one made in the moment of a change may have slipped through. */
const TRIM_MS = 60_000;
const SWEEP_SHARE = 20;
const BY_MD5 = 'username ';
/** From so many banned certificates on, one list of all clients is cheaper than a question for each. */
const MANY = 16;

export function createPass(deps: PassDeps) {
  const { emqx, knowledge, bans, records, wanted, metrics } = deps;
  const text = createText({ emqx, knowledge, log: deps.log, metrics, settle, canary: deps.canary });
  const trust = createTrust({ emqx, knowledge, log: deps.log, metrics });
  let trimAt = Number.NEGATIVE_INFINITY;
  let sweepAt = Number.NEGATIVE_INFINITY;

  async function tighten(): Promise<void> {
    const due = bans.due(wanted.now?.bans.keys() ?? []).tighten;
    const md5s = new Set(due.filter((key) => key.startsWith(BY_MD5)).map((key) => key.slice(BY_MD5.length)));
    const together = md5s.size >= MANY;
    await each(due, (key) => bans.enforce(key, together && key.startsWith(BY_MD5)));
    if (together) await bans.seeOffAll(md5s);
    await each(records.due(wanted.now?.records.keys() ?? []).tighten, records.enforce);
  }

  /** From what is known, without reading: costs nothing when nothing changed. */
  async function incremental(): Promise<void> {
    const restoring = knowledge.text?.inForce !== true;
    // Rights must not come back before what takes them away; but a text that is in force already has to follow its policies, whatever one identity meets.
    const failure = restoring ? await tighten() : await unlessOne(tighten);
    await trust.enforce(wanted.now?.trust);
    await text.enforce(wanted.now?.segments ?? []);
    await each(bans.due([]).loosen, (key) => bans.enforce(key));
    await each(loosenable(), records.enforce);
    if (failure !== undefined) throw failure;
  }

  /** The rules of a device that moved keep its old certificates from their rights: they go when the bans of those were seen to hold, not before. */
  function loosenable(): string[] {
    const { loosen } = records.due([]);
    if (loosen.length === 0) return [];
    const unbanned = new Set(bans.due(wanted.now?.bans.keys() ?? []).tighten.map((key) => wanted.now?.bans.get(key)?.by));
    return loosen.filter((client) => !unbanned.has(`${OURS}${client}`));
  }

  async function full(): Promise<void> {
    const sources = await observe(emqx, knowledge);
    knowledge.suspect = false;
    if (!mayWrite(knowledge)) {
      knowledge.complete = true;
      return;
    }
    if (modeOf(knowledge) === 'owned') await ensureRecordsSource(sources);
    await trust.look();
    const failure = (await unlessOne(incremental)) ?? (await unlessOne(sweepAndTrim));
    await readPosture(emqx, knowledge, await emqx.sources());
    if (knowledge.text?.inForce === true) {
      knowledge.complete = true;
      knowledge.established ||= modeOf(knowledge) === 'owned';
    }
    if (failure !== undefined) throw failure;
    metrics.succeeded(deps.clock.now());
  }

  async function ensureRecordsSource(sources: readonly { type: string; enable: boolean }[]): Promise<void> {
    const source = sources.find((one) => one.type === 'built_in_database');
    if (source?.enable === true) return;
    const tried = await emqx.enableRecords(source !== undefined);
    if (!tried.ok) throw new BrokerError('HR-BRK-005', 400, `EMQX refuses to enable its built-in database: ${tried.why}`);
  }

  async function sweepAndTrim(): Promise<void> {
    const now = wanted.now;
    if (now === undefined) return;
    const startedAt = deps.clock.elapsed();
    if (startedAt < sweepAt) return;
    const { judge } = now;
    const who = { mode: modeOf(knowledge), judge, suspect: wanted.suspect, enforceBan: (key: string) => bans.enforce(key) };
    const staying = await sweep({ emqx, log: deps.log, metrics, ...who });
    deps.seen(staying);
    if (startedAt >= trimAt) {
      await trimAll(deps, staying.filter(hasRights), grantsBy(knowledge.segments));
      trimAt = startedAt + TRIM_MS;
    }
    // Lists of a large fleet are slow work for EMQX (emqx.md §1.6): a twentieth of its time at the most.
    sweepAt = startedAt + (deps.clock.elapsed() - startedAt) * SWEEP_SHARE;
  }

  /** The new text is in force: what its change means for those who are connected. */
  async function settle(change: TextChange): Promise<void> {
    const touched = change.vanished.size + change.appeared.size + change.altered.size > 0;
    if (!change.restored && !change.everyone && !touched) return;
    const own = (row: ClientRow): boolean => wanted.now?.records.has(row.clientid) !== true;
    const rows = (await emqx.clients()).filter(hasRights);
    const within = (row: ClientRow, segments: { has(name: string): boolean }): boolean => own(row) && segments.has(row.segment ?? '');
    const kicked = rows.filter((row) =>
      // Whoever was refused a subscription stays deaf until it connects again; a segment that is gone ends its sessions (design/api.md).
      change.restored ? row.connected : within(row, change.vanished) || (row.connected && within(row, change.appeared)),
    );
    await emqx.kickAll(kicked.map((row) => row.clientid));
    if (kicked.length > 0) metrics.repaired('client-kicked', kicked.length);
    const rest = rows.filter((row) => !kicked.includes(row) && (change.everyone || within(row, change.altered)));
    await trimAll(deps, rest, grantsBy(change.included));
  }

  function grantsBy(included: ReadonlyMap<string, string>): (row: ClientRow) => readonly string[] {
    const rights = new Map((wanted.now?.segments ?? []).map((one) => [one.segment, one]));
    return (row) => {
      const record = wanted.now?.records.get(row.clientid);
      if (record !== undefined) return subscribable(record.rules);
      const segment = row.segment ?? '';
      // A certificate of a segment that the device left, and no rules of its own that say so: it expired, and gives no rights.
      if ((wanted.now?.segmentOf(row.clientid) ?? segment) !== segment) return grantsOf(row.clientid, segment, undefined);
      return grantsOf(row.clientid, segment, included.has(segment) ? rights.get(segment) : undefined);
    };
  }

  return { tighten, incremental, full, forgive: text.forgive };
}

const isNoAnswer = (error: unknown): boolean => error instanceof BrokerError && error.status === 0;

/** What fails for one identity does not stop the others. */
async function each(keys: readonly string[], work: (key: string) => Promise<void>): Promise<void> {
  try {
    await inParallel(keys, WIDTH, work, isNoAnswer);
  } catch (error) {
    throw error instanceof BrokerError && !isNoAnswer(error) ? new OneFailed(error) : error;
  }
}

/** The failure, when it is of one identity only. */
async function unlessOne(work: () => Promise<void>): Promise<OneFailed | undefined> {
  try {
    await work();
  } catch (error) {
    if (error instanceof OneFailed) return error;
    throw error;
  }
  return undefined;
}
