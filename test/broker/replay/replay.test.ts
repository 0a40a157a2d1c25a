/** Every recorded exchange, played again against the stand-in. */

import { afterAll, describe, expect, it } from 'vitest';
import { startWorld } from '../testing/world.ts';
import { EXCEPTIONS } from './exceptions.ts';
import { isExchange, recordings } from './recording.ts';
import { SCRIPTS } from './scripts.ts';
import { makeStage, playExchange } from './stage.ts';

const tally = { matched: 0, played: 0, excepted: 0 };
const used = new Set<object>();

describe('recorded exchanges of EMQX 5.8.9', () => {
  for (const [file, entries] of recordings()) {
    const played = entries.filter(isExchange);
    if (played.length === 0) continue;
    it(`${file}: ${played.length} exchanges`, async () => {
      const script = SCRIPTS[file] ?? {};
      const world = await startWorld(script.profile ?? 'recorded');
      const wrong: string[] = [];
      try {
        const stage = makeStage(world, entries);
        await script.setUp?.(stage);
        for (const entry of entries) {
          await script.before?.[entry.name]?.(stage);
          if (!isExchange(entry)) continue;
          tally.played++;
          const difference = await playExchange(stage, entry);
          const exception = EXCEPTIONS.find((one) => one.file === file && one.entry.test(entry.name));
          if (exception && difference !== undefined) {
            used.add(exception);
            tally.excepted++;
          } else if (difference === undefined) tally.matched++;
          else wrong.push(`${entry.name}: ${difference}`);
        }
      } finally {
        await world.stop();
      }
      expect(wrong).toEqual([]);
    });
  }

  it('needs every one of its exceptions', () => {
    expect(EXCEPTIONS.filter((exception) => !used.has(exception))).toEqual([]);
  });

  afterAll(() => {
    console.log(`replay: matched ${tally.matched} of ${tally.played}, ${tally.excepted} reviewed exceptions`);
  });
});
