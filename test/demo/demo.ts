// One run of the demo: set up, apply, play the scenes, sum up. Read `runDemo` from top to bottom.
import { join } from 'node:path';
import { type Prepared, prepareRollouts } from '../harness/firmware/rollouts.ts';
import { toYaml } from '../harness/manifests.ts';
import { type System, startSystem } from '../harness/system.ts';
import { pause } from '../harness/wait.ts';
import type { BrokerAddress } from '../simulator/device.ts';
import { CAMERA_SITE } from './cameras.ts';
import type { Cleanup } from './cleanup.ts';
import { existingPlace } from './existing-cluster.ts';
import { exploreLines } from './explore.ts';
import { ATTACKER, createFleet, type Fleet, sampleNamespace } from './fleet.ts';
import { kubectlOn, secretOf } from './kubectl.ts';
import { openRollouts } from './open-rollouts.ts';
import type { DemoOptions } from './options.ts';
import { ownPlace, type Place } from './place.ts';
import { PLAY } from './scenes/play.ts';
import type { Scene, Stage } from './scenes/scene.ts';
import type { Screen } from './screen.ts';
import type { Steps } from './steps.ts';
import { paintTable } from './table.ts';
import { duration } from './text.ts';
import { Trouble } from './trouble.ts';
import { checkLines, exitCodeOf, type Outcome, summaryLines } from './verdict.ts';
import { watchDevices } from './watch.ts';

export type Run = { options: DemoOptions; screen: Screen; steps: Steps; cleanup: Cleanup };

/** On a terminal somebody reads along. */
const READING_MS = 1_200;

/** Resolves to the exit code; with `--keep` when everything is left running. */
export async function runDemo(run: Run): Promise<0 | 1> {
  const { options, screen } = run;
  const beganAt = performance.now();
  screen.text(
    'Hedgerow: manifests make a fleet that talks. All of it happens now, on this machine; nothing is recorded.',
    0,
    screen.paint.bold,
  );
  screen.line();
  const world = await setUp(run);
  const { place, system } = world;
  const stage = await apply(run, world);
  screen.table((width, height) => paintTable(stage.fleet.rows(), screen.paint, width, height));
  const outcomes: Outcome[] = [];
  for (const [at, scene] of PLAY.entries()) {
    outcomes.push(await play(run, stage, scene, at + 1));
    if (at === 0) screen.snapshot();
    if (screen.terminal) await pause(READING_MS);
  }
  screen.snapshot();
  sumUp(screen, outcomes, performance.now() - beganAt);
  if (options.keep) explore(run, place, system);
  return exitCodeOf(outcomes, PLAY.length);
}

type World = { place: Place; system: System; prepared: Prepared };

async function setUp({ options, screen, steps, cleanup }: Run): Promise<World> {
  const sites = [sampleNamespace(), CAMERA_SITE];
  const say = (line: string): void => screen.text(`            ${line.trim()}`, 12);
  steps.say(
    options.kubeconfig === undefined
      ? 'control plane: etcd, kube-apiserver, kube-controller-manager, cert-manager with its webhook'
      : 'looking at the cluster of --kubeconfig',
  );
  const place =
    options.kubeconfig === undefined
      ? await ownPlace({ name: options.name, namespace: sampleNamespace(), cleanup, say })
      : await existingPlace(options.kubeconfig, { name: options.name, sites, cleanup, say });
  for (const remark of place.remarks) screen.text(`            ${remark}`, 12);
  const prepared = await prepareRollouts(place.access.dir, sites);
  cleanup.add('registry', () => prepared.origin.close());
  let system: System | undefined;
  cleanup.add('operator and broker', async () => system?.stop());
  system = await startSystem({
    cluster: place.access,
    ...prepared.system,
    operatorArgs: (broker) => ['--metrics-host', '127.0.0.1', ...place.operatorArgs, ...prepared.system.operatorArgs(broker)],
    say: (what) => steps.say(what),
  });
  steps.end();
  const log = join(place.access.dir, 'operator.log');
  void system.operator().exited.then((code) => screen.text(`the operator ended with ${code}; its log: ${log}`, 0, screen.paint.red));
  return { place, system, prepared };
}

async function apply(run: Run, world: World): Promise<Stage> {
  const { screen, steps, cleanup } = run;
  const { place, system } = world;
  const namespace = sampleNamespace();
  const kubectl = kubectlOn(screen, place.access);
  const watch = await watchDevices(place.kubeconfig, namespace);
  cleanup.add('watch', () => watch.stop());
  const address: BrokerAddress = { host: '127.0.0.1', port: system.standIn().mqttPort, caPem: system.brokerCaPem };
  screen.line();
  screen.text(
    `crds/samples/smart-office is applied, with one change that you should know of: its certificate requests were made with keys that nobody has any more. Each simulated device makes a key of its own, and its own request takes the place of the sample's in spec.identity.csr. ${ATTACKER} is added: a genuine device that is going to misbehave.`,
  );
  steps.say("making keys and requests, applying the sample, reading the gateway's Secret");
  let appliedAt = performance.now();
  const fleet: Fleet = await createFleet(
    async (manifests) => {
      appliedAt = performance.now();
      const { code, stderr } = await kubectl(['apply', '-f', '-'], {
        yaml: toYaml(manifests),
        about: 'smart-office, with the requests of these devices',
      });
      if (code !== 0) throw new Trouble(`the API server refused the sample: ${stderr.trim()}`);
    },
    { watch, address, secret: (name) => secretOf(system, namespace, name) },
  );
  cleanup.add('devices', () => fleet.stop());
  for (const talker of fleet.talkers) talker.start();
  steps.end();
  const { status } = JSON.parse(await system.kubectl('auth', 'whoami', '-o', 'json')) as { status: { userInfo: { username: string } } };
  const user = status.userInfo.username;
  const table: Parameters<Screen['table']>[0] = (width, height) => paintTable(fleet.rows(), screen.paint, width, height);
  const rollout = await openRollouts({ ...world, screen, steps, cleanup, kubectl, address, author: user, table });
  return { namespace, user, system, address, fleet, watch, rollout, kubectl, appliedAt };
}

async function play({ screen }: Run, stage: Stage, scene: Scene, number: number): Promise<Outcome> {
  const { paint } = screen;
  const outcome: Outcome = { number, proof: scene.proof, checks: [] };
  screen.line();
  screen.text(`${String(number).padStart(2)}  ${scene.proof[0]?.toUpperCase()}${scene.proof.slice(1)}`, 4, paint.bold);
  screen.text(`    ${scene.attempt(stage)}`, 4);
  outcome.leftOut = scene.unplayable?.(stage);
  if (outcome.leftOut !== undefined) {
    screen.text(`    Not played: ${outcome.leftOut}`, 4, paint.yellow);
    return outcome;
  }
  screen.doing(`scene ${number} of ${PLAY.length}`);
  try {
    outcome.figure = await scene.play(stage, (claim, isHeld, seen) => {
      const check = { claim, held: isHeld, seen };
      outcome.checks.push(check);
      for (const line of checkLines(check, paint, screen.width())) screen.line(line);
    });
  } catch (error) {
    outcome.broken = error instanceof Error ? error.message : String(error);
    for (const line of checkLines({ claim: 'the scene broke off', held: false, seen: outcome.broken }, paint, screen.width()))
      screen.line(line);
  }
  screen.doing(undefined);
  return outcome;
}

function sumUp(screen: Screen, outcomes: readonly Outcome[], ms: number): void {
  const { paint } = screen;
  screen.line();
  screen.line(paint.bold('What was proved, in this run'));
  for (const line of summaryLines(outcomes, PLAY.length, paint, screen.width())) screen.line(line);
  screen.line(paint.dim(`${duration(ms)} in all`));
}

function explore({ options, screen }: Run, place: Place, system: System): void {
  const { dir } = place.access;
  const kept = {
    kubeconfig: place.kubeconfig,
    binDir: place.binDir,
    namespace: sampleNamespace(),
    cameras: CAMERA_SITE,
    logs: [
      join(dir, 'operator.log'),
      join(dir, 'artifacts.log'),
      join(dir, 'broker', 'stand-in.log'),
      ...(place.binDir === undefined ? [] : [join(dir, 'logs')]),
    ],
    nameFlag: options.name === 'demo' ? '' : `--name ${options.name} `,
    broker: { port: system.standIn().mqttPort, caFile: join(dir, 'broker', 'rest-ca.pem') },
  };
  screen.line();
  for (const line of exploreLines(kept)) screen.line(line);
  // Where the table cannot be redrawn in place it would go on for ever.
  if (!screen.terminal) screen.table(undefined);
}
