// Compares who really reaches whom with who may, for every pod, port and direction at once.
import type { Cluster } from '../controlplane/cluster.ts';
import { waitFor } from '../harness/wait.ts';
import { podNetworks, type Target } from './calls.ts';
import { type Caller, type Expectation, look } from './look.ts';
import type { Rules } from './oracle.ts';
import { type Address, expected, type Outside, targetsOf } from './places.ts';
import { predict } from './prediction.ts';

/** Waits until the world is as the rules say and as the verifier says, 20 s at most; rejects with the first differences. */
export function reachIsExactly(
  cluster: Cluster,
  addresses: readonly Address[],
  outside: Outside,
  rules: Rules,
): Promise<{ open: number; all: number }> {
  return waitFor(
    'the pods to reach exactly what is granted',
    async () => {
      const expectations = [bySegments(addresses, outside, rules), { source: 'the verifier', ...(await predict(cluster)) }];
      const { wrong, open, all } = await look(callers(addresses, outside), expectations, namesOf(addresses));
      if (wrong.length > 0) throw new Error(`${wrong.length} of ${all} connections are not as granted:\n${wrong.slice(0, 12).join('\n')}`);
      return { open, all };
    },
    { timeoutMs: 20_000, everyMs: 250 },
  );
}

/** Nothing may be open that is not granted, at no time while `work` runs: looks again and again. */
export async function opensNothing(
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
    const granted = bySegments(addresses, outside, rules);
    const { opened } = await look(callers(addresses, outside), [granted], namesOf(addresses)).catch(async (error: unknown) => {
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

function bySegments(addresses: readonly Address[], outside: Outside, rules: Rules): Expectation {
  const open = new Map<string, Set<Target>>(addresses.map((from) => [from.ip, expected(from, addresses, outside, rules)]));
  return { source: "the segments' text", allows: (from, to) => open.get(from)?.has(to) === true };
}

function callers(addresses: readonly Address[], outside: Outside): Caller[] {
  const networks = podNetworks();
  return addresses.map((from) => {
    const netns = networks.get(from.ip);
    if (netns === undefined) throw new Error(`nothing runs at ${from.ip} of ${from.name}`);
    return { name: from.name, ip: from.ip, netns, targets: targetsOf(from, addresses, outside) };
  });
}

const namesOf = (addresses: readonly Address[]): ReadonlyMap<string, string> => new Map(addresses.map(({ ip, name }) => [ip, name]));
