// The examples of docs/guides/firmware-trust.md, typed one after the other: what comes out is what stands below them, but for hashes and days.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publicKeyFrom } from '../firmware/firmware.ts';
import { runCli } from './cli.ts';
import { firmwareKeygen } from './firmware-keygen.ts';
import { rootChange, rootInit, rootShow, rootSign } from './firmware-root.ts';
import { firmwareSign } from './firmware-sign.ts';
import { firmwareVerify } from './firmware-verify.ts';
import { listen } from './testing/heard.ts';

const COMMANDS = [firmwareKeygen, rootInit, rootChange, rootSign, rootShow, firmwareSign, firmwareVerify];
const page = readFileSync(fileURLToPath(new URL('../../docs/guides/firmware-trust.md', import.meta.url)), 'utf8');
const examples = [...page.matchAll(/^```\n\$ kubectl hedgerow ((?:[^\n]*\\\n)*[^\n]*)\n([\s\S]*?)^```/gm)].map(
  ([, typed = '', output = '']) => ({
    words: typed.replaceAll('\\\n', ' ').trim().split(/ +/),
    output,
  }),
);
const before = process.cwd();
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-firmware-guide-'));
  // The page names files as a person in that folder does. Vitest gives each file a process of its own.
  process.chdir(dir);
  for (const name of ['anna', 'ben', 'cleo', 'dora']) await said(['firmware', 'keygen', name]);
  writeFileSync('cam-2.4.0.bin', Buffer.alloc(1_312_496));
  writeFileSync('release.yaml', /^```yaml\n(component[\s\S]*?)^```/m.exec(page)?.[1] ?? '');
});
afterAll(() => {
  process.chdir(before);
  rmSync(dir, { recursive: true, force: true });
});

describe('the guide to trust in firmware', () => {
  it('has its examples, one of each command', () => {
    const names = new Set(examples.map(({ words }) => words.slice(0, words[1] === 'root' ? 3 : 2).join(' ')));
    expect([...names].sort()).toEqual(COMMANDS.map(({ words }) => words.join(' ')).sort());
  });

  it('shows what is printed', async () => {
    for (const { words, output } of examples) expect(plain(await said(words.map(ofThisRun))), words.join(' ')).toEqual(plain(output));
  });
});

async function said(words: readonly string[]): Promise<string> {
  const { heard, output } = listen();
  await runCli(COMMANDS, words, output);
  return heard.err + heard.out;
}

/** The digest and the key that the page cannot know. */
function ofThisRun(word: string, at: number, words: readonly string[]): string {
  if (words[at - 1] === '--pin') return createHash('sha256').update(readFileSync('roots/1.root.json')).digest('hex');
  if (words[at - 1] !== '--remove-root-key') return word;
  const ben = publicKeyFrom(readFileSync('ben.pub', 'utf8'));
  return ben.ok ? ben.value.keyid.slice(0, 16) : word;
}

const plain = (text: string): string[] =>
  text
    .replaceAll(/\b[0-9a-f]{16,64}\b/g, 'HEX')
    .replaceAll(/\b20\d\d-\d\d-\d\d\b/g, 'DAY')
    .split('\n');
