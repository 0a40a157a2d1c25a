import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connections } from './connections.ts';
import { typed } from './testing/heard.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-connections-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(file: string, content: string): void {
  mkdirSync(dirname(join(dir, file)), { recursive: true });
  writeFileSync(join(dir, file), content);
}
const POD = (name: string): string => `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {containers: [{name: c}]}}\n`;
const run = (...argv: string[]) => typed(connections, 'connections', ...argv);

describe('kubectl hedgerow connections', () => {
  it('reads every manifest below the directory, YAML and JSON, several in a file, and nothing hidden or linked', async () => {
    write('a.yaml', `${POD('a')}---\n${POD('b')}`);
    write('deep/er/list.json', JSON.stringify({ kind: 'PodList', items: [{ metadata: { name: 'c' }, spec: {} }] }));
    write('.git/d.yaml', POD('d'));
    write('node_modules/x/e.yaml', POD('e'));
    write('notes.txt', POD('f'));
    symlinkSync(join(dir, 'a.yaml'), join(dir, 'link.yaml'));
    symlinkSync(dir, join(dir, 'loop'));
    const { out, err, code } = await run(dir);
    expect(new Set(out.match(/default\/\w+\[Pod\]/g))).toEqual(new Set(['default/a[Pod]', 'default/b[Pod]', 'default/c[Pod]']));
    expect([err, code]).toEqual(['', 0]);
  });

  it('names what does not read, answers by the rest, and ends with 3', async () => {
    write('good.yaml', POD('a'));
    write('template.yaml', 'kind: NetworkPolicy\nspec: {{ .Values.spec }\n');
    write(
      'bomb.yaml',
      `a: &a [x,x]\n${['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((key, at) => `${key}: &${key} [${Array(20).fill(`*${'abcdefghi'[at]}`)}]`).join('\n')}\n`,
    );
    const { out, err, code } = await run(dir);
    expect(out).toContain('default/a[Pod]');
    expect(err).toMatch(/HR-CLI-060: .*template\.yaml/);
    expect(err).toMatch(/HR-CLI-060: .*bomb\.yaml/);
    expect(code).toBe(3);
  });

  it('shows a change, and nothing where there is none', async () => {
    write('before/pods.yaml', `${POD('a')}---\n${POD('b')}`);
    write(
      'after/pods.yaml',
      `${POD('a')}---\n${POD('b')}---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: {podSelector: {}}}\n`,
    );
    const { out, code } = await run(join(dir, 'before'), '--diff', join(dir, 'after'));
    expect(out.split('\n')).toContain(
      'diff-type: removed, source: default/a[Pod], destination: default/b[Pod], ref1: All Connections, ref2: No Connections',
    );
    expect(code).toBe(0);
    expect(await run(join(dir, 'after'), '--diff', join(dir, 'after'))).toEqual({ out: '', err: '', code: 0 });
  });

  it('shows a terminal no character that it would obey', async () => {
    write('evil.yaml', POD('"a\\e[2J"'));
    write(
      'owned.yaml',
      '{kind: Pod, metadata: {name: o, ownerReferences: [{controller: true, name: "o\\e[2J", kind: "K\\e[2J"}]}, spec: {}}\n',
    );
    write('bad.yaml', 'kind: NetworkPolicy\nmetadata: {name: "b\\e[2J"}\nspec: {ingress: 5}\n');
    const { out, err } = await run(dir);
    expect(`${out}${err}`).not.toContain('\u001b');
  });

  it.each([
    ['a directory that is not there', ['/nowhere/at/all'], 1, /HR-CLI-004: \/nowhere\/at\/all \(ENOENT\)/],
    ['no directory', [], 2, /which DIR\?/],
  ])('refuses %s', async (_name, argv, code, expected) => {
    const ran = await run(...argv);
    expect([ran.out, ran.code]).toEqual(['', code]);
    expect(ran.err).toMatch(expected);
  });
});
