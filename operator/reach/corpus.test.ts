// The answers of another tool, np-guard's netpol-analyzer, through the command as people type it: the same text, byte for byte.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connections } from '../cli/connections.ts';
import { typed } from '../cli/testing/heard.ts';

const CORPUS = join(import.meta.dirname, 'testdata', 'np-guard');
const caseDir = (name: string): string => join(CORPUS, 'cases', name);
const CASES = readdirSync(join(CORPUS, 'cases'));
const DIFFS = readdirSync(join(CORPUS, 'diff')).map((file) => {
  const [, after = '', before = ''] = /^diff_between_(.+)_and_(.+)\.txt$/.exec(file) ?? [];
  return { file, before, after };
});
/** Some of their files end without a line end; ours never does. */
const lines = (...path: string[]): string => readFileSync(join(CORPUS, ...path), 'utf8').replace(/\n?$/, '\n');

describe('the connections of np-guard', () => {
  it('are there', () => expect([CASES.length, DIFFS.length]).toEqual([27, 3]));

  it.each(CASES)('%s', async (name) => {
    const { out, code } = await typed(connections, 'connections', caseDir(name));
    expect(out).toBe(lines('expected', `${name}.txt`));
    expect(code).toBe(0);
  });

  it.each(DIFFS)('$file', async ({ file, before, after }) => {
    const { out, code } = await typed(connections, 'connections', caseDir(before), '--diff', caseDir(after));
    expect(out).toBe(lines('diff', file));
    expect(code).toBe(0);
  });

  it.each(CASES)('%s differs in nothing from itself', async (name) => {
    expect((await typed(connections, 'connections', caseDir(name), '--diff', caseDir(name))).out).toBe('');
  });
});
