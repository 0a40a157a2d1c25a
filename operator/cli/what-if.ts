// `kubectl hedgerow what-if`: what somebody gets who takes over a device, and what a quarantine of it takes. Nothing is changed anywhere.
import { type Blast, blastOf, type Quarantined, whatQuarantineTakes } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import { driftLines, fleetLines } from './broker-lines.ts';
import { RULES_FLAGS, RULES_HELP } from './broker-rules.ts';
import type { Command } from './command.ts';
import { OUTPUT_FLAG, required, TEXT, text, wantsJson } from './flags.ts';
import { type Values, WrongUse } from './parse.ts';
import { deviceKey } from './party.ts';
import { ERROR, readWorld, WORLD_FLAGS, WORLD_HELP } from './world.ts';

const MOST_HOPS = 32;

export const whatIfCompromise: Command = {
  words: ['what-if', 'compromise'],
  operand: 'DEVICE',
  failed: ERROR,
  summary: 'the blast radius of a device: all that it reaches, over ports and topics, from one to the next',
  help: `usage: kubectl hedgerow what-if compromise DEVICE [--hops N] [--dir DIR] [--acl FILE | --broker-url URL] [FLAG…]

All that somebody reaches who has taken over DEVICE (NAME or NS/NAME), and over what, and what the device itself hears. With more than one hop, whoever reaches a segment is taken to have all its devices and pods: it may be less, it is never more.

  --hops N                     how far: 1 is what the device itself reaches (default: 1, at most ${MOST_HOPS})
  --output, -o json            everything for scripts
${RULES_HELP}${WORLD_HELP}
Exit codes: 0 answered; 2 it could not be answered, or something could not be read (it is named on stderr) and the answer leaves it out; so it is where a rule at the broker is not understood and may let something through.
`,
  flags: { hops: TEXT, ...OUTPUT_FLAG, ...RULES_FLAGS, ...WORLD_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    const hops = hopsOf(values);
    const world = await readWorld(values, output);
    const device = deviceKey(required(values, 'DEVICE'), world.namespace, world.verifier);
    const blast = blastOf(world.verifier, device, hops);
    const fleet = world.verifier.fleet(device);
    const notInForce = fleet?.notInForce(device) ?? [];
    const drift = fleet === undefined ? {} : { notInForce };
    if (json) output.out(`${JSON.stringify({ device, hops, ...blast, ...drift, complete: world.complete }, undefined, 2)}\n`);
    else output.out(`${blastText(device, hops, blast)}${driftLines(notInForce)}`);
    return fleetLines(world.verifier, output, hops === 1 ? device : undefined) && world.complete ? 0 : ERROR;
  },
};

export const whatIfQuarantine: Command = {
  words: ['what-if', 'quarantine'],
  operand: 'DEVICE',
  failed: ERROR,
  summary: 'what a quarantine would take from a device, and what it would leave',
  help: `usage: kubectl hedgerow what-if quarantine DEVICE [--dir DIR] [--acl FILE | --broker-url URL] [FLAG…]

Whom DEVICE (NAME or NS/NAME) would not reach any more, by whom it would not be reached, and which topics it would keep. Nothing is changed; "kubectl hedgerow quarantine" does it.

  --output, -o json            everything for scripts
${RULES_HELP}${WORLD_HELP}
Exit codes: 0 answered; 2 it could not be answered, or something could not be read (it is named on stderr) and the answer leaves it out; so it is where a rule at the broker is not understood and may let something through.
`,
  flags: { ...OUTPUT_FLAG, ...RULES_FLAGS, ...WORLD_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    const world = await readWorld(values, output);
    const device = deviceKey(required(values, 'DEVICE'), world.namespace, world.verifier);
    const taken = whatQuarantineTakes(world.verifier, world.manifests, device, world.now);
    if (json) output.out(`${JSON.stringify({ device, ...taken, complete: world.complete }, undefined, 2)}\n`);
    else output.out(quarantineText(device, taken));
    return fleetLines(world.verifier, output, device) && world.complete ? 0 : ERROR;
  },
};

function hopsOf(values: Values): number {
  const word = text(values, 'hops') ?? '1';
  if (!/^[1-9]\d?$/.test(word) || Number(word) > MOST_HOPS) throw new WrongUse(`--hops ${word}: a number from 1 to ${MOST_HOPS}`);
  return Number(word);
}

function blastText(device: string, hops: number, { reached, devices, hears }: Blast): string {
  const segments = reached.filter(({ kind }) => kind === 'segment').length;
  const within = hops === 1 ? 'by itself' : `in ${hops} hops`;
  const title = `Device ${device} reaches ${within}: ${counted(devices, 'other device')} in ${counted(segments, 'segment')}, ${counted(reached.length - segments, 'other target')}`;
  const lines = reached.map(({ hop, from, to, ports, topics, devices: there, kind, unsure }) => {
    const size = kind === 'segment' ? ` (${counted(there, 'device')})` : '';
    return `hop ${hop}  ${unsure ? 'perhaps ' : ''}${to}${size} from ${from} : ${[...ports, ...topics].join(', ')}`;
  });
  const heard = hears.map(({ from, topics, unsure }) => `hears  ${unsure ? 'perhaps ' : ''}${from} : ${topics.join(', ')}`);
  return [title, ...lines, ...heard].map((line) => `${printable(line)}\n`).join('');
}

function quarantineText(device: string, { loses, lostBy, stays, keeps }: Quarantined): string {
  const way = (mark: string, { peer, ports, topics }: Quarantined['loses'][number]): string =>
    `  ${mark} ${peer} : ${[...ports, ...topics].join(', ')}`;
  const lines = [
    `A quarantine of Device ${device}`,
    loses.length === 0 ? 'takes no way out: it has none' : 'ends its ways to',
    ...loses.map((one) => way('->', one)),
    lostBy.length === 0 ? 'takes no way in: there is none' : 'ends the ways to it from',
    ...lostBy.map((one) => way('<-', one)),
    ...(stays.length === 0 ? [] : ['does not end, by other rules of the broker, its ways with', ...stays.map((one) => way('--', one))]),
    keeps.length === 0 ? 'leaves it no topics' : 'leaves it the topics',
    ...keeps.map(({ action, filter }) => `  ${action.padEnd(9)} ${filter}`),
  ];
  return lines.map((line) => `${printable(line)}\n`).join('');
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
