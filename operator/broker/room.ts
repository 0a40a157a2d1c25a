// The loop that keeps the broker true: urgent changes at once, the rest in batches, everything read again every quarter of a minute and whenever EMQX may have forgotten.
import { isOwnName } from '../api/names.ts';
import type { Clock } from '../runtime/clock.ts';
import { createController } from '../runtime/controller.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Outcome } from '../runtime/outcome.ts';
import { jittered, type Random } from '../runtime/random.ts';
import { createBans } from './bans.ts';
import type { Authorization, Broker, ClientSeen, DesiredBroker, Incident } from './broker.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import type { ClientRow, Emqx } from './emqx.ts';
import { explain, reasonOf } from './errors.ts';
import type { Feed } from './feed.ts';
import { createKnowledge, mayWrite } from './knowledge.ts';
import { createNotices } from './notices.ts';
import { createPass } from './pass.ts';
import { createPresence } from './presence.ts';
import { createPulse } from './pulse.ts';
import { createReach } from './reach.ts';
import { isOurs } from './record.ts';
import { createRecords } from './records.ts';
import { BrokerError, OneFailed } from './rest.ts';
import { isDevice } from './sweep.ts';
import { grantsOf } from './trim.ts';
import { trustsCa } from './trust.ts';
import { createUsage } from './usage.ts';
import { verdict } from './verdict.ts';
import { createWanted } from './wanted.ts';

export type RoomDeps = {
  emqx: Emqx;
  desired(): DesiredBroker;
  incident?: ((incident: Incident) => Promise<void>) | undefined;
  /** Absent where events are not asked for. */
  feed?: Pick<Feed, 'enforce'> | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  brokerMetrics: BrokerMetrics;
  canary?: boolean | undefined;
};

/** Changes that come together are one text and one comparison. */
const BATCH_MS = 100;
const PASS_GAP_MS = 250;
const URGENT_GAP_MS = 25;
/** A SIGKILL of EMQX loses rules of the last 3 s (restart.json). */
const DURABLE_MS = 5000;
/** Everything is read again this often, whatever happened (promise 9). */
const FULL_MS = 15_000;
/** The first pass says whose EMQX it is. */
const FIRST_FEED_MS = 2000;
/** Somebody may be about to adopt it. */
const FOREIGN_MS = 5000;
/** A restart of EMQX is noticed this soon: one small question a second. */
const PULSE_MS = 1000;
/** The caches of the operator are not filled yet. */
const NOT_READY_MS = 250;
const NOT_READY_WARN = 120;

export function createRoom(deps: RoomDeps): Broker {
  const { emqx, clock, log } = deps;
  const knowledge = createKnowledge();
  const wanted = createWanted(deps);
  const reach = createReach(deps);
  const notices = createNotices(() => {
    const { text, complete, findings, textProblem, segments, excluded } = knowledge;
    const everybody = JSON.stringify([reach.unreachable(), text?.kind.kind === 'foreign', complete, findings, textProblem]);
    return { everybody, segments, excluded, complete };
  });
  const pulse = createPulse(clock);
  /** Clients that a wake named, with the number of that wake. */
  const awaited = new Map<string, number>();
  /** What was answered since listeners were last told. */
  const answers = new Map<string, string>();

  const shared = { emqx, knowledge, metrics: deps.brokerMetrics, changed: notices.changed };
  const usage = createUsage({
    emqx,
    isSuperseded: (client, md5) => wanted.now?.isSuperseded(client, md5) === true,
    isGood: (client, md5) => wanted.now?.judge(client, md5) === 'ok',
    changed: notices.changed,
    incident: deps.incident ?? (async () => undefined),
    clock,
    log,
  });
  const bans = createBans({
    ...shared,
    flapping: usage.flapping,
    clock,
    log,
    wanted: (key) => wanted.now?.bans.get(key),
    isDevice: (client) => notices.asked.has(client),
  });
  /** When the rules of a client alone were written or taken away. */
  const settling = new Map<string, number>();
  const records = createRecords({
    ...shared,
    changed(client) {
      settling.set(client, clock.elapsed());
      notices.changed(client);
    },
    clock,
    wanted: (client) => wanted.now?.records.get(client),
    segmentOf: (client) => wanted.now?.segmentOf(client),
    grants: (client, segment) =>
      grantsOf(
        client,
        segment,
        wanted.now?.segments.find((one) => one.segment === segment),
      ),
  });
  const presence = createPresence(notices.changed);
  const lookers: ((clients: ReadonlyMap<string, ClientSeen>) => void)[] = [];
  const pass = createPass({
    ...{ ...shared, bans, records, wanted, clock, log, canary: deps.canary === true },
    seen(rows) {
      presence.see(rows, wanted.now?.records ?? new Map());
      usage.listed(rows.filter(isDevice));
      const clients = new Map(rows.filter(({ clientid }) => !isOwnName(clientid)).map((row) => [row.clientid, seenOf(row)]));
      for (const looker of lookers) looker(clients);
    },
  });
  const textListeners: (() => void)[] = [];
  let toldDigest: string | undefined;
  let notReady = 0;
  let fullAt = Number.NEGATIVE_INFINITY;

  const controller = createController({
    name: 'broker',
    concurrency: 4,
    reconcile: (key) => supervised(key as Key),
    clock,
    log,
    metrics: deps.metrics,
  });
  controller.queue.add('pulse');
  controller.queue.add('pass');
  if (deps.feed !== undefined) controller.queue.add('feed', { afterMs: FIRST_FEED_MS });

  /** What fails is retried with the broker's own back-off, never the queue's, which grows to a quarter of an hour. */
  async function supervised(key: Key): Promise<Outcome> {
    try {
      const afterMs = await WORK[key]();
      publish();
      return afterMs === undefined ? { kind: 'done' } : { kind: 'requeue', afterMs, reason: 'level-triggered' };
    } catch (error) {
      const waitMs = reach.failed(error);
      if (!(error instanceof OneFailed)) knowledge.suspect = true;
      if (!(error instanceof BrokerError)) log.error({ err: error, work: key }, 'keeping the broker true failed; it is tried again');
      else
        log.warn(
          { code: error.code, found: error.message, retryMs: Math.round(waitMs), work: key },
          'the broker cannot be brought up to date; it is tried again',
        );
      publish();
      if (key !== 'pass') controller.queue.add('pass', { afterMs: waitMs });
      return { kind: 'requeue', afterMs: key === 'pulse' ? Math.max(waitMs, PULSE_MS / 2) : waitMs, reason: 'failed' };
    }
  }

  const WORK: Record<Key, () => Promise<number | undefined>> = {
    async pulse() {
      const asked = clock.elapsed();
      const uptimes = await emqx.uptimes();
      if (pulse.restarted(uptimes, asked)) {
        log.warn({}, 'EMQX has restarted: everything it holds is compared anew');
        deps.brokerMetrics.restarted();
        pass.forgive();
        knowledge.suspect = true;
        controller.queue.add('pass');
      }
      await usage.look();
      return PULSE_MS;
    },

    /** Apart from the passes: EMQX takes its time to try a connector, and no right waits for it. */
    async feed() {
      if (mayWrite(knowledge)) await deps.feed?.enforce();
      return FULL_MS;
    },

    /** Only what takes rights away, from what is known; a doubt about what is known is for the pass. */
    async urgent() {
      if (!knowledge.complete || !mayWrite(knowledge)) {
        controller.queue.add('pass');
        return undefined;
      }
      const waitMs = refresh('urgent', URGENT_GAP_MS);
      if (waitMs === undefined) await pass.tighten();
      return waitMs;
    },

    async pass() {
      const waitMs = refresh('pass', PASS_GAP_MS);
      if (waitMs !== undefined) return waitMs;
      const startedAt = clock.elapsed();
      const full = knowledge.suspect || startedAt >= fullAt;
      const first = !knowledge.complete;
      if (full) await pass.full();
      else if (mayWrite(knowledge)) await pass.incremental();
      if (full) fullAt = clock.elapsed() + jittered(mayWrite(knowledge) ? FULL_MS : FOREIGN_MS, 0.2, deps.random);
      // What an operator before this one wrote may be as young.
      if (first) for (const client of knowledge.records.keys()) settling.set(client, clock.elapsed());
      reach.succeeded();
      deps.brokerMetrics.passed(full, (clock.elapsed() - startedAt) / 1000);
      return Math.max(0, fullAt - clock.elapsed());
    },
  };

  /** The ms to wait when `desired` cannot be asked now. */
  function refresh(purpose: string, gapMs: number): number | undefined {
    try {
      const waitMs = wanted.refresh(purpose, gapMs);
      notReady = 0;
      if (waitMs === undefined) noticed(wanted.now?.wake ?? 0);
      return waitMs;
    } catch (error) {
      if (++notReady % NOT_READY_WARN === 0) log.warn({ err: error }, 'what the broker should hold is still not known: nothing is written');
      return NOT_READY_MS;
    }
  }

  /** What is wanted now is newer than these wakes: from here on it is compared with what the broker holds. */
  function noticed(upTo: number): void {
    for (const [client, wake] of awaited) {
      if (wake > upTo) continue;
      awaited.delete(client);
      notices.changed(client);
    }
  }

  function publish(): void {
    // In the middle of a pass somebody may have been told what holds no more at its end, and nothing else of it shows.
    for (const [client, told] of answers) if (wordsOf(read(client, notices.asked.get(client) ?? '')) !== told) notices.changed(client);
    answers.clear();
    for (const [client, at] of settling) {
      if (clock.elapsed() - at < DURABLE_MS) continue;
      settling.delete(client);
      notices.changed(client);
    }
    notices.publish();
    if (knowledge.digest !== toldDigest) {
      toldDigest = knowledge.digest;
      for (const listener of textListeners) listener();
    }
    deps.brokerMetrics.held(knowledge.bans.size, knowledge.records.size, knowledge.excluded.size);
    deps.brokerMetrics.unsafe(knowledge.findings.length);
  }

  function read(client: string, segment: string): Authorization {
    const own = { wanted: wanted.now?.records.get(client), awaited: awaited.has(client) };
    return verdict({ client, segment, knowledge, ...own, unreachable: reach.unreachable() });
  }

  function wake(reason: string, urgent = false, client?: string): void {
    log.debug({ reason, urgent }, 'the broker may have to change');
    const number = wanted.woken();
    if (client !== undefined) awaited.set(client, number);
    const quietMs = reach.quietMs();
    controller.queue.add('pass', { afterMs: Math.max(BATCH_MS, quietMs) });
    if (urgent) controller.queue.add('urgent', { afterMs: quietMs });
  }

  return {
    wake,
    authorization(client, segment): Authorization {
      const before = notices.asked.get(client);
      notices.asked.set(client, segment);
      if (before !== undefined && before !== segment) wake('a device is asked about with another segment', true, client);
      const answer = read(client, segment);
      answers.set(client, wordsOf(answer));
      return answer;
    },
    banned: bans.holds,
    bannedCertificate: bans.holdsCertificate,
    overridden: (client) => knowledge.records.get(client) !== undefined,
    ownRules: (client) => ({
      held: !knowledge.complete || isOurs(client, knowledge.records.get(client) ?? []),
      durable: knowledge.complete && !settling.has(client),
      connectedWith: presence.of(client),
    }),
    inUse: usage.inUse,
    trustsCa: (ca) => trustsCa(knowledge, ca),
    onChange: notices.onChange,
    exclusion(segment) {
      if (!knowledge.complete) return 'unknown';
      const why = knowledge.excluded.get(segment);
      return why === undefined ? undefined : { reason: reasonOf(why.code), message: explain(why.code, why.found) };
    },
    onExcluded: notices.onExcluded,
    onLook: (listener) => void lookers.push(listener),
    textInForce: () => (knowledge.digest === undefined ? undefined : { digest: knowledge.digest, segments: knowledge.segments }),
    onText: (listener) => void textListeners.push(listener),
    controller,
  };
}

function seenOf({ connected, goneAt, counted }: ClientRow): ClientSeen {
  const goneAtMs = Date.parse(goneAt ?? '');
  return { connected, goneAtMs: Number.isNaN(goneAtMs) ? undefined : goneAtMs, counted };
}

const wordsOf = ({ state, reason, message }: Authorization): string => `${state} ${reason} ${message}`;

type Key = 'pulse' | 'urgent' | 'pass' | 'feed';
