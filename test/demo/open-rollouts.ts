// Opens the stage of the rollout scenes: what rollouts need beside the operator, and two people.
import { join } from 'node:path';
import { connect } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import { noKubeMetrics } from '../../operator/kube/ports.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { runProcess } from '../controlplane/helm.ts';
import { type Prepared, startRollouts } from '../harness/firmware/rollouts.ts';
import { ROOT } from '../harness/manifests.ts';
import { whyNoNodeAgent } from '../harness/node-agent.ts';
import type { System } from '../harness/system.ts';
import type { BrokerAddress } from '../simulator/device.ts';
import { CAMERA_SITE, startCameras } from './cameras.ts';
import type { Cleanup } from './cleanup.ts';
import type { Place } from './place.ts';
import { type RolloutStage, rolloutStage, type StageDeps, wishOf } from './rollout-stage.ts';
import { must, type Ran, type Stage } from './scenes/scene.ts';
import type { Screen } from './screen.ts';
import type { Steps } from './steps.ts';
import { watchDevices } from './watch.ts';

/** Another person than who applies. */
const COLLEAGUE = 'nora@example.org';

export type RolloutsOptions = {
  place: Place;
  system: System;
  prepared: Prepared;
  screen: Screen;
  steps: Steps;
  cleanup: Cleanup;
  kubectl: Stage['kubectl'];
  address: BrokerAddress;
  author: string;
  /** Of the fleet. */
  table: StageDeps['table'];
};

/** Starts what rollouts need beside the operator; the cameras come with the first scene that wants them. */
export async function openRollouts(options: RolloutsOptions): Promise<RolloutStage> {
  const { place, system, prepared, screen, steps, cleanup, kubectl, address, author, table } = options;
  steps.say('starting the artifacts server and a node for Jobs, with a CA for directives and trust roots of its own');
  const whyNot =
    place.cluster === undefined ? 'in a cluster that exists the pods of a Job would need an image of this checkout' : whyNoNodeAgent();
  const { dir, kubeconfigFor } = place.access;
  const cluster = whyNot === undefined ? place.cluster : undefined;
  const rollouts = await startRollouts({ dir, system, prepared, kubeconfigFor: (identity) => kubeconfigFor(identity), cluster });
  cleanup.add('artifacts server and node', () => rollouts.stop());
  await system.apply([rollouts.policy(CAMERA_SITE), ...colleague()]);
  const kubeconfigs = { author: place.kubeconfig, colleague: await place.cluster?.kubeconfigFor({ user: COLLEAGUE }) };
  const client = connect(await kubeconfigConnection(place.kubeconfig), {
    ...{ clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics },
  });
  cleanup.add('connections', () => client.close());
  steps.end();
  const show = (text: string): void => screen.text(`    ${text}`, 6, screen.paint.dim);
  return rolloutStage({
    ...{ rollouts, whyNot, author, client, kubectl, show, screen, table },
    hedgerow: (words, as) => {
      show(
        `$ kubectl hedgerow ${words.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' ')}   # as ${as === 'author' ? author : COLLEAGUE}`,
      );
      return hedgerow(words, kubeconfigs[as] ?? '');
    },
    async startCameras() {
      const watch = await watchDevices(place.kubeconfig, CAMERA_SITE);
      cleanup.add('watch of the cameras', () => watch.stop());
      const factory = await rollouts.trust.sign(wishOf({ name: 'cam-2.3.0', version: '2.3.0', securityCounter: 4 }));
      const apply = async (yaml: string): Promise<void> =>
        void must(await kubectl(['apply', '--server-side', '-f', '-'], { yaml, about: '50 cameras and their segment' }));
      const fleet = await startCameras({ rollouts, factory, address, apply, watch });
      cleanup.add('cameras', () => fleet.stop());
      return fleet;
    },
  });
}

async function hedgerow(words: readonly string[], kubeconfig: string): Promise<Ran> {
  const startedAt = performance.now();
  const ran = await runProcess([process.execPath, join(ROOT, 'operator', 'cli', 'main.ts'), ...words, '--kubeconfig', kubeconfig]);
  return { ...ran, startedAt, ms: performance.now() - startedAt };
}

/** May look at releases and write Interventions, and nothing else. */
function colleague(): object[] {
  const metadata = { name: 'release-approver', namespace: CAMERA_SITE };
  const group = { apiGroups: ['hedgerow.dev'] };
  return [
    {
      ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata },
      rules: [
        { ...group, resources: ['firmwarereleases', 'firmwarewaves'], verbs: ['get', 'list', 'watch'] },
        { ...group, resources: ['interventions'], verbs: ['create', 'get', 'list', 'watch', 'patch'] },
      ],
    },
    {
      ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: COLLEAGUE }],
    },
  ];
}
