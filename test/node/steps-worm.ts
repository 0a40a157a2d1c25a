// One pod is taken over: how far does it get? Tried from every pod.
import { partsOf, podNetworks, reachable, type Target, target } from './calls.ts';
import type { Fleet } from './fleet.ts';
import type { Lab } from './lab.ts';
import { CENTRE_IP } from './layout.ts';
import { targetsAt } from './places.ts';
import { type Prediction, predict } from './prediction.ts';
import type { Step } from './runner.ts';
import { closure, type Host, letLoose, type Spread, targetsFor } from './worm.ts';

/** Each scan is a process with a hundred calls. */
const STARTS_AT_A_TIME = 4;

export function wormSteps(lab: Lab, fleet: Fleet): Step[] {
  return [
    {
      sentence: 'a worm let loose in each pod, the operator among them, touches exactly what the verifier predicts',
      run: async () => {
        const prediction = await predict(lab.cluster());
        const outside = outsideOf(lab, fleet);
        const hosts = [...hostsOf(prediction), { name: 'outside', ip: CENTRE_IP, targets: outside }];
        const pods = hosts.filter(({ ip }) => ip !== CENTRE_IP);
        const expected = closure(hosts, (from, to) => from !== CENTRE_IP && prediction.allows(from, to));
        const spreads = await inGroups(pods, async (start) => ({ start, ...(await letLooseFrom(start, hosts)) }));
        const wrong = spreads.flatMap(({ start, touched }) => differences(start, touched, expected.get(start.ip) ?? new Set(), hosts));
        if (wrong.length > 0) throw new Error(wrong.slice(0, 12).join('\n'));
        return said(spreads);
      },
    },
  ];
}

type Run = { start: Host; calls: number; scans: number } & Spread;

async function letLooseFrom(start: Host, hosts: readonly Host[]): Promise<Omit<Run, 'start'>> {
  const networks = podNetworks();
  let calls = 0;
  let scans = 0;
  // What lies outside has no pod to go on from.
  const pods = hosts.filter(({ ip }) => ip !== CENTRE_IP);
  const spread = await letLoose(start, pods, (from) => {
    const netns = networks.get(from.ip);
    if (netns === undefined) throw new Error(`nothing runs at ${from.ip} of ${from.name}`);
    const targets = targetsFor(from, hosts);
    calls += targets.length;
    scans += 1;
    return reachable(netns, targets, from.ip);
  });
  return { ...spread, calls, scans };
}

/** Everything that listens: what containers name, as the API server tells. */
function hostsOf(prediction: Prediction): Host[] {
  return prediction.pods.map(({ name, ip, ports }) => ({ name, ip, targets: targetsAt(ip, ports) }));
}

/** The broker's two doors and the API server. */
function outsideOf(lab: Lab, fleet: Fleet): Target[] {
  const { broker, other } = fleet.outside();
  return [broker, other, target('TCP', CENTRE_IP, Number(new URL(lab.broker().restUrl).port))];
}

function differences(start: Host, touched: ReadonlySet<Target>, expected: ReadonlySet<Target>, hosts: readonly Host[]): string[] {
  const named = (to: Target): string => {
    const { protocol, ip, port } = partsOf(to);
    return `${hosts.find((host) => host.ip === ip)?.name ?? ip} ${protocol} ${port}`;
  };
  return [
    ...[...touched]
      .filter((to) => !expected.has(to))
      .map((to) => `from ${start.name} it touched ${named(to)}, which the verifier excludes`),
    ...[...expected]
      .filter((to) => !touched.has(to))
      .map((to) => `from ${start.name} it did not touch ${named(to)}, which the verifier predicts`),
  ];
}

function said(spreads: readonly Run[]): string {
  const sum = (count: (one: Run) => number): number => spreads.reduce((total, one) => total + count(one), 0);
  const further = spreads.filter(({ taken, atOnce }) => taken.size > atOnce.size);
  const [first] = further;
  if (first === undefined) throw new Error('no worm gets further than its first pod does: that shows nothing of going on');
  const confined = spreads.filter(({ taken }) => taken.size === 0).length;
  return [
    `${spreads.length} starts, ${sum(({ scans }) => scans)} scans, ${sum(({ calls }) => calls)} calls`,
    `${confined} reach no other pod, ${further.length} get further over others`,
    `from ${first.start.name} ${first.atOnce.size} pods at once, ${first.taken.size} in the end`,
  ].join('; ');
}

async function inGroups<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (let at = 0; at < items.length; at += STARTS_AT_A_TIME)
    done.push(...(await Promise.all(items.slice(at, at + STARTS_AT_A_TIME).map(work))));
  return done;
}
