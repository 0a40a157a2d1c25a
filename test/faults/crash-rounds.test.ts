// kill -9 of operator, API server and broker at random points, 20 rounds: the same world comes back, and no key ever gets two certificates.
// With 500 devices a round: npm run bench -- crash. A seed that failed: HEDGEROW_SEED=N, with HEDGEROW_ROUND=K only that round.
import { expect, it } from 'vitest';
import { runCrashRounds } from './crash/rounds.ts';

const ROUNDS = 20;
const DEVICES = 24;
const FOUR_MINUTES_MS = 240_000;

it(
  `ends in the same world after each of ${ROUNDS} rounds of kill -9`,
  async () => {
    const seed = Number(process.env.HEDGEROW_SEED ?? Date.now() % 1_000_000);
    const only = process.env.HEDGEROW_ROUND;
    const report = await runCrashRounds({
      count: DEVICES,
      rounds: ROUNDS,
      seed,
      ...(only === undefined ? {} : { only: Number(only) }),
      freshEvery: ROUNDS,
      everyVictim: false,
      election: false,
      say: (line) => console.log(line),
    });
    expect(report.rounds).toBe(only === undefined ? ROUNDS : 1);
    expect(report.keys).toBe(DEVICES * (report.rounds + 1));
    expect(report.keysWithTwo).toBe(0);
  },
  4 * FOUR_MINUTES_MS,
);
