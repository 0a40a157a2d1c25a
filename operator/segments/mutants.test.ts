// Mistakes that somebody could make in what evaluates NetworkPolicies, in what makes them and in what says what is meant: put into a copy of the code, each is found. Without that a green comparison proves nothing.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge } from './testing/judge.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CORPUS = join(ROOT, 'operator', 'reach', 'testdata', 'np-guard');
const run = promisify(execFile);
const SOUND = 'sound';

let copy = '';
beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'mutants-'));
  const isCode = (path: string): boolean => !path.includes('testdata') && !path.endsWith('.test.ts');
  await cp(join(ROOT, 'operator'), join(copy, 'operator'), { recursive: true, filter: isCode });
  await cp(join(ROOT, 'package.json'), join(copy, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
}, 60_000);
afterAll(() => rm(copy, { recursive: true, force: true }));

async function verdict(): Promise<string> {
  const script = `
    const { judge } = await import(process.argv[1] + '/operator/segments/testing/judge.ts');
    console.log((await judge(process.argv[2])) ?? '${SOUND}');`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, copy, CORPUS], { cwd: copy, maxBuffer: 1 << 24 });
  return stdout.trim().split('\n').at(-1) ?? '';
}

type Mutant = [mistake: string, file: string, text: string, instead: string];
const MUTANTS: Mutant[] = [
  ['evaluator: either selector of a peer is enough', 'reach/evaluate.ts', 'return there && matches(', 'return there || matches('],
  ['evaluator: an empty list of peers names nobody', 'reach/evaluate.ts', 'rule.peers.length === 0 || rule.peers', 'rule.peers'],
  [
    'evaluator: who is selected by nothing is shut',
    'reach/evaluate.ts',
    'return isClosed(own.pods) ? NOTHING : EVERYTHING',
    'return NOTHING',
  ],
  ['evaluator: egress alone is enough', 'reach/evaluate.ts', "intersection(out, oneWay('ingress', to, from, to))", 'out'],
  [
    'evaluator: a named port is taken in any protocol',
    'reach/evaluate.ts',
    'one.name === port && one.protocol === protocol',
    'one.name === port',
  ],
  ['evaluator: endPort is left out', 'reach/evaluate.ts', 'ports(protocol, port, endPort ?? port)', 'ports(protocol, port, port)'],
  ['evaluator: except is left out', 'reach/network-policy.ts', 'subtract(cidr, except)', '[cidr]'],
  [
    'evaluator: NotIn needs the label',
    'reach/label-selector.ts',
    'return value === undefined || !values.has(value);',
    'return value !== undefined && !values.has(value);',
  ],
  ['emitter: no deny', 'segments/networkpolicy.ts', 'return [...denies, ...allows];', 'return allows;'],
  [
    'emitter: any namespace',
    'segments/networkpolicy.ts',
    'namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: segment.namespace } },\n    podSelector,',
    'namespaceSelector: {},\n    podSelector: {},',
  ],
  [
    'emitter: no protocol',
    'segments/networkpolicy.ts',
    'ports.map(({ protocol, port }) => ({ protocol, port }))',
    'ports.map(({ port }) => ({ port }))',
  ],
  [
    'emitter: pods in quarantine stay in',
    'segments/networkpolicy.ts',
    'const podSelector = without(selector, shut);',
    'const podSelector = selector;',
  ],
  ['model: one key is enough', 'segments/model.ts', 'ports.filter((port) => accepted.has(textOf(port)))', 'ports'],
  ['model: a conduit lasts a moment longer', 'segments/model.ts', 'end <= all.now', 'end < all.now'],
  ['model: somebody opens into trust 0', 'segments/model.ts', 'if (peer.inForce.trust === 0)', 'if (peer.inForce.trust < 0)'],
  ['model: trust 0 is open within', 'segments/model.ts', "spec.intraSegment === 'Allow' && trust > 0", "spec.intraSegment === 'Allow'"],
  ['model: no justification is asked for', 'segments/model.ts', "(conduit.justification ?? '').trim() === ''", 'false'],
  [
    'model: the limit of the namespace is passed by one',
    'segments/accept.ts',
    '(spec.trust ?? 2) <= maxTrust',
    '(spec.trust ?? 2) <= maxTrust + 1',
  ],
  ['intent: one key is enough', 'reach/intent-grants.ts', 'from === a.key && (way === undefined', '(way === undefined'],
  ['intent: the end of a conduit is not seen', 'reach/intent-grants.ts', 'ends > now)', 'ends > 0)'],
];

describe('the code as it is', () => {
  it('is sound', async () => expect(await judge(CORPUS)).toBeUndefined(), 60_000);
  it('is sound as a copy', async () => expect(await verdict()).toBe(SOUND), 60_000);
});

describe('a mistake in the', () => {
  it.each(MUTANTS)(
    '%s: is found',
    async (_mistake, file, text, instead) => {
      const path = join(copy, 'operator', file);
      const before = await readFile(path, 'utf8');
      expect(before.split(text).length, `${JSON.stringify(text)} stands once in ${file}`).toBe(2);
      await writeFile(
        path,
        before.replace(text, () => instead),
      );
      try {
        // A difference by name: that the copy does not run at all would be no proof.
        expect(await verdict()).toMatch(/^(model \d+|np-guard: )/);
      } finally {
        await writeFile(path, before);
      }
    },
    60_000,
  );
});
