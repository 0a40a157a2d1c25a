// `kubectl hedgerow can`: can one reach the other, by the network and by the broker, and what says so.
import type { Verdict, Verifier, WayAnswer } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import { brokerLines, unsureLines } from './broker-lines.ts';
import { RULES_FLAGS, RULES_HELP } from './broker-rules.ts';
import type { Command } from './command.ts';
import { OUTPUT_FLAG, TEXT, text, wantsJson } from './flags.ts';
import { type Values, WrongUse } from './parse.ts';
import { PARTY_HELP, partyOf, partyText } from './party.ts';
import { missingLines, proofLines } from './proof-text.ts';
import { topicIn } from './topic-word.ts';
import { ERROR, readWorld, WORLD_FLAGS, WORLD_HELP, type World } from './world.ts';

export const can: Command = {
  words: ['can'],
  operands: 'A B',
  failed: ERROR,
  summary: 'can A reach B, by the network and by the broker: yes with the rules that say so, or no with the grants that are missing',
  help: `usage: kubectl hedgerow can A B [--port TCP/8883 | --topic FILTER] [--dir DIR] [--acl FILE | --broker-url URL] [FLAG…]

Can A open a connection to B, or does B receive what A publishes? Without --port and --topic one way of all is enough for a yes.

${PARTY_HELP}
  --port PROTOCOL/PORT         this port alone: TCP/8883, UDP/53, SCTP/7070
  --topic FILTER               these topics alone: A publishes there and B subscribes
  --output, -o json            everything for scripts
${RULES_HELP}${WORLD_HELP}
What a segment may, each of its devices and pods may. On a cluster NetworkPolicies decide about pods, as they are now; in a directory what SegmentPolicies grant and what other NetworkPolicies let through adds up.
Where the broker's own rules and the policies disagree, both are printed; the exit code is that of the broker.

Exit codes: 0 yes; 1 no; 2 it could not be answered, or something could not be read (it is named on stderr) and the answer leaves it out; so it is where a rule at the broker is not understood and may allow it.
`,
  flags: { port: TEXT, topic: TEXT, ...OUTPUT_FLAG, ...RULES_FLAGS, ...WORLD_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    const means = meansOf(values);
    const [a, b, ...more] = values['A B'] as readonly string[];
    if (a === undefined || b === undefined || more.length > 0) throw new WrongUse('which A, and which B?');
    const world = await readWorld(values, output);
    const { verifier, namespace } = world;
    const [from, to] = [partyOf(a, namespace, verifier), partyOf(b, namespace, verifier)];
    const verdict = verifier.can(from, to, means);
    const title = `${partyText(from)} -> ${partyText(to)}${asked(means)}`;
    if (json) output.out(`${JSON.stringify({ from, to, ...means, ...verdict, complete: world.complete }, undefined, 2)}\n`);
    else output.out(verdictText(title, verdict, world));
    if (verdict.unsure)
      unsureLines(
        verdict.ways.flatMap((way) => (way.by === 'Broker' ? way.grants : [])),
        verifier,
        output,
      );
    if (!world.complete || verdict.unsure) return ERROR;
    return verdict.allowed ? 0 : 1;
  },
};

type Means = { port?: string; topic?: string };

function meansOf(values: Values): Means {
  const [port, topic] = [text(values, 'port'), text(values, 'topic')];
  if (port !== undefined && topic !== undefined) throw new WrongUse('--port and --topic contradict each other: ask twice');
  if (topic !== undefined) return { topic: topicIn(topic) };
  return port === undefined ? {} : { port: portIn(port) };
}

/** `TCP/8883` as the verifier has it. */
function portIn(word: string): string {
  const [, protocol, number] = /^(TCP|UDP|SCTP)\/([1-9]\d{0,4})$/i.exec(word) ?? [];
  if (protocol === undefined || Number(number) > MOST) throw new WrongUse(`--port ${word}: write TCP/8883, UDP/53 or SCTP/7070`);
  return `${protocol.toUpperCase()} ${number}`;
}

const MOST = 65_535;
const asked = ({ port, topic }: Means): string =>
  `${port === undefined ? '' : ` by ${port}`}${topic === undefined ? '' : ` by topic ${topic}`}`;

function verdictText(title: string, { allowed, unsure, ways, notes }: Verdict, { verifier }: World): string {
  const parts = ways.map((way) => `${way.way}: ${wayText(way, verifier)}`);
  return `${allowed ? 'yes' : unsure ? 'not known' : 'no'}: ${printable(title)}\n${parts.join('')}${notes.map((note) => `note: ${printable(note)}\n`).join('')}`;
}

function wayText(way: WayAnswer, verifier: Verifier): string {
  const said = way.allowed ? proofLines(way.grants, verifier, '  ') : missingLines(way.missing, '  ');
  if (way.by !== 'Broker') return `${way.allowed ? `yes, by ${way.by}` : 'no'}\n${said}`;
  const word = way.allowed ? 'yes' : way.unsure ? 'not known' : 'no';
  return `${word}, by the broker's own rules\n${said}${brokerLines(way, verifier)}`;
}
