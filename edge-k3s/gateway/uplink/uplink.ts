// From the spool to the cloud: what the gate lets go, not faster than agreed, each record until the broker says that somebody has it. A connection that breaks, a broker
// that refuses and a process that is killed cost nothing but time: what was not acknowledged is sent again under the same key.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import type { Random } from '../../../operator/runtime/random.ts';
import type { Outgoing } from '../egress/gate.ts';
import type { GatewayCode } from '../errors.ts';
import type { Stored } from '../spool/record.ts';
import { refilled, type Tokens, waitMs } from '../spool/resume.ts';
import type { Spool } from '../spool/spool.ts';
import { type Channel, ConnectRefused, openChannel } from './channel.ts';

export type UplinkOptions = {
  host: string;
  port: number;
  /** Asked for each connection. PEM; `name`: the client id. */
  identity(): { ca: string; cert: string; key: string; name: string };
  spool: Pick<Spool, 'take' | 'acknowledge' | 'giveBack' | 'waiting'>;
  consumer: string;
  /** The gate, as the policies are now. */
  outgoing(stored: Stored): Outgoing | GatewayCode;
  /** Resolves when a record says that it can never be sent. */
  lost(stored: Stored): Promise<void>;
  perSecond: number;
  clock: Clock;
  random: Random;
  log: Log;
  /** `code`: why a record went nowhere, or not yet. */
  counted(what: 'sent' | 'withheld' | 'refused', code?: GatewayCode): void;
};

export type Uplink = {
  /** Until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Something is in the spool. */
  wake(): void;
  readonly isConnected: boolean;
};

/** Under way at once: enough for 1,000 messages a second over 100 ms. */
const MOST_UNDER_WAY = 100;
const IDS = 0xffff;
/** The spool is looked at so often even when nobody says that there is something. */
const LOOK_MS = 1_000;
/** What is under way when the gateway stops has so long to be acknowledged. */
const LAST_MS = 2_000;
/** What was not refused for so long is no longer counted as refused again. */
const HEALTHY_MS = 20_000;
const NO_SUBSCRIBERS = 0x10;
const FIRST_REFUSAL = 0x80;
/** The topic, its length and the fixed header beside a payload. */
const AROUND_PAYLOAD = 1_024;

export function createUplink(o: UplinkOptions): Uplink {
  const { clock, log } = o;
  let isConnected = false;
  let gate = Promise.withResolvers<void>();
  const wake = (): void => gate.resolve();
  /** A wake while nobody waits is not lost. */
  async function woken(afterMs: number): Promise<void> {
    const timer = clock.setTimer(afterMs, wake);
    await gate.promise;
    timer.cancel();
    gate = Promise.withResolvers<void>();
  }

  async function connection(round: Round, signal: AbortSignal): Promise<string> {
    const channel = await openChannel({ ...o, credentials: o.identity(), acknowledged: round.acknowledged });
    isConnected = true;
    log.info({ underWay: Math.min(channel.most, MOST_UNDER_WAY) }, 'the uplink is there');
    let why: string | undefined;
    void channel.ended.then((reason) => {
      why = reason;
      wake();
    });
    const stop = (): void => wake();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (why === undefined && !signal.aborted) await woken(await round.send(channel));
      if (why === undefined) await last(round, channel);
      return why ?? 'stopped';
    } finally {
      signal.removeEventListener('abort', stop);
      channel.close();
      isConnected = false;
      // What may have arrived is sent again, and known by its key.
      o.spool.giveBack(o.consumer);
    }
  }

  async function last(round: Round, channel: Channel): Promise<void> {
    const until = clock.elapsed() + LAST_MS;
    let isOver = false;
    void channel.ended.then(() => {
      isOver = true;
    });
    while (round.underWay > 0 && !isOver && clock.elapsed() < until) await woken(until - clock.elapsed());
  }

  return {
    async run(signal) {
      let attempt = 0;
      while (!signal.aborted) {
        // The first time too: the gateways of a region come back together.
        await clock.sleep(waitMs(attempt, o.random), signal).catch(() => undefined);
        if (signal.aborted) return;
        const round = createRound(o, wake);
        const why = await connection(round, signal).catch((error: unknown) => {
          if (error instanceof ConnectRefused) log.warn({ code: 'HR-GW-501' }, error.message);
          return error instanceof Error ? error.message : String(error);
        });
        // One on which the cloud took something was a good one.
        attempt = round.sent > 0 ? 0 : attempt + 1;
        if (!signal.aborted) log.info({ found: why, attempt }, 'the uplink is gone');
      }
    },
    wake,
    get isConnected() {
      return isConnected;
    },
  };
}

type Round = ReturnType<typeof createRound>;

/** What is under way on one connection. */
function createRound(o: UplinkOptions, wake: () => void) {
  const { clock, spool, consumer } = o;
  const underWay = new Map<number, Stored>();
  let [lastId, attempt, sent] = [0, 0, 0];
  let tokens: Tokens = { count: 1, atMs: clock.elapsed() };
  /** When what was refused is tried again, and when it last was. */
  let [againAt, triedAt] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

  function acknowledged(id: number, code: number): void {
    const stored = underWay.get(id);
    underWay.delete(id);
    if (stored === undefined) return;
    wake();
    if (code < FIRST_REFUSAL && code !== NO_SUBSCRIBERS) {
      spool.acknowledge(consumer, [stored]);
      sent += 1;
      o.counted('sent');
      return;
    }
    // It stays taken, so that what the broker does let through goes past it.
    const why = code === NO_SUBSCRIBERS ? 'HR-GW-503' : 'HR-GW-502';
    o.counted('refused', why);
    if (againAt !== Number.POSITIVE_INFINITY) return;
    attempt = clock.elapsed() - triedAt > HEALTHY_MS ? 0 : attempt + 1;
    againAt = clock.elapsed() + waitMs(attempt, o.random);
    o.log.warn({ code: why, found: `0x${code.toString(16)}` }, 'the cloud does not take a message; it is kept and tried again');
  }

  /** Gives what has to be given out again first its turn, then takes what is new. The ms after which to look again. */
  async function send(channel: Channel): Promise<number> {
    if (clock.elapsed() >= againAt) {
      // All or nothing is given back: what is under way has to be through.
      if (underWay.size > 0) return LOOK_MS;
      [againAt, triedAt] = [Number.POSITIVE_INFINITY, clock.elapsed()];
      spool.giveBack(consumer);
    }
    tokens = refilled(tokens, clock.elapsed(), o.perSecond);
    const room = Math.min(MOST_UNDER_WAY, channel.most) - underWay.size;
    const limit = Math.min(room, Math.floor(tokens.count));
    const taken = limit > 0 ? await spool.take(consumer, limit) : [];
    for (const stored of taken) publish(stored, channel);
    tokens = { ...tokens, count: tokens.count - taken.length };
    const again = againAt - clock.elapsed();
    if (room <= 0 || (taken.length === 0 && limit > 0)) return Math.max(1, Math.min(LOOK_MS, again));
    return Math.max(1, Math.min(again, ((1 - tokens.count) * 1_000) / o.perSecond));
  }

  function publish(stored: Stored, channel: Channel): void {
    const message = o.outgoing(stored);
    if (typeof message === 'string') {
      // A policy was narrowed since.
      spool.acknowledge(consumer, [stored]);
      o.counted('withheld', message);
      return;
    }
    if (Buffer.byteLength(message.payload) + AROUND_PAYLOAD > channel.mostBytes) {
      // Nobody will ever take it. It stays in the spool until that is said.
      void o.lost(stored).then(
        () => spool.acknowledge(consumer, [stored]),
        () => undefined,
      );
      o.counted('withheld', 'HR-GW-504');
      return;
    }
    do lastId = (lastId % IDS) + 1;
    while (underWay.has(lastId));
    underWay.set(lastId, stored);
    channel.publish(lastId, message.topic, message.payload);
  }

  return {
    acknowledged,
    send,
    get underWay() {
      return underWay.size;
    },
    get sent() {
      return sent;
    },
  };
}
