// A worm in one pod: it tries every port of every address, and goes on from wherever something let it in. Once for real, in the network namespaces of the pods, and once
// in the relation that the verifier gives. The two are computed in different ways.
import { partsOf, type Target } from './calls.ts';

export type Host = { name: string; ip: string; targets: readonly Target[] };
export type Spread = {
  /** Everything that a taken pod could connect to. */
  touched: ReadonlySet<Target>;
  /** Addresses of pods that it took without the first, those that it took from the first pod itself, and how many pods scanned. */
  taken: ReadonlySet<string>;
  atOnce: ReadonlySet<string>;
};

/** `scan` gives which targets answer the pod at this address. */
export async function letLoose(start: Host, hosts: readonly Host[], scan: (from: Host) => Promise<ReadonlySet<Target>>): Promise<Spread> {
  const untouched = new Map(hosts.filter(({ ip }) => ip !== start.ip).map((host) => [host.ip, host]));
  const touched = new Set<Target>();
  const taken = new Set<string>();
  let atOnce: ReadonlySet<string> | undefined;
  for (let scanning = [start]; scanning.length > 0; ) {
    const open = (await Promise.all(scanning.map(scan))).flatMap((one) => [...one]);
    for (const one of open) touched.add(one);
    scanning = [];
    for (const { ip } of open.map(partsOf)) {
      const host = untouched.get(ip);
      if (host === undefined || !untouched.delete(ip)) continue;
      taken.add(ip);
      scanning.push(host);
    }
    atOnce ??= new Set(taken);
  }
  return { touched, taken, atOnce: atOnce ?? new Set() };
}

/** The transitive closure of the relation, for every start (Warshall): what a worm touches in the end. */
export function closure(hosts: readonly Host[], allows: (from: string, to: Target) => boolean): ReadonlyMap<string, ReadonlySet<Target>> {
  const direct = new Map(hosts.map((host) => [host.ip, targetsFor(host, hosts).filter((to) => allows(host.ip, to))]));
  const reach = new Map(hosts.map(({ ip }) => [ip, new Set([ip, ...(direct.get(ip) ?? []).map((to) => partsOf(to).ip)])]));
  for (const { ip: via } of hosts) {
    for (const onward of reach.values()) if (onward.has(via)) for (const ip of reach.get(via) ?? []) onward.add(ip);
  }
  return new Map([...reach].map(([start, pods]) => [start, new Set([...pods].flatMap((ip) => direct.get(ip) ?? []))]));
}

/** What a pod scans: everything but itself, which is no network. */
export const targetsFor = (from: Host, hosts: readonly Host[]): Target[] =>
  hosts.filter(({ ip }) => ip !== from.ip).flatMap(({ targets }) => targets);
