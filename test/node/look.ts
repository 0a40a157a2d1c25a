// One look at the packets: everybody calls everybody, and every answer is compared with what each of several sources expects.
import { partsOf, reachable, type Target } from './calls.ts';

export type Caller = { name: string; ip: string; netns: string; targets: readonly Target[] };
/** `undefined`: either will do. */
export type Expectation = { source: string; allows(from: string, to: Target): boolean | undefined };
export type Look = {
  /** Each in a sentence: connections that are not as one of the sources says. */
  wrong: string[];
  /** Those of them that are open. */
  opened: string[];
  open: number;
  all: number;
};

export async function look(
  callers: readonly Caller[],
  expectations: readonly Expectation[],
  names: ReadonlyMap<string, string>,
): Promise<Look> {
  const seen = await Promise.all(callers.map(async (from) => ({ from, open: await reachable(from.netns, from.targets, from.ip) })));
  const found: Look = { wrong: [], opened: [], open: 0, all: 0 };
  for (const { from, open } of seen) {
    found.all += from.targets.length;
    found.open += open.size;
    for (const to of from.targets) {
      const isOpen = open.has(to);
      const against = expectations.filter(({ allows }) => allows(from.ip, to) === !isOpen).map(({ source }) => source);
      if (against.length === 0) continue;
      const { protocol, ip, port } = partsOf(to);
      const line = `${from.name} -> ${names.get(ip) ?? ip} ${protocol} ${port} is ${isOpen ? 'open' : 'shut'}, against ${against.join(' and ')}`;
      found.wrong.push(line);
      if (isOpen) found.opened.push(line);
    }
  }
  return found;
}
