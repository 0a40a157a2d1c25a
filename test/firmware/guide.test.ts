// The examples of docs/guides/firmware-trust.md, typed into a shell one after the other: what comes out is what stands below them, but for hashes and days.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../harness/manifests.ts';

const page = readFileSync(join(ROOT, 'docs', 'guides', 'firmware-trust.md'), 'utf8');
const examples = [...page.matchAll(/^```\n\$ (kubectl hedgerow (?:[^\n]*\\\n)*[^\n]*)\n([\s\S]*?)^```/gm)].map(
  ([, command = '', output = '']) => ({
    command,
    output,
  }),
);
/** Sixteen processes, one after the other. */
const SLOW_MS = 300_000;

let dir: string;
let path: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-firmware-guide-'));
  writeFileSync(join(dir, 'kubectl'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(ROOT, 'bin', 'kubectl-hedgerow.mjs')}" "$@"\n`);
  chmodSync(join(dir, 'kubectl'), 0o755);
  path = [dir, dirname(process.execPath), process.env.PATH ?? ''].join(':');
  for (const name of ['anna', 'ben', 'cleo', 'dora'])
    execFileSync('kubectl', ['hedgerow', 'firmware', 'keygen', name], { cwd: dir, env: { PATH: path } });
  writeFileSync(join(dir, 'cam-2.4.0.bin'), Buffer.alloc(1_312_496));
  writeFileSync(join(dir, 'release.yaml'), /^```yaml\n(component[\s\S]*?)^```/m.exec(page)?.[1] ?? '');
}, SLOW_MS);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the guide to trust in firmware', () => {
  it('has its examples', () => expect(examples.length).toBe(12));

  it(
    'shows what is printed',
    () => {
      for (const { command, output } of examples) {
        const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', here(command)], { cwd: dir, env: { PATH: path }, encoding: 'utf8' });
        expect(plain(`${stderr}${stdout}`), command).toEqual(plain(output));
      }
    },
    SLOW_MS,
  );
});

/** With the digest and the key of this run. */
function here(command: string): string {
  if (command.includes('--pin')) return command.replace(/(?<=--pin )[0-9a-f]{64}/, sha256(readFileSync(join(dir, 'roots', '1.root.json'))));
  if (!command.includes('--remove-root-key')) return command;
  const { keys } = JSON.parse(readFileSync(join(dir, 'roots', '1.root.json'), 'utf8')).signed as {
    keys: Record<string, { keyval: { public: string } }>;
  };
  const ben = execFileSync('openssl', ['pkey', '-pubin', '-in', 'ben.pub', '-outform', 'DER'], { cwd: dir }).subarray(-32).toString('hex');
  const [id = ''] = Object.entries(keys).find(([, { keyval }]) => keyval.public === ben) ?? [];
  return command.replace(/(?<=--remove-root-key )[0-9a-f]+/, id.slice(0, 16));
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const plain = (text: string): string[] =>
  text
    .replaceAll(/\b[0-9a-f]{16,64}\b/g, 'HEX')
    .replaceAll(/\b20\d\d-\d\d-\d\d\b/g, 'DAY')
    .split('\n');
