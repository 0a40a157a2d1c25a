// Issuing CA and server CA change under a fleet while processes are killed; test/faults/ca-rotation.test.ts is the same with few devices.
import { rotateBothCas } from '../faults/rotation/story.ts';
import type { Bench } from './figure.ts';

const FLEET = 500;
/** Nobody may run out of it on a slow machine. That the old CA leaves in the end is what the test shows. */
const DURATION_SECONDS = 3_600;

export const rotateBench: Bench = {
  name: 'rotate',
  about: `issuing CA and server CA of ${FLEET} devices change, 5 % of them are away, 5 % revoked, and operator, EST, CRL, API server and broker are killed`,
  async *run({ n = FLEET, seed = Date.now() % 1_000_000, progress }) {
    const report = await rotateBothCas({ count: n, seed, durationSeconds: DURATION_SECONDS, toTheEnd: false, say: progress });
    for (const example of report.examples) progress(example);
    yield { figure: `kills-of-seed-${seed}`, value: Object.values(report.kills).reduce((sum, one) => sum + one, 0), unit: 'SIGKILLs', n };
    yield { figure: 'rounds-without-a-way-in', value: report.lockedOut, unit: 'rounds', n };
    yield { figure: 'refused-certificates', value: report.refusals, unit: 'refusals', n };
    yield { figure: 'longest-time-without-a-connection-while-the-broker-was-up', value: report.longestGapSeconds, unit: 's', n };
    yield { figure: 'renewed', value: report.renewed, unit: 'devices', n };
    yield { figure: 'took-the-anchor-of-the-next-server-ca-over-mqtt', value: report.knowBoth, unit: 'devices', n };
    yield { figure: 'were-away-and-came-back', value: report.cameBack, unit: 'devices', n };
    yield { figure: 'connections-of-revoked-devices', value: report.revokedConnections, unit: 'connections', n };
    yield { figure: 'cas-trusted-at-the-end', value: report.casAfter, unit: 'CAs', n };
  },
};
