// Issuing CA and server CA change under a fleet while processes are killed: nobody is ever locked out, and nobody who was revoked gets in.
// With 500 devices: npm run bench -- rotate. A seed that failed: HEDGEROW_SEED=N.
import { expect, it } from 'vitest';
import { rotateBothCas } from './rotation/story.ts';

const DEVICES = 60;

it(`${DEVICES} devices keep a way to connect while their issuing CA and the CA of the broker change, and the old issuing CA leaves with its last certificate`, async () => {
  const seed = Number(process.env.HEDGEROW_SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const report = await rotateBothCas({ count: DEVICES, seed, durationSeconds: 480, toTheEnd: true, say: (line) => console.log(line) });
  console.log(JSON.stringify(report));
  expect(report.examples).toEqual([]);
  expect(report).toMatchObject({
    lockedOut: 0,
    refusals: 0,
    renewed: 57,
    cameBack: 3,
    revokedConnections: 0,
    revokedRenewals: 0,
    casBefore: 1,
    casDuring: 2,
    casAfter: 1,
  });
  expect(Math.min(...Object.values(report.kills))).toBeGreaterThan(0);
}, 1_200_000);
