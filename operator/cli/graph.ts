// `kubectl hedgerow graph`: segments and what is between them as a picture.
import { graphText } from '../reach/reach.ts';
import { fleetLines } from './broker-lines.ts';
import { RULES_FLAGS, RULES_HELP } from './broker-rules.ts';
import type { Command } from './command.ts';
import { TEXT, text } from './flags.ts';
import { WrongUse } from './parse.ts';
import { ERROR, readWorld, WORLD_FLAGS, WORLD_HELP } from './world.ts';

export const graph: Command = {
  words: ['graph'],
  failed: ERROR,
  summary: 'segments and what SegmentPolicies grant between them, as Mermaid for Markdown or as SVG',
  help: `usage: kubectl hedgerow graph [--format mermaid|svg] [--dir DIR] [--acl FILE | --broker-url URL] [FLAG…]

Every segment with its trust and its devices, and every way between two of them that both grant: ports drawn through, topics dashed. The same fleet gives the same text.

  --format mermaid|svg         (default: mermaid)
${RULES_HELP}${WORLD_HELP}
With --acl or --broker-url topics are those that the broker's own rules let through; it says at each whether no policy grants it, and of what policies grant whether it is not in force there.

Exit codes: 0 drawn; 2 it could not be, or something could not be read (it is named on stderr) and is not in the picture; so it is where a rule at the broker is not understood and may let something through.
`,
  flags: { format: TEXT, ...RULES_FLAGS, ...WORLD_FLAGS },
  async run(values, output) {
    const format = text(values, 'format') ?? 'mermaid';
    if (format !== 'mermaid' && format !== 'svg') throw new WrongUse(`--format ${format}: mermaid or svg`);
    const world = await readWorld(values, output);
    output.out(graphText(world.verifier, format));
    return fleetLines(world.verifier, output) && world.complete ? 0 : ERROR;
  },
};
