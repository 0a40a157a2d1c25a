/** Every recorded exchange, played again against the stand-in, and what devices saw as far as it was written down row by row. */

import { afterAll, describe, expect, it } from 'vitest';
import type { Json } from '../config.ts';
import { startWorld } from '../testing/world.ts';
import { EXCEPTIONS } from './exceptions.ts';
import { playExchange, playedNames, RECORDED_NAMES } from './exchange.ts';
import { difference, mask } from './mask.ts';
import { type Entry, isExchange, recordings, type Version } from './recording.ts';
import { SCRIPTS } from './scripts/all.ts';
import type { Script } from './scripts/script.ts';
import { makeStage, type Stage } from './stage.ts';

// A second each on an idle machine, the largest file five.
const PLAY_MS = 300_000;
const VERSIONS: Version[] = ['5.8.9', '5.10.4'];
const newTally = () => ({ exchanges: 0, matchedExchanges: 0, observations: 0, matchedObservations: 0, excepted: 0 });
const tallies = { '5.8.9': newTally(), '5.10.4': newTally() };
const used = new Set<object>();

describe.concurrent.each(VERSIONS)('recordings of EMQX %s', (version) => {
  for (const [file, entries] of recordings(version)) {
    const script = SCRIPTS[file] ?? {};
    if (!entries.some(isExchange) && script.observe === undefined) continue;
    it(`${file} is answered alike`, async () => expect(await play(version, file, entries, script)).toEqual([]), PLAY_MS);
  }
});

describe('the replay', () => {
  it('needs every one of its exceptions', () => {
    expect(EXCEPTIONS.filter((exception) => !used.has(exception))).toEqual([]);
  });

  afterAll(() => {
    for (const version of VERSIONS) {
      const { exchanges, matchedExchanges, observations, matchedObservations, excepted } = tallies[version];
      const counted = `${matchedExchanges} of ${exchanges} exchanges and ${matchedObservations} of ${observations} observations`;
      console.log(`replay of EMQX ${version}: matched ${counted}; ${excepted} reviewed exceptions`);
    }
  });
});

async function play(version: Version, file: string, entries: readonly Entry[], script: Script): Promise<string[]> {
  const world = await startWorld(script.profile ?? 'recorded');
  const tally = tallies[version];
  const wrong: string[] = [];
  try {
    const stage = makeStage(version, world, entries);
    await script.setUp?.(stage);
    for (const entry of entries) {
      await script.before?.[entry.name]?.(stage);
      const result = await playEntry(stage, entry, script, entries);
      if (result === 'not played') continue;
      tally[isExchange(entry) ? 'exchanges' : 'observations']++;
      const exception = EXCEPTIONS.find((one) => (one.version ?? version) === version && one.file === file && one.entry.test(entry.name));
      if (result !== undefined && exception) {
        used.add(exception);
        tally.excepted++;
      } else if (result !== undefined) wrong.push(`${entry.name}: ${result}`);
      else tally[isExchange(entry) ? 'matchedExchanges' : 'matchedObservations']++;
    }
  } finally {
    await world.stop();
  }
  return wrong;
}

/** What differs; undefined: nothing. */
async function playEntry(stage: Stage, entry: Entry, script: Script, entries: readonly Entry[]): Promise<string | undefined> {
  if (isExchange(entry)) {
    return playExchange(stage, script.complete?.(entry, entries) ?? entry);
  }
  const observing = script.observe?.(stage, entry);
  if (!observing) return 'not played';
  const observed = await observing;
  if ('wrong' in observed) return observed.wrong.length > 0 ? observed.wrong.join('; ') : undefined;
  const { name: _name, ...recorded } = entry;
  return difference(mask(recorded as Json, RECORDED_NAMES), mask(observed.seen as Json, playedNames(stage)));
}
