// Whether this copy of the code still says the truth: the models of three segments, and the answers of another tool to its own examples. What mutants are held against.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connections } from '../../cli/connections.ts';
import { typed } from '../../cli/testing/heard.ts';
import { compare } from './small-model.ts';

/** The first thing that is wrong, or undefined. `corpus`: where the examples are. */
export async function judge(corpus: string): Promise<string | undefined> {
  // 7 is prime to the number of variants, so all of them take part.
  const [wrong] = compare(7).different;
  if (wrong !== undefined) return wrong;
  for (const name of readdirSync(join(corpus, 'cases'))) {
    const { out } = await typed(connections, 'connections', join(corpus, 'cases', name));
    const expected = readFileSync(join(corpus, 'expected', `${name}.txt`), 'utf8').replace(/\n?$/, '\n');
    if (out !== expected) return `np-guard: ${name}`;
  }
  return undefined;
}
