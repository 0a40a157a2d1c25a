// `kubectl hedgerow diff`: what a change of manifests makes reachable and what it blocks, with an exit code for CI.
import { type ReachChange, reachChange } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import type { Command } from './command.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, OUTPUT_FLAG, wantsJson } from './flags.ts';
import { WrongUse } from './parse.ts';
import { ERROR, worldAt } from './world.ts';

const CLUSTER = 'cluster';

export const diff: Command = {
  words: ['diff'],
  operands: 'OLD NEW',
  failed: ERROR,
  summary: 'what a change makes reachable and what it blocks, between two directories or files, or a cluster and one of them',
  help: `usage: kubectl hedgerow diff OLD NEW [FLAG…]

OLD and NEW are directories or files of manifests; one of them may be the word ${CLUSTER}. Prints a line for each way that is new (+), for each that is gone (-), and for each Device that stands elsewhere (~):

  + berlin/sensors -> 0.0.0.0/0 : TCP 443
  - berlin/sensors -> berlin/gateways : dt/sensors.berlin/{publisher}/temp
  ~ Device berlin/thermo-1 : berlin/sensors, Active -> berlin/sensors, Quarantined

Segments are <namespace>/<name>, pods have their kind behind the name. Against a cluster, NetworkPolicies that follow from SegmentPolicies are in the cluster and not in Git: pods of segments show as what those let through.

  --output, -o json            everything for scripts
${CLUSTER_HELP}
Exit codes: 0 nothing differs; 1 something does; 2 it could not be compared, or something could not be read (it is named on stderr) and the answer leaves it out.
`,
  flags: { ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    const [old, now, ...more] = values['OLD NEW'] as readonly string[];
    if (old === undefined || now === undefined || more.length > 0) throw new WrongUse('which OLD, and which NEW?');
    if (old === CLUSTER && now === CLUSTER) throw new WrongUse('only one of both can be the cluster');
    const before = await worldAt(old === CLUSTER ? undefined : old, values, output);
    const after = await worldAt(now === CLUSTER ? undefined : now, values, output);
    const change = reachChange(before.verifier, after.verifier);
    const complete = before.complete && after.complete;
    if (json) output.out(`${JSON.stringify({ ...change, complete }, undefined, 2)}\n`);
    else output.out(changeText(change));
    if (!complete) return ERROR;
    return change.reachable.length + change.blocked.length + change.devices.length === 0 ? 0 : 1;
  },
};

function changeText({ reachable, blocked, devices }: ReachChange): string {
  const lines = [
    ...reachable.map(({ from, to, by }) => `+ ${from} -> ${to} : ${by}`),
    ...blocked.map(({ from, to, by }) => `- ${from} -> ${to} : ${by}`),
    ...devices.map(({ device, before, after }) => `~ Device ${device} : ${before ?? 'not there'} -> ${after ?? 'not there'}`),
  ];
  return lines.map((line) => `${printable(line)}\n`).join('');
}
