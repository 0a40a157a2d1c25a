// `kubectl hedgerow explain`: why a publish or a subscription of a device is refused, or allowed.
import { printable } from './adoption-text.ts';
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
  help: `usage: kubectl hedgerow explain DEVICE publish|subscribe TOPIC [--dir DIR] [FLAG…]

Says whether the device may, by which texts, or which are missing. A subscription is allowed when all of its filter is. DEVICE is NAME or NS/NAME.

  --output, -o json            everything for scripts
${WORLD_HELP}
It speaks of what policies and Devices grant. Whether the broker holds that already, and what keeps a device from connecting at all, says "kubectl hedgerow why".

Exit codes: 0 it may; 1 it may not; 2 it could not be answered, or something could not be read (it is named on stderr) and the answer leaves it out.
`,
  flags: { ...OUTPUT_FLAG, ...WORLD_FLAGS },
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
    else if (answer.allowed) output.out(`allowed: ${title}\n${proofLines(answer.grants, verifier, '  ')}`);
    else output.out(`denied: ${title}\n${missingLines(answer.missing, '  ')}`);
    if (!world.complete) return ERROR;
    return answer.allowed ? 0 : 1;
  },
};
