// `kubectl hedgerow connections`: who may connect to whom under the NetworkPolicies of a directory, as a list that other tools print too.
import { type Reach, reachDiffText, reachOf, reachText } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import type { Command, Output } from './command.ts';
import { explain } from './errors.ts';
import { required, TEXT, text } from './flags.ts';
import { readManifests } from './manifest-files.ts';

const INCOMPLETE = 3;

export const connections: Command = {
  words: ['connections'],
  operand: 'DIR',
  summary: 'who may connect to whom under the NetworkPolicies of a directory of manifests, or what a change of them changes',
  help: `usage: kubectl hedgerow connections DIR [--diff DIR2]

Reads the manifests below DIR (.yaml, .yml, .json: workloads, Pods, Namespaces, NetworkPolicies, lists of them) and prints every pair that may connect, a line each:

  default/frontend[Deployment] => default/cart[Deployment] : TCP 7070

Ranges of addresses outside the cluster end in [External]. The lines are those of np-guard's netpol-analyzer, so that both can be compared. No cluster is asked.

  --diff DIR2                  print instead what changes from DIR (ref1) to DIR2 (ref2): pairs added, removed, changed

What a NetworkPolicy says is not all that holds: pods in the network of their node are outside of it, traffic from a pod's own node usually too, and other kinds of
policies are not evaluated. Such things are named on stderr.

Exit codes: 0 done; 1 it could not be done; 2 wrong use; 3 done, but something could not be read or evaluated: it is named on stderr.
`,
  flags: { diff: TEXT, help: { type: 'boolean', short: 'h' } },
  async run(values, output) {
    const other = text(values, 'diff');
    const before = await reachBelow(required(values, 'DIR'), output);
    if (other === undefined) {
      output.out(reachText(before));
      return before.complete ? 0 : INCOMPLETE;
    }
    const after = await reachBelow(other, output);
    output.out(reachDiffText(before, after));
    return before.complete && after.complete ? 0 : INCOMPLETE;
  },
};

async function reachBelow(directory: string, output: Output): Promise<Reach & { complete: boolean }> {
  const { manifests, unreadable } = await readManifests(directory);
  const reach = reachOf(manifests);
  const missing = [...unreadable, ...reach.omitted];
  for (const one of missing) output.err(`kubectl hedgerow: ${explain('HR-CLI-060', `${directory}: ${printable(one)}`)}\n`);
  if (reach.hostNetwork.length > 0)
    output.err(`note: in the network of their node, where NetworkPolicies do not hold: ${reach.hostNetwork.map(printable).join(', ')}\n`);
  return { ...reach, complete: missing.length === 0 };
}
