// The process of `kubectl hedgerow`; nothing else lives here.
import { quarantine, revoke, rotate } from './acts.ts';
import { adoptBroker } from './adopt-broker.ts';
import { can } from './can.ts';
import { check } from './check.ts';
import { runCli } from './cli.ts';
import { commandSign } from './command-sign.ts';
import { connections } from './connections.ts';
import { devices } from './devices.ts';
import { egress } from './egress.ts';
import { explainTopic } from './explain-topic.ts';
import { firmwareKeygen } from './firmware-keygen.ts';
import { rootChange, rootInit, rootShow, rootSign } from './firmware-root.ts';
import { firmwareSign } from './firmware-sign.ts';
import { firmwareVerify } from './firmware-verify.ts';
import { graph } from './graph.ts';
import { identity } from './identity.ts';
import { importFleet } from './import.ts';
import { importMud } from './import-mud.ts';
import { diff } from './reach-diff.ts';
import { release } from './release.ts';
import { rolloutAbort, rolloutApprove, rolloutPause, rolloutResume, rolloutRollback } from './rollout-acts.ts';
import { rolloutPlan } from './rollout-plan.ts';
import { rolloutStatus } from './rollout-status.ts';
import { token } from './token.ts';
import { trustForce, trustStatus } from './trust.ts';
import { whatIfCompromise, whatIfQuarantine } from './what-if.ts';
import { why } from './why.ts';

const commands = [
  devices,
  identity,
  why,
  token,
  importFleet,
  revoke,
  quarantine,
  release,
  rotate,
  adoptBroker,
  can,
  diff,
  check,
  explainTopic,
  whatIfCompromise,
  whatIfQuarantine,
  graph,
  connections,
  egress,
  importMud,
  rolloutPlan,
  rolloutStatus,
  rolloutPause,
  rolloutResume,
  rolloutApprove,
  rolloutAbort,
  rolloutRollback,
  commandSign,
  firmwareKeygen,
  rootInit,
  rootChange,
  rootSign,
  rootShow,
  firmwareSign,
  firmwareVerify,
  trustStatus,
  trustForce,
];
const code = await runCli(commands, process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
// Not process.exit: a pipe that reads slowly would lose the end of the text.
process.exitCode = code;
