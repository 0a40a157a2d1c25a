// Brings what the catalogs name into the cache: on demand, and before anybody asks. Each file once at a time, few files at a time, and after a failure later each time.

import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';
import { jittered, type Random } from '../../operator/runtime/random.ts';
import type { Cache } from './cache.ts';
import type { CatalogArtifact } from './catalog.ts';
import type { Catalogs } from './catalogs.ts';
import { download } from './download.ts';
import { explain, type Problem, Refused } from './errors.ts';
import type { Registry } from './registry.ts';

export interface Supply {
  /** `here`; or why not, at the latest after `mostMs`: what is on its way goes on without the caller. */
  want(hex: string, mostMs: number): Promise<'here' | Problem>;
  /** Fetches what the catalogs name until the signal aborts, and ends what is on its way then. */
  run(signal: AbortSignal): Promise<void>;
}

export type SupplyDeps = {
  catalogs: Pick<Catalogs, 'sourcesOf' | 'named' | 'onChange'>;
  cache: Cache;
  registry: Registry;
  mostAtOnce: number;
  clock: Clock;
  random: Random;
  log: Log;
  received(bytes: number): void;
  /** `result`: ok, or the code of the problem. */
  fetched(result: string): void;
};

type Wish = 'demand' | 'prefetch';
type Flight = { promise: Promise<Problem | undefined>; demanded: boolean; received: number };
type Failure = { problem: Problem; times: number; until: number; demanded: boolean; sources: string };

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 600_000;
/** What is the matter with these a person has to change: soon is no better than later. */
const FOR_PEOPLE = ['HR-FW-411', 'HR-FW-412', 'HR-FW-413', 'HR-FW-414', 'HR-FW-416', 'HR-FW-417', 'HR-FW-420'];
const FIRST_WAIT_FOR_PEOPLE_MS = 30_000;
/** Who brought so much before it broke is asked again soon. */
const PROGRESS_BYTES = 1_048_576;
/** Without a change of a catalog: what failed may do now. */
const LOOK_EVERY_MS = 5_000;

export function createSupply(deps: SupplyDeps): Supply {
  const { catalogs, cache, clock, random, log } = deps;
  const flights = new Map<string, Flight>();
  const failures = new Map<string, Failure>();
  const stop = new AbortController();
  const waiting: (() => void)[] = [];
  let working = 0;
  let changed = Promise.withResolvers<void>();
  catalogs.onChange(() => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
    // Another source may be right, and what no catalog names is forgotten.
    for (const [hex, { sources }] of failures) if (sources !== sourcesText(hex)) failures.delete(hex);
  });

  const sourcesText = (hex: string): string => JSON.stringify(catalogs.sourcesOf(hex));

  function fetch(hex: string, wish: Wish): Flight {
    const known = flights.get(hex);
    if (known !== undefined) {
      known.demanded ||= wish === 'demand';
      return known;
    }
    const flight: Flight = { promise: Promise.resolve(undefined), demanded: wish === 'demand', received: 0 };
    flights.set(hex, flight);
    flight.promise = fly(hex, flight).finally(() => flights.delete(hex));
    return flight;
  }

  async function fly(hex: string, flight: Flight): Promise<Problem | undefined> {
    if (working < deps.mostAtOnce) working += 1;
    else await new Promise<void>((resolve) => (flight.demanded ? waiting.unshift(resolve) : waiting.push(resolve)));
    try {
      const problem = await bring(hex, flight);
      noteEnd(hex, problem, flight);
      return problem;
    } finally {
      // The place goes from one to the next: nobody comes in between.
      const next = waiting.shift();
      if (next === undefined) working -= 1;
      else next();
    }
  }

  async function bring(hex: string, flight: Flight): Promise<Problem | undefined> {
    if (stop.signal.aborted) return { code: 'HR-FW-406' };
    if (await cache.check(hex)) return undefined;
    let problem: Problem = { code: 'HR-FW-402' };
    for (const source of catalogs.sourcesOf(hex)) {
      const found = await tryFrom(source, flight);
      if (found === undefined) return undefined;
      problem = found;
    }
    return problem;
  }

  async function tryFrom(artifact: CatalogArtifact, flight: Flight): Promise<Problem | undefined> {
    const { hex, size, source } = artifact;
    // What nobody has asked for yet pushes out nothing that a release needs.
    const room = await cache.room(hex, size, (other) => flight.demanded || catalogs.sourcesOf(other).length === 0);
    if (room === undefined) return { code: 'HR-FW-420', found: `${size} bytes do not fit into the cache beside what is in use` };
    const received = (bytes: number): void => {
      flight.received += bytes;
      deps.received(bytes);
    };
    try {
      await download(room, { hex, size }, source, { registry: deps.registry, clock, received }, stop.signal);
      log.info({ digest: hex, size, registry: source.registry }, 'a file is in the cache');
      return undefined;
    } catch (error) {
      if (stop.signal.aborted) return { code: 'HR-FW-406' };
      if (error instanceof Refused) return error.problem;
      log.error({ err: error, digest: hex }, 'a download failed in a way that nobody expected');
      return { code: 'HR-FW-421' };
    } finally {
      await room.done();
    }
  }

  function noteEnd(hex: string, problem: Problem | undefined, { demanded, received }: Flight): void {
    if (stop.signal.aborted) return;
    deps.fetched(problem?.code ?? 'ok');
    if (problem === undefined) return void failures.delete(hex);
    const forPeople = FOR_PEOPLE.includes(problem.code);
    const times = !forPeople && received > PROGRESS_BYTES ? 1 : (failures.get(hex)?.times ?? 0) + 1;
    const first = forPeople ? FIRST_WAIT_FOR_PEOPLE_MS : FIRST_WAIT_MS;
    const waitMs = jittered(Math.min(LONGEST_WAIT_MS, first * 2 ** Math.min(times - 1, 20)), 0.2, random);
    failures.set(hex, { problem, times, until: clock.elapsed() + waitMs, demanded, sources: sourcesText(hex) });
    log.warn({ digest: hex, times, againInMs: Math.round(waitMs), code: problem.code }, explain(problem));
  }

  /** Not before its time. For what nobody had asked for there may have been no room, and there is now. */
  function held(hex: string, wish: Wish): Problem | undefined {
    const failure = failures.get(hex);
    if (failure === undefined || clock.elapsed() >= failure.until) return undefined;
    return wish === 'demand' && !failure.demanded && failure.problem.code === 'HR-FW-420' ? undefined : failure.problem;
  }

  async function prefetch(): Promise<void> {
    const missing = catalogs.named().filter(({ hex }) => held(hex, 'prefetch') === undefined && !cache.has(hex));
    await Promise.all(missing.map(({ hex }) => fetch(hex, 'prefetch').promise));
  }

  return {
    async want(hex, mostMs) {
      // Also of what is here: a release that is withdrawn is served no more.
      if (catalogs.sourcesOf(hex).length === 0) return { code: 'HR-FW-402' };
      if (cache.has(hex)) return 'here';
      const problem = held(hex, 'demand');
      if (problem !== undefined) return problem;
      const late = Promise.withResolvers<Problem>();
      const timer = clock.setTimer(mostMs, () => late.resolve({ code: 'HR-FW-406' }));
      try {
        return (await Promise.race([fetch(hex, 'demand').promise, late.promise])) ?? 'here';
      } finally {
        timer.cancel();
      }
    },

    async run(signal) {
      const end = (): void => stop.abort(new Error('the process stops'));
      if (signal.aborted) end();
      signal.addEventListener('abort', end, { once: true });
      while (!stop.signal.aborted) {
        const before = changed.promise;
        // Not awaited to its end: a registry that drips must not keep the others from being asked.
        const round = prefetch();
        await Promise.race([before, clock.sleep(LOOK_EVERY_MS, stop.signal).catch(() => undefined)]);
        round.catch((err: unknown) => log.error({ err }, 'the prefetch failed'));
      }
      for (const go of waiting.splice(0)) go();
      await Promise.all([...flights.values()].map(({ promise }) => promise));
    },
  };
}
