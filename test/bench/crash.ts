// kill -9 of operator, API server and broker at random points while a whole fleet becomes Ready; test/faults/crash-rounds.test.ts is the same with few devices.
import { runCrashRounds } from '../faults/crash/rounds.ts';
import type { Bench } from './figure.ts';

const FLEET = 500;
const ROUNDS = 20;
/** 2,500 Devices at the most in one cluster. */
const FRESH_EVERY = 4;

export const crashBench: Bench = {
  name: 'crash',
  about: `kill -9 of operator, API server and broker while ${FLEET} Devices become Ready, ${ROUNDS} rounds: every round ends in the same world`,
  async *run({ n = FLEET, rounds = ROUNDS, seed = Date.now() % 1_000_000, round, progress }) {
    const report = await runCrashRounds({
      count: n,
      rounds,
      seed,
      ...(round === undefined ? {} : { only: round }),
      freshEvery: FRESH_EVERY,
      everyVictim: true,
      election: true,
      say: progress,
    });
    yield { figure: `rounds-that-ended-equal-of-seed-${seed}`, value: report.rounds, unit: 'rounds', n };
    yield { figure: 'kills', value: report.kills, unit: 'SIGKILLs', n };
    yield { figure: 'keys-with-a-certificate', value: report.keys, unit: 'keys', n };
    yield { figure: 'keys-with-two-certificates', value: report.keysWithTwo, unit: 'keys', n };
  },
};
