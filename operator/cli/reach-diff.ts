// `kubectl hedgerow diff`: what a change of manifests makes reachable and what it blocks, with an exit code for CI.
import { type ReachChange, reachChange, type Verifier } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import { fleetLines } from './broker-lines.ts';
import { brokerRules, RULES_FLAGS, RULES_HELP } from './broker-rules.ts';
import type { Command } from './command.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, OUTPUT_FLAG, wantsJson } from './flags.ts';
import { WrongUse } from './parse.ts';
import { proofLines } from './proof-text.ts';
import { ERROR, worldAt } from './world.ts';

const CLUSTER = 'cluster';

export const diff: Command = {
  words: ['diff'],
  operands: 'OLD NEW',
  failed: ERROR,
  summary: 'what a change makes reachable and what it blocks, between two directories or files, or a cluster and one of them',
  help: `usage: kubectl hedgerow diff OLD NEW [--acl FILE | --broker-url URL] [FLAG…]

OLD and NEW are directories or files of manifests; one of them may be the word ${CLUSTER}. Prints a line for each way that is new (+), for each that is gone (-), and for each Device that stands elsewhere (~):

  + berlin/sensors -> 0.0.0.0/0 : TCP 443
  - berlin/sensors -> berlin/gateways : dt/sensors.berlin/{publisher}/temp
  ~ Device berlin/thermo-1 : berlin/sensors, Active -> berlin/sensors, Quarantined

Segments are <namespace>/<name>, pods have their kind behind the name. Against a cluster, NetworkPolicies that follow from SegmentPolicies are in the cluster and not in Git: pods of segments show as what those let through.

  --output, -o json            everything for scripts
${RULES_HELP}${CLUSTER_HELP}
With --acl or --broker-url the broker's own rules are what is in force of topics before, whatever OLD says of them: + is what NEW grants and they do not let through, - what they let through and NEW does not
grant, with the rules; those of other people stay until somebody changes them.

Exit codes: 0 nothing differs; 1 something does; 2 it could not be compared, or something could not be read (it is named on stderr) and the answer leaves it out; so it is where a rule at the broker is not understood and may let something through.
`,
  flags: { ...OUTPUT_FLAG, ...RULES_FLAGS, ...CLUSTER_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    const [old, now, ...more] = values['OLD NEW'] as readonly string[];
    if (old === undefined || now === undefined || more.length > 0) throw new WrongUse('which OLD, and which NEW?');
    if (old === CLUSTER && now === CLUSTER) throw new WrongUse('only one of both can be the cluster');
    const rules = await brokerRules(values);
    const before = await worldAt(old === CLUSTER ? undefined : old, values, output, rules);
    const after = await worldAt(now === CLUSTER ? undefined : now, values, output, rules);
    const change = reachChange(before.verifier, after.verifier);
    const complete = before.complete && after.complete;
    if (json) output.out(`${JSON.stringify({ ...change, complete }, undefined, 2)}\n`);
    else output.out(changeText(change, after.verifier));
    if (!fleetLines(after.verifier, output) || !complete) return ERROR;
    return change.reachable.length + change.blocked.length + change.devices.length === 0 ? 0 : 1;
  },
};

function changeText({ reachable, blocked, devices }: ReachChange, verifier: Verifier): string {
  const pair = (mark: string, { from, to, by, rules = [] }: ReachChange['blocked'][number]): string =>
    `${printable(`${mark} ${from} -> ${to} : ${by}`)}\n${proofLines(rules, verifier, '    ')}`;
  return [
    ...reachable.map((one) => pair('+', one)),
    ...blocked.map((one) => pair('-', one)),
    ...devices.map(
      ({ device, before, after }) => `${printable(`~ Device ${device} : ${before ?? 'not there'} -> ${after ?? 'not there'}`)}\n`,
    ),
  ].join('');
}
