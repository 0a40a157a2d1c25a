// The node test itself, inside the centre's network namespace; scripts/test-node.ts starts it there and cleans up after it.
import { writeFileSync } from 'node:fs';
import { createFleet } from './fleet.ts';
import { createLab } from './lab.ts';
import { RESULT_FILE } from './layout.ts';
import { runSteps } from './runner.ts';
import { clusterSteps } from './steps-cluster.ts';
import { fateSteps } from './steps-fate.ts';
import { foreignSteps } from './steps-foreign.ts';
import { operatorSteps } from './steps-operator.ts';
import { policySteps } from './steps-policies.ts';
import { probeSteps } from './steps-probe.ts';
import { wormSteps } from './steps-worm.ts';
import { zoneSteps } from './steps-zones.ts';

const lab = createLab();
let aborted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (aborted) return;
    aborted = true;
    // What the running step waits for goes away, so it ends.
    void lab.down();
  });
}

const fleet = createFleet(lab);
const steps = [
  ...clusterSteps(lab),
  ...operatorSteps(lab),
  ...policySteps(lab, fleet),
  ...probeSteps(lab),
  ...wormSteps(lab, fleet),
  ...fateSteps(lab, fleet),
  ...zoneSteps(lab, fleet),
  ...foreignSteps(lab),
];
const counts = await runSteps(steps, () => aborted, console.log);
if (counts.failed > 0) await lab.tell(console.log);
await lab.down();
writeFileSync(RESULT_FILE, JSON.stringify(counts));
process.exit(0);
