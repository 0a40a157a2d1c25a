// `kubectl hedgerow check`: whether a fleet keeps the invariants of a file, with the proof of each breach; for CI.
import { parseAllDocuments } from 'yaml';
import { type Checked, checkInvariants, readInvariants } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import { driftLines, notesOf, unsureLines } from './broker-lines.ts';
import { RULES_FLAGS, RULES_HELP } from './broker-rules.ts';
import type { Command } from './command.ts';
import { CliError, explain } from './errors.ts';
import { OUTPUT_FLAG, required, wantsJson } from './flags.ts';
import { proofLines } from './proof-text.ts';
import { textOfFile } from './text-file.ts';
import { ERROR, readWorld, WORLD_FLAGS, WORLD_HELP, type World } from './world.ts';

export const check: Command = {
  words: ['check'],
  operand: 'INVARIANTS',
  failed: ERROR,
  summary: 'whether manifests or a cluster keep the invariants of a file; prints the proof of each breach, for CI',
  help: `usage: kubectl hedgerow check INVARIANTS [--dir DIR] [--acl FILE | --broker-url URL] [FLAG…]

INVARIANTS is a YAML file:

  invariants:
  - name: no sensor reaches the internet
    never: {from: {trust: "<= 2"}, to: internet}
  - name: only gateways reach office cameras
    only: {from: {segment: gateways}, to: {namespace: berlin, segment: office-cameras}, via: any}
  - name: nobody outside berlin subscribes to its telemetry
    subscribe: {topic: "dt/#", only: {namespace: berlin}}

never, only: from and to are everybody, internet, or {namespace, segment, trust, function, pods} of which all must hold, or {cidr}; a list is any of them. via: any (default), network, broker.
publish, subscribe: nobody but "only" does this with a topic of the filter. docs/guides/verify.md says more.

  --output, -o json            everything for scripts
${RULES_HELP}${WORLD_HELP}
With --acl or --broker-url topics are those that the broker's own rules let through, whoever wrote them; rights that policies grant and the broker does not hold are named as drift.

Exit codes: 0 all hold; 1 one or more are broken; 2 it could not be checked, something could not be read, an invariant names nobody, or a rule at the broker is not understood and may break one; that is named on stderr.
`,
  flags: { ...OUTPUT_FLAG, ...RULES_FLAGS, ...WORLD_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    const { invariants, faults } = readInvariants(await documentIn(required(values, 'INVARIANTS')));
    if (faults.length > 0) throw new CliError('HR-CLI-065', printable(faults.slice(0, MOST_FAULTS).join('; ')));
    const world = await readWorld(values, output);
    const checked = checkInvariants(world.verifier, invariants);
    const fleet = world.verifier.fleet();
    const notInForce = fleet?.notInForce() ?? [];
    const drift = fleet === undefined ? {} : { notInForce };
    if (json) output.out(`${JSON.stringify({ invariants: checked, ...drift, complete: world.complete }, undefined, 2)}\n`);
    else output.out(`${checked.map((one) => checkedText(one, world)).join('')}${driftLines(notInForce)}`);
    notesOf(world.verifier, output);
    const perhaps = checked.flatMap(({ violations }) => violations.filter(({ unsure }) => unsure)).flatMap(({ proof }) => proof);
    if (perhaps.length > 0) unsureLines(perhaps, world.verifier, output);
    const nobody = checked.flatMap((one) => one.nobody.map((names) => `${JSON.stringify(one.name)}: ${names}`));
    for (const line of nobody) output.err(`kubectl hedgerow: ${printable(explain('HR-CLI-066', line))}\n`);
    if (!world.complete || nobody.length > 0 || perhaps.length > 0) return ERROR;
    return checked.some(({ violations }) => violations.length > 0) ? 1 : 0;
  },
};

const MOST_FAULTS = 10;
const MOST_BYTES = 1024 * 1024;

async function documentIn(file: string): Promise<unknown> {
  const written = await textOfFile(file);
  if (written.length > MOST_BYTES) throw new CliError('HR-CLI-065', `${file}: it has more than 1 MiB`);
  const [document, second] = parseAllDocuments(written);
  if (document === undefined || second !== undefined) throw new CliError('HR-CLI-065', `${file}: one YAML document is expected`);
  const problem = document.errors[0]?.message.split('\n')[0];
  if (problem !== undefined) throw new CliError('HR-CLI-065', printable(`${file}: ${problem}`));
  try {
    return document.toJS();
  } catch (error) {
    // Aliases that would expand without end.
    throw new CliError('HR-CLI-065', printable(`${file}: ${error instanceof Error ? error.message : String(error)}`));
  }
}

function checkedText({ name, violations }: Checked, { verifier }: World): string {
  if (violations.length === 0) return `holds   ${printable(name)}\n`;
  const lines = violations.map(
    ({ from, to, what, proof, unsure }) =>
      `  ${unsure ? 'perhaps ' : ''}${printable(`${from} -> ${to} : ${what}`)}\n${proofLines(proof, verifier, '    ')}`,
  );
  return `${violations.every(({ unsure }) => unsure) ? 'UNKNOWN' : 'BROKEN '} ${printable(name)}\n${lines.join('')}`;
}
