// One comparison with the broker. The order is the safe one: bans, overrides, the text, and only then what gives rights back.
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { createBans } from './bans.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import type { ClientRow, Emqx } from './emqx.ts';
import { type Knowledge, mayWrite, modeOf } from './knowledge.ts';
import { observe, readPosture } from './observe.ts';
import { inParallel } from './parallel.ts';
import { subscribable } from './record.ts';
import type { createRecords } from './records.ts';
import { BrokerError } from './rest.ts';
import { isOurs, sweep } from './sweep.ts';
import { createText, type TextChange } from './text.ts';
import { grantsOf, trimAll } from './trim.ts';
import type { WantedSource } from './wanted.ts';

export type PassDeps = {
  emqx: Emqx;
  knowledge: Knowledge;
  bans: ReturnType<typeof createBans>;
  records: ReturnType<typeof createRecords>;
  wanted: WantedSource;
  clock: Clock;
  log: Log;
  metrics: BrokerMetrics;
};

/** 8 in flight: 2,800 to 4,500 bans a second (emqx.md §8). */
const WIDTH = 8;
/** Subscriptions are compared with rights this often even if nothing changed: one made in the moment of a change may have slipped through. */
const TRIM_MS = 60_000;

export function createPass(deps: PassDeps) {
  const { emqx, knowledge, bans, records, wanted, metrics } = deps;
  const text = createText({ emqx, knowledge, log: deps.log, metrics, settle });
  let trimAt = Number.NEGATIVE_INFINITY;

  async function tighten(): Promise<void> {
    await inParallel(bans.due(wanted.now?.bans.keys() ?? []).tighten, WIDTH, bans.enforce, isNoAnswer);
    await inParallel(records.due(wanted.now?.records.keys() ?? []).tighten, WIDTH, records.enforce, isNoAnswer);
  }

  /** From what is known, without reading: costs nothing when nothing changed. */
  async function incremental(): Promise<void> {
    const restoring = knowledge.text?.inForce !== true;
    let failure: unknown;
    try {
      await tighten();
    } catch (error) {
      // Rights must not come back before what takes them away; but a text that is in force already has to follow its policies.
      if (restoring || isNoAnswer(error)) throw error;
      failure = error;
    }
    await text.enforce(wanted.now?.segments ?? []);
    await inParallel(bans.due([]).loosen, WIDTH, bans.enforce, isNoAnswer);
    await inParallel(records.due([]).loosen, WIDTH, records.enforce, isNoAnswer);
    if (failure !== undefined) throw failure;
  }

  async function full(): Promise<void> {
    const sources = await observe(emqx, knowledge);
    knowledge.suspect = false;
    if (!mayWrite(knowledge)) {
      knowledge.complete = true;
      return;
    }
    if (modeOf(knowledge) === 'owned') await ensureRecordsSource(sources);
    await incremental();
    await sweepAndTrim();
    await readPosture(emqx, knowledge, await emqx.sources());
    knowledge.complete = true;
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
    const mode = modeOf(knowledge);
    const staying = await sweep({
      emqx,
      mode,
      judge: now.judge,
      suspect: wanted.suspect,
      enforceBan: bans.enforce,
      log: deps.log,
      metrics,
    });
    if (deps.clock.elapsed() < trimAt) return;
    await trimAll(emqx, staying.filter(isOurs), grantsBy(knowledge.segments), metrics);
    trimAt = deps.clock.elapsed() + TRIM_MS;
  }

  /** The new text is in force: what its change means for those who are connected. */
  async function settle(change: TextChange): Promise<void> {
    const touched = change.vanished.size + change.appeared.size + change.altered.size > 0;
    if (!change.restored && !change.everyone && !touched) return;
    const own = (row: ClientRow): boolean => wanted.now?.records.has(row.clientid) !== true;
    const rows = (await emqx.clients()).filter(isOurs);
    const within = (row: ClientRow, segments: { has(name: string): boolean }): boolean => own(row) && segments.has(row.segment ?? '');
    const kicked = rows.filter((row) =>
      // Whoever was refused a subscription stays deaf until it connects again; a segment that is gone ends its sessions (design/api.md).
      change.restored ? row.connected : within(row, change.vanished) || (row.connected && within(row, change.appeared)),
    );
    await emqx.kickAll(kicked.map((row) => row.clientid));
    if (kicked.length > 0) metrics.repaired('client-kicked', kicked.length);
    const rest = rows.filter((row) => !kicked.includes(row) && (change.everyone || within(row, change.altered)));
    await trimAll(emqx, rest, grantsBy(change.included), metrics);
  }

  function grantsBy(included: ReadonlyMap<string, string>): (row: ClientRow) => readonly string[] {
    const rights = new Map((wanted.now?.segments ?? []).map((one) => [one.segment, one]));
    return (row) => {
      const record = wanted.now?.records.get(row.clientid);
      if (record !== undefined) return subscribable(record.rules);
      const segment = row.segment ?? '';
      return grantsOf(row.clientid, segment, included.has(segment) ? rights.get(segment) : undefined);
    };
  }

  return { tighten, incremental, full, forgive: text.forgive };
}

const isNoAnswer = (error: unknown): boolean => error instanceof BrokerError && error.status === 0;
