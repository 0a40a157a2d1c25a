// Who is above its segment's limits, by what the broker counts. Pure; times are ms of a steady clock. Lost with the process: then nobody is accused, and nobody acquitted, for a while.
import { type Allowance, allowanceOf } from './allowance.ts';
import { type Excess, measure, type Track } from './measure.ts';

/** What is counted of each client: two by the broker itself, two from what it tells (hints, some may be missing). */
export const MEASURED = ['messages', 'bytes', 'connectRate', 'denials'] as const;
export type Measured = (typeof MEASURED)[number];

/** What stands for one client now; a part that nobody counts is missing. */
export type Readings = Partial<Record<Measured, { session: string; count: number }>>;

/** A Device whose segment has limits; `saysOver`: its status says LimitExceeded. */
export type Watched = { name: string; limits: Partial<Record<Measured, string>>; saysOver: boolean };

export type Over = { limit: Measured; allowed: string; excess: Excess };
/** `unknown`: it was not looked at for long enough. */
export type LimitVerdict = { is: 'unknown' } | { is: 'within' } | ({ is: 'over' } & Over);

/** `flips`: whose status has to say something else now. `fresh`: who was found above a limit by what it has sent since the last time. */
export type Look = { flips: string[]; fresh: (Over & { name: string })[] };

/** Above a limit is who was found above it within this time. */
export const CLEAR_MS = 300_000;
/** Counts of a client that is away are kept for so long: whoever comes back in between is not a stranger. */
const FORGET_MS = 3_600_000;

type Client = {
  tracks: Partial<Record<Measured, Track>>;
  /** What is measured, of limits as they are written in `texts`. */
  allowances: readonly (readonly [Measured, Allowance])[];
  texts: string;
  seenAtMs: number;
  over: (Over & { atMs: number }) | undefined;
};

export class Meter {
  #clients = new Map<string, Client>();
  #since: number | undefined;
  #now = 0;

  /** One look at the broker, with every Device whose segment has a limit or whose status speaks of one. */
  look(nowMs: number, readings: (name: string) => Readings | undefined, watched: Iterable<Watched>): Look {
    this.#since ??= nowMs;
    this.#now = nowMs;
    const look: Look = { flips: [], fresh: [] };
    const clients = new Map<string, Client>();
    for (const one of watched) {
      const client = this.#next(nowMs, one, readings(one.name), look);
      if (client !== undefined) clients.set(one.name, client);
    }
    this.#clients = clients;
    return look;
  }

  verdict(name: string): LimitVerdict {
    const over = this.#clients.get(name)?.over;
    if (over !== undefined) return { is: 'over', limit: over.limit, allowed: over.allowed, excess: over.excess };
    return this.#knows() ? { is: 'within' } : { is: 'unknown' };
  }

  #knows(): boolean {
    return this.#since !== undefined && this.#now - this.#since >= CLEAR_MS;
  }

  #next(nowMs: number, { name, limits, saysOver }: Watched, readings: Readings | undefined, look: Look): Client | undefined {
    const client = this.#recall(name, limits, nowMs);
    if (readings !== undefined) client.seenAtMs = nowMs;
    const found = readings === undefined ? undefined : measureAll(client, readings, nowMs);
    if (found !== undefined) {
      client.over = { ...found, atMs: nowMs };
      look.fresh.push({ ...found, name });
    } else if (client.over !== undefined && nowMs - client.over.atMs >= CLEAR_MS) client.over = undefined;
    const isOver = client.over !== undefined;
    if (isOver !== saysOver && (isOver || this.#knows())) look.flips.push(name);
    return isOver || nowMs - client.seenAtMs < FORGET_MS ? client : undefined;
  }

  /** Other limits are another reckoning. */
  #recall(name: string, limits: Watched['limits'], nowMs: number): Client {
    const texts = MEASURED.map((one) => limits[one] ?? '').join(' ');
    const before = this.#clients.get(name);
    return before?.texts === texts ? before : { tracks: {}, allowances: allowancesOf(limits), texts, seenAtMs: nowMs, over: undefined };
  }
}

function allowancesOf(limits: Watched['limits']): Client['allowances'] {
  return MEASURED.flatMap((limit) => {
    const allowance = allowanceOf(limits[limit] ?? '');
    return allowance === undefined ? [] : [[limit, allowance] as const];
  });
}

/** The first limit that it is above; all are counted. */
function measureAll(client: Client, readings: Readings, atMs: number): Over | undefined {
  let found: Over | undefined;
  for (const [limit, allowance] of client.allowances) {
    const reading = readings[limit];
    if (reading === undefined) continue;
    const { track, excess } = measure(client.tracks[limit], { atMs, ...reading }, allowance);
    client.tracks[limit] = track;
    if (excess !== undefined) found ??= { limit, allowed: allowance.text, excess };
  }
  return found;
}
