// The table of foreign policies on real nodes, and each thing that kube-router does otherwise as a sentence of its own.
import { spawn } from 'node:child_process';
import { program } from '../controlplane/programs.ts';
import { apply } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';
import { podNetworks } from './calls.ts';
import { type Deviation, deviations, FOREIGN, foreignNamespaces, foreignPods, foreignPolicies, GATE, PORTS, ROGUE } from './foreign.ts';
import { dyingWithParent } from './host.ts';
import { IMAGES } from './images.ts';
import type { Lab } from './lab.ts';
import { NODES } from './layout.ts';
import { type Caller, look } from './look.ts';
import { addOutsideAddress } from './network.ts';
import { startAddresses, targetsAt } from './places.ts';
import { judge, type LiveObject, live, type Prediction } from './prediction.ts';
import type { Step } from './runner.ts';

export function foreignSteps(lab: Lab): Step[] {
  let callers: Caller[] = [];
  let objects: LiveObject[] = [];
  return [
    {
      sentence:
        'hand-written NetworkPolicies with ranges, names and kinds of ports, blocks and selectors allow in packets what the verifier says',
      run: async () => {
        const cluster = lab.cluster();
        await apply(cluster, foreignNamespaces());
        // Before the pods: a policy must hold for one from its first packet on.
        await apply(cluster, foreignPolicies());
        await openOutside(lab);
        const pods = await startAddresses(cluster, foreignPods([NODES[0].name, NODES[1].name]), IMAGES.podtool.reference);
        callers = callersOf(pods);
        const names = new Map(callers.map(({ ip, name }) => [ip, name]));
        objects = await live(cluster);
        const expectation = { source: 'the verifier', ...judge(objects.map(asKubeRouterDoes(deviations()))) };
        const { open, all } = await waitFor(
          'the foreign policies to hold',
          async () => {
            const seen = await look(callers, [expectation], names);
            if (seen.wrong.length > 0) throw new Error(`${seen.wrong.length} of ${seen.all}:\n${seen.wrong.slice(0, 12).join('\n')}`);
            return seen;
          },
          { timeoutMs: 20_000, everyMs: 250 },
        );
        return `${foreignPolicies().length} policies, ${pods.length} pods and 2 addresses outside; ${open} connections of ${all} open, the rest shut; ${deviations().length} known exceptions`;
      },
    },
    ...deviations().map(
      (one): Step => ({
        sentence: `exception of kube-router: ${one.deviation.sentence}`,
        // The packets were compared above, with it: that it makes a difference is left to show.
        run: async () => {
          const differing = differences(callers, judge(objects), judge(objects.map(asKubeRouterDoes([one]))));
          if (differing === 0) throw new Error('it makes no difference to any connection: no exception is needed');
          return `policy ${one.name}, ${differing} connections otherwise than the API says; ${one.deviation.source}`;
        },
      }),
    ),
  ];
}

/** Two addresses outside the cluster that listen as the pods do. */
async function openOutside(lab: Lab): Promise<void> {
  const { bin } = await program('podtool');
  for (const ip of [GATE, ROGUE]) {
    await addOutsideAddress(ip);
    const [first = '', ...rest] = [...dyingWithParent(), bin, 'serve', ...targetsAt(ip, PORTS)];
    const server = spawn(first, rest, { stdio: 'inherit' });
    lab.onDown(async () => void server.kill());
  }
}

function callersOf(pods: readonly { name: string; ip: string }[]): Caller[] {
  const networks = podNetworks();
  const outside = [GATE, ROGUE].map((ip) => ({ name: ip, ip }));
  const here = `/proc/${process.pid}/ns/net`;
  const targetsOf = (from: string, others: readonly { ip: string }[]): string[] =>
    others.filter(({ ip }) => ip !== from).flatMap(({ ip }) => targetsAt(ip, PORTS));
  return [
    ...pods.map(({ name, ip }) => {
      const netns = networks.get(ip);
      if (netns === undefined) throw new Error(`nothing runs at ${ip} of ${name}`);
      return { name, ip, netns, targets: targetsOf(ip, [...pods, ...outside]) };
    }),
    ...outside.map(({ name, ip }) => ({ name, ip, netns: here, targets: targetsOf(ip, pods) })),
  ];
}

type Exception = { name: string; spec: object; deviation: Deviation };

/** The same objects, where the policies of these exceptions say what kube-router does. */
function asKubeRouterDoes(exceptions: readonly Exception[]): (object: LiveObject) => LiveObject {
  return (object) => {
    const found = exceptions.find(
      ({ name }) => object.kind === 'NetworkPolicy' && object.metadata.namespace === FOREIGN && object.metadata.name === name,
    );
    return found === undefined ? object : { ...object, spec: found.spec };
  };
}

function differences(callers: readonly Caller[], one: Prediction, other: Prediction): number {
  return callers.flatMap(({ ip, targets }) => targets.filter((to) => one.allows(ip, to) !== other.allows(ip, to))).length;
}
