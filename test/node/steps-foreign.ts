// The table of foreign policies on real nodes, and each thing that kube-router does otherwise as a sentence of its own.
import { spawn } from 'node:child_process';
import type { Cluster } from '../controlplane/cluster.ts';
import { apply } from '../controlplane/testing.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { podNetworks, podtoolIn, reachable, type Target } from './calls.ts';
import { type Exception, exceptions, foreignNamespaces, foreignPods, foreignPolicies, GATE, PORTS, ROGUE } from './foreign.ts';
import { IMAGES } from './images.ts';
import { kubectl } from './kubectl.ts';
import type { Lab } from './lab.ts';
import { NODES } from './layout.ts';
import { type Caller, type Expectation, type Look, look } from './look.ts';
import { addOutsideAddress } from './network.ts';
import { startAddresses, targetsAt } from './places.ts';
import { judge, type LiveObject, live } from './prediction.ts';
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
        const pods = await startAddresses(cluster, foreignPods([NODES[0].name, NODES[1].name]), IMAGES.podtool.reference);
        callers = callersOf(pods);
        await listenBeside(lab, callers);
        objects = await live(cluster);
        const { open, all } = await untilAs(callers, expectationOf(objects));
        return `${foreignPolicies().length} policies, ${pods.length} pods and 2 addresses outside; ${open} connections of ${all} open, the rest shut; ${exceptions().length} known exceptions`;
      },
    },
    ...exceptions().map(
      (one): Step => ({
        sentence: `exception of kube-router: ${one.deviation.sentence}`,
        run: async () => {
          const differing = differences(callers, objects, one);
          const syncs = await untilOtherwise(lab.cluster(), one, differing);
          const when = one.deviation.byChance === true ? `, seen after ${syncs} further syncs` : '';
          return `policy ${one.policy}, ${differing.length} connections otherwise than the API says${when}; ${one.deviation.source}`;
        },
      }),
    ),
  ];
}

/** The verifier, told of the exceptions; where one holds by chance, either will do. */
function expectationOf(objects: readonly LiveObject[]): Expectation {
  const certain = exceptions().filter(({ deviation }) => deviation.byChance !== true);
  const [sure, possible] = [judge(objects.map(asKubeRouterDoes(certain))), judge(objects.map(asKubeRouterDoes(exceptions())))];
  return {
    source: 'the verifier',
    allows: (from, to) => (sure.allows(from, to) === possible.allows(from, to) ? sure.allows(from, to) : undefined),
  };
}

function untilAs(callers: readonly Caller[], expectation: Expectation): Promise<Look> {
  const names = new Map(callers.map(({ ip, name }) => [ip, name]));
  return waitFor(
    'the foreign policies to hold',
    async () => {
      const seen = await look(callers, [expectation], names);
      if (seen.wrong.length > 0) throw new Error(`${seen.wrong.length} of ${seen.all}:\n${seen.wrong.slice(0, 12).join('\n')}`);
      return seen;
    },
    { timeoutMs: 20_000, everyMs: 250 },
  );
}

type Difference = { from: Caller; to: Target; byApi: boolean };

/** Where one exception makes the verifier answer otherwise. */
function differences(callers: readonly Caller[], objects: readonly LiveObject[], one: Exception): Difference[] {
  const [before, after] = [judge(objects), judge(objects.map(asKubeRouterDoes([one])))];
  return callers.flatMap((from) =>
    from.targets
      .map((to) => ({ from, to, byApi: before.allows(from.ip, to) }))
      .filter(({ to, byApi }) => after.allows(from.ip, to) !== byApi),
  );
}

const MOST_SYNCS = 40;

/** The packets do otherwise than the API says, at once; what happens by chance at a sync does after some of them. Every change of a policy makes kube-router sync. */
async function untilOtherwise(cluster: Cluster, one: Exception, differing: readonly Difference[]): Promise<number> {
  for (let syncs = 0; syncs <= (one.deviation.byChance === true ? MOST_SYNCS : 0); syncs += 1) {
    if (differing.length > 0 && (await areOtherwise(differing))) return syncs;
    await kubectl(cluster, 'annotate', '--overwrite', 'networkpolicy', one.policy, '-n', one.namespace, `sync=${syncs}`);
    await pause(600);
  }
  throw new Error(`of ${differing.length} connections not all do otherwise than the API says: no exception is needed`);
}

async function areOtherwise(differing: readonly Difference[]): Promise<boolean> {
  const looks = [...Map.groupBy(differing, ({ from }) => from)].map(async ([{ netns, ip }, calls]) => {
    const open = await reachable(
      netns,
      calls.map(({ to }) => to),
      ip,
    );
    return calls.every(({ to, byApi }) => open.has(to) !== byApi);
  });
  return (await Promise.all(looks)).every(Boolean);
}

/** What pods may not do themselves (SCTP), and what stands outside the cluster, is done by processes beside them. */
async function listenBeside(lab: Lab, callers: readonly Caller[]): Promise<void> {
  for (const { ip, netns } of callers) {
    const outside = ip === GATE || ip === ROGUE;
    if (outside) await addOutsideAddress(ip);
    const [first = '', ...rest] = podtoolIn(
      netns,
      'serve',
      ...targetsAt(
        ip,
        PORTS.filter(({ protocol }) => outside || protocol === 'SCTP'),
      ),
    );
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

/** The same objects, where the policies of these exceptions say what kube-router does. */
function asKubeRouterDoes(all: readonly Exception[]): (object: LiveObject) => LiveObject {
  return (object) => {
    const { name, namespace } = object.metadata;
    const found = all.find((one) => object.kind === 'NetworkPolicy' && namespace === one.namespace && name === one.policy);
    return found === undefined ? object : { ...object, spec: found.spec };
  };
}
