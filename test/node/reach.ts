// Compares who really reaches whom with who may, for every pod, port and direction at once.
import type { Cluster } from '../controlplane/cluster.ts';
import { waitFor } from '../harness/wait.ts';
import type { Rules } from './oracle.ts';
import { type Address, expected, type Outside, targetsOf } from './places.ts';
import { reachable } from './pods.ts';

/** Waits until the world is as the rules say, 15 s at most; rejects with the first differences. Gives `open/all`. */
export function reachIsExactly(cluster: Cluster, addresses: readonly Address[], outside: Outside, rules: Rules): Promise<string> {
  return waitFor(
    'the pods to reach exactly what is granted',
    async () => {
      const { wrong, open, all } = await look(cluster, addresses, outside, rules);
      if (wrong.length > 0) throw new Error(`${wrong.length} of ${all} connections are not as granted:\n${wrong.slice(0, 12).join('\n')}`);
      return `${open} connections of ${all} open, the rest shut`;
    },
    { timeoutMs: 15_000, everyMs: 250 },
  );
}

/** Nothing may be open that is not granted, at no time while `work` runs: looks again and again. */
export async function opensNothing(
  cluster: Cluster,
  addresses: readonly Address[],
  outside: Outside,
  rules: Rules,
  work: () => Promise<unknown>,
): Promise<string> {
  let ended = false;
  const running = work().finally(() => {
    ended = true;
  });
  // Its failure is reported below, by whoever awaits it.
  running.catch(() => undefined);
  let looks = 0;
  // At least once after the end.
  for (let last = false; !last; looks += 1) {
    last = ended;
    const { opened } = await look(cluster, addresses, outside, rules).catch(async (error: unknown) => {
      await running;
      throw error;
    });
    if (opened.length > 0) {
      await running;
      throw new Error(`open though not granted:\n${opened.slice(0, 12).join('\n')}`);
    }
  }
  await running;
  return `looked ${looks} times`;
}

type Look = { wrong: string[]; opened: string[]; open: number; all: number };

async function look(cluster: Cluster, addresses: readonly Address[], outside: Outside, rules: Rules): Promise<Look> {
  const names = new Map(addresses.map(({ ip, name }) => [ip, name]));
  const seen = await Promise.all(
    addresses.map(async (from) => {
      const targets = targetsOf(from, addresses, outside);
      const open = await reachable(cluster, from.name, targets);
      const may = expected(from, addresses, outside, rules);
      const named = (target: string): string => {
        const [ip = '', port = ''] = target.split(':');
        return `${from.name} -> ${names.get(ip) ?? ip}:${port}`;
      };
      return {
        opened: targets.filter((target) => open.has(target) && !may.has(target)).map((target) => `${named(target)} is open`),
        shut: targets.filter((target) => !open.has(target) && may.has(target)).map((target) => `${named(target)} is shut`),
        open: open.size,
        all: targets.length,
      };
    }),
  );
  const sum = (count: (one: (typeof seen)[number]) => number): number => seen.reduce((total, one) => total + count(one), 0);
  const opened = seen.flatMap((one) => one.opened);
  return { opened, wrong: [...opened, ...seen.flatMap(({ shut }) => shut)], open: sum(({ open }) => open), all: sum(({ all }) => all) };
}
