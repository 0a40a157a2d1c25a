// What the operator itself says of the fence, on a network that enforces and on one that, for one pod, does not.
import type { Condition } from '../../operator/api/meta.ts';
import { apply, get } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';
import { kubectl } from './kubectl.ts';
import type { Lab } from './lab.ts';
import { OPERATOR_NAMESPACE, operatorPod } from './operator.ts';
import type { Step } from './runner.ts';

const CANARY = 'hedgerow-canary';

type Policies = {
  items: { metadata: { name: string; namespace: string }; status?: { conditions?: Condition[]; gaps?: { reason: string }[] } }[];
};
type Policy = { metadata: { name: string; namespace: string; labels?: object }; spec: object };

export function probeSteps(lab: Lab): Step[] {
  return [
    {
      sentence: 'what broker and network enforce is tried from a pod, to a canary on each node, and every SegmentPolicy says Enforced=True',
      run: async () => {
        const items = await untilEnforced(lab, 'True', 'Probed');
        const gap = items.find(({ status }) => status?.gaps?.some(({ reason }) => reason === 'NotProbed'));
        if (gap !== undefined) throw new Error(`${gap.metadata.name} still has the gap NotProbed`);
        return `${items.length} SegmentPolicies`;
      },
    },
    {
      sentence: 'a canary that takes what it should not makes them say Enforced=False, until it is shut again',
      run: async () => {
        const cluster = lab.cluster();
        const { metadata, spec } = await get<Policy>(cluster, 'networkpolicy', CANARY, '-n', OPERATOR_NAMESPACE);
        await kubectl(cluster, 'delete', 'networkpolicy', CANARY, '-n', OPERATOR_NAMESPACE);
        // A new process tries at once, where the old one would wait for its turn.
        const { name, uid } = await operatorPod(cluster);
        await kubectl(cluster, 'delete', 'pod', name, '-n', OPERATOR_NAMESPACE, '--grace-period=0', '--force');
        await operatorPod(cluster, uid);
        await untilEnforced(lab, 'False', 'ProbeFailed');
        const { labels } = metadata;
        const again = {
          name: CANARY,
          namespace: OPERATOR_NAMESPACE,
          labels,
          annotations: { 'meta.helm.sh/release-name': 'hedgerow', 'meta.helm.sh/release-namespace': OPERATOR_NAMESPACE },
        };
        await apply(cluster, [{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: again, spec }]);
        await untilEnforced(lab, 'True', 'Probed');
      },
    },
  ];
}

async function untilEnforced(lab: Lab, status: string, reason: string): Promise<Policies['items']> {
  let items: Policies['items'] = [];
  const said = (policy: Policies['items'][number]): Condition | undefined =>
    policy.status?.conditions?.find(({ type }) => type === 'Enforced');
  return waitFor(
    `Enforced of all SegmentPolicies to be ${status}`,
    async () => {
      ({ items } = await get<Policies>(lab.cluster(), 'segmentpolicies', '-A'));
      // One without pods has nothing in the network that could be open.
      const meant = items.filter(
        (policy) => status === 'True' || policy.status?.gaps?.some((gap) => gap.reason === 'ExistingConnections') === true,
      );
      const all = meant.length > 0 && meant.every((policy) => said(policy)?.status === status && said(policy)?.reason === reason);
      return all ? items : undefined;
    },
    {
      timeoutMs: 120_000,
      everyMs: 500,
      describe: () => items.map((policy) => `${policy.metadata.name}: ${JSON.stringify(said(policy))}`).join('\n'),
    },
  );
}
