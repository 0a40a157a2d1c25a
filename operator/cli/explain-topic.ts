// `kubectl hedgerow explain`: why a publish or a subscription of a device is refused, or allowed.
import type { Verifier } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import { brokerLines, unsureLines } from './broker-lines.ts';
import { RULES_FLAGS, RULES_HELP } from './broker-rules.ts';
import type { Command } from './command.ts';
import { OUTPUT_FLAG, wantsJson } from './flags.ts';
import { WrongUse } from './parse.ts';
import { deviceKey } from './party.ts';
import { missingLines, proofLines } from './proof-text.ts';
import { topicIn } from './topic-word.ts';
import { ERROR, readWorld, WORLD_FLAGS, WORLD_HELP } from './world.ts';

export const explainTopic: Command = {
  words: ['explain'],
  operands: 'DEVICE publish|subscribe TOPIC',
  failed: ERROR,
  summary: 'why a device may not publish or subscribe to a topic: which rule decides, and what would be needed',
  help: `usage: kubectl hedgerow explain DEVICE publish|subscribe TOPIC [--dir DIR] [--acl FILE | --broker-url URL] [FLAG…]

Says whether the device may, by which texts, or which are missing. A subscription is allowed when all of its filter is. DEVICE is NAME or NS/NAME.

  --output, -o json            everything for scripts
${RULES_HELP}${WORLD_HELP}
It speaks of what policies and Devices grant; with --acl or --broker-url of what the broker's own rules let through, with the rule that decides, and of the policies where they say otherwise. Who is connected, and what keeps a device from connecting at all, says "kubectl hedgerow why".

Exit codes: 0 it may; 1 it may not; 2 it could not be answered, or something could not be read (it is named on stderr) and the answer leaves it out; so it is where a rule at the broker is not understood and may allow it.
`,
  flags: { ...OUTPUT_FLAG, ...RULES_FLAGS, ...WORLD_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    const [word, action, topic, ...more] = values['DEVICE publish|subscribe TOPIC'] as readonly string[];
    if (word === undefined || (action !== 'publish' && action !== 'subscribe') || topic === undefined || more.length > 0)
      throw new WrongUse('write DEVICE, then publish or subscribe, then the topic');
    const filter = topicIn(topic);
    if (action === 'publish' && /[+#]/.test(filter)) throw new WrongUse('nobody publishes to a wildcard (MQTT 5 §3.3.2.1): name one topic');
    const world = await readWorld(values, output);
    const { verifier } = world;
    const device = deviceKey(word, world.namespace, verifier);
    const answer = verifier.may(device, action, filter);
    const title = printable(`Device ${device} ${action} ${filter}`);
    if (json) output.out(`${JSON.stringify({ device, action, topic: filter, ...answer, complete: world.complete }, undefined, 2)}\n`);
    else output.out(`${answerText(title, answer, verifier)}${'by' in answer ? brokerLines(answer, verifier) : ''}`);
    const unsure = 'by' in answer && answer.unsure;
    if (unsure) unsureLines(answer.grants, verifier, output);
    if (!world.complete || unsure) return ERROR;
    return answer.allowed ? 0 : 1;
  },
};

function answerText(title: string, answer: ReturnType<Verifier['may']>, verifier: Verifier): string {
  const of = 'by' in answer ? " by the broker's own rules" : '';
  if (answer.allowed) return `allowed${of}: ${title}\n${proofLines(answer.grants, verifier, '  ')}`;
  const word = 'by' in answer && answer.unsure ? 'not known' : 'denied';
  return `${word}${of}: ${title}\n${missingLines(answer.missing, '  ')}`;
}
