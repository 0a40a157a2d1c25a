// One ban made as it should be, and its holder gone.
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Ban } from './broker.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import type { Emqx } from './emqx.ts';
import { type Knowledge, modeOf } from './knowledge.ts';
import { createKeyLock } from './parallel.ts';
import { banKey, banStep, endOf, FLAPPING, OURS } from './plan.ts';
import { BrokerError } from './rest.ts';
import { WIRE_NAME } from './topic.ts';

export type BansDeps = {
  emqx: Emqx;
  knowledge: Knowledge;
  wanted(key: string): Ban | undefined;
  isDevice(client: string): boolean;
  /** The flapping detector has banned the id of one of our devices; its record goes when this is done. Never rejects. */
  flapping(client: string): Promise<void>;
  changed(client: string): void;
  clock: Clock;
  log: Log;
  metrics: BrokerMetrics;
};

/** Clocks of the broker and of this machine may differ by this much about whether a ban is over. */
const SKEW_SECONDS = 120;

export function createBans(deps: BansDeps) {
  const { emqx, knowledge } = deps;
  const locked = createKeyLock();

  const stepOf = (key: string) => {
    const held = knowledge.bans.get(key);
    return banStep(deps.wanted(key), held, held !== undefined && isOurClient(held.who));
  };
  const isOurClient = (who: string): boolean => WIRE_NAME.test(who) && (modeOf(knowledge) === 'owned' || deps.isDevice(who));

  /**
   * Looks again under the lock: between the plan and now the wish may have changed, and a removal must never overtake a new ban.
   * `later`: the caller sees the holders off, of many at once.
   */
  function enforce(key: string, later = false): Promise<void> {
    return locked(key, async () => {
      const wanted = deps.wanted(key);
      const held = knowledge.bans.get(key);
      const step = stepOf(key);
      if (step === 'none') return;
      // First what replaces the record: who dies in between finds the record again.
      if (step === 'remove' && held?.by === FLAPPING) await deps.flapping(held.who);
      if ((step === 'remove' || step === 'replace') && held !== undefined) {
        await emqx.unban(held.as, held.who);
        knowledge.bans.delete(key);
      }
      if (held?.by === FLAPPING)
        deps.log.warn({ client: held.who }, "the flapping detector had banned a device's id; its record was removed");
      if (wanted !== undefined && (step === 'make' || step === 'replace')) await make(key, wanted, later);
      deps.metrics.repaired(step === 'remove' ? 'ban-removed' : 'ban-made');
      const changed = wanted ?? held;
      const client = changed?.as === 'clientid' ? changed.who : changed?.by.slice(OURS.length);
      if (client !== undefined && WIRE_NAME.test(client)) deps.changed(client);
    });
  }

  async function make(key: string, ban: Ban, later: boolean): Promise<void> {
    try {
      const old = await emqx.ban(ban);
      if (old !== undefined && banStep(ban, old, false) !== 'none') {
        await emqx.unban(old.as, old.who);
        const again = await emqx.ban(ban);
        if (again !== undefined && banStep(ban, again, false) !== 'none')
          throw new BrokerError('HR-BRK-005', 400, 'a ban cannot be made: another record of the same identity comes back');
      }
      if (!later) await seeOff(() => holders(ban));
      knowledge.bans.set(key, old !== undefined && banStep(ban, old, false) === 'none' ? old : { ...ban });
    } catch (error) {
      // EMQX refuses a ban that is over by its own clock.
      const over = error instanceof BrokerError && error.status === 400 && endOf(ban.until) - deps.clock.now() / 1000 < SKEW_SECONDS;
      if (!over) throw error;
      knowledge.bans.set(key, { ...ban });
    }
  }

  /**
   * A ban by client id closes the connection by itself, one by user name does not (emqx.md §1.5). A kick goes by client id and so hits whoever holds it:
   * it is done only while the banned certificate does (emqx-profile.md, 17). Never the other way round: kicked first, ten of ten came back.
   */
  async function seeOff(look: () => Promise<string[]>): Promise<void> {
    let still = await look();
    for (let attempt = 0; still.length > 0 && attempt < ATTEMPTS; attempt++) {
      if (still.length === 1) await emqx.kick(still[0] ?? '');
      else await emqx.kickAll(still);
      deps.metrics.repaired('client-kicked', still.length);
      // EMQX closes a connection within a few ms of its answer (emqx-profile.md, timing); its list may be as late.
      if (attempt > 0) await deps.clock.sleep(LATE_MS);
      still = await look();
    }
    if (still.length > 0) throw new BrokerError('HR-BRK-005', 200, 'a banned client is still connected');
  }

  async function holders(ban: Ban): Promise<string[]> {
    if (ban.as === 'username') return (await emqx.clientsOf(ban.who)).map((row) => row.clientid);
    return (await emqx.client(ban.who)) === undefined ? [] : [ban.who];
  }

  function isHeld(who: Pick<Ban, 'as' | 'who'>): boolean {
    const held = knowledge.bans.get(banKey(who));
    return held !== undefined && banStep({ ...who, until: held.until, reason: '', by: '' }, held, false) === 'none';
  }

  return {
    enforce,
    /** Of many certificates in one list: a question for each would be a scan of all clients for each. */
    seeOffAll: (md5s: ReadonlySet<string>): Promise<void> =>
      seeOff(async () => (await emqx.clients()).filter((row) => md5s.has(row.username)).map((row) => row.clientid)),
    /** Keys at which something is to be done, bans before removals. */
    due(wanted: Iterable<string>): { tighten: string[]; loosen: string[] } {
      const tighten = [...wanted].filter((key) => stepOf(key) !== 'none');
      const loosen = [...knowledge.bans.keys()].filter((key) => deps.wanted(key) === undefined && stepOf(key) === 'remove');
      return { tighten, loosen };
    },
    /** Of a client: whether EMQX was seen to hold its ban by client id. */
    holds: (client: string): boolean => isHeld({ as: 'clientid', who: client }),
    /** Of a certificate by its MD5. */
    holdsCertificate: (md5: string): boolean => isHeld({ as: 'username', who: md5 }),
  };
}

const ATTEMPTS = 3;
const LATE_MS = 25;
