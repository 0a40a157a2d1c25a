// Who is out of touch: how long a device was not at the broker while somebody looked. Pure; times are ms of one steady clock that no change of the wall clock moves.

/** What the broker shows of a client: it is connected, or when it went (its session lasts). */
export type Sight = { connected: boolean; goneAtMs: number | undefined };
/** A Device that has to be in touch at least this often, and whether its status says that it is not. */
export type Watched = { name: string; budgetMs: number; saysOut: boolean };
/** `unknown`: nobody has looked yet. `absent`: not there now, within its time. */
export type Touch = 'unknown' | 'seen' | 'absent' | 'out';

/** What has to outlast the process. */
export type TouchMemory = {
  /** When the broker was looked at last. */
  watchedUntilMs: number;
  /** When devices that are away were there last. */
  away: ReadonlyMap<string, number>;
};

/** Looks come every quarter of a minute, or slower with a large fleet; more than this is a time in which nobody looked. */
const LONGEST_PAUSE_MS = 5 * 60_000;
/** Nobody looked for so much of its budget: it may well have been there, and is given all of its time again. */
const FORGIVEN_SHARE = 4;

export class TouchLog {
  #away: Map<string, number>;
  #watchedUntil: number | undefined;
  #verdicts = new Map<string, Touch>();

  constructor(memory: TouchMemory | undefined) {
    this.#away = new Map(memory?.away);
    this.#watchedUntil = memory?.watchedUntilMs;
  }

  /** One look at the broker, with everybody who has a budget. Gives those whose status has to say something else now. */
  look(nowMs: number, clients: ReadonlyMap<string, Sight>, watched: Iterable<Watched>): string[] {
    const pauseMs = Math.max(0, nowMs - (this.#watchedUntil ?? Number.NEGATIVE_INFINITY));
    const away = new Map<string, number>();
    const verdicts = new Map<string, Touch>();
    const flips: string[] = [];
    for (const { name, budgetMs, saysOut } of watched) {
      const sight = clients.get(name);
      if (sight?.connected === true) {
        verdicts.set(name, 'seen');
        if (saysOut) flips.push(name);
        continue;
      }
      const before = this.#away.get(name);
      const lastMs = Math.min(nowMs, Math.max(lastSeen(before, nowMs, pauseMs, budgetMs), sight?.goneAtMs ?? Number.NEGATIVE_INFINITY));
      away.set(name, lastMs);
      const out = nowMs - lastMs > budgetMs;
      verdicts.set(name, out ? 'out' : 'absent');
      if (out && !saysOut) flips.push(name);
    }
    this.#away = away;
    this.#verdicts = verdicts;
    this.#watchedUntil = nowMs;
    return flips;
  }

  touch(name: string): Touch {
    return this.#verdicts.get(name) ?? 'unknown';
  }

  /** How many are out of touch. */
  out(): number {
    let count = 0;
    for (const verdict of this.#verdicts.values()) if (verdict === 'out') count += 1;
    return count;
  }

  /** When it was there last, of one who is away. */
  lastSeenMs(name: string): number | undefined {
    return this.#away.get(name);
  }

  /** Undefined before the first look. */
  memory(): TouchMemory | undefined {
    return this.#watchedUntil === undefined ? undefined : { watchedUntilMs: this.#watchedUntil, away: this.#away };
  }
}

/** Time in which nobody looked does not count: not knowing is no alarm. */
function lastSeen(beforeMs: number | undefined, nowMs: number, pauseMs: number, budgetMs: number): number {
  if (beforeMs === undefined || pauseMs > Math.max(LONGEST_PAUSE_MS, budgetMs / FORGIVEN_SHARE)) return nowMs;
  return pauseMs > LONGEST_PAUSE_MS ? beforeMs + pauseMs : beforeMs;
}
