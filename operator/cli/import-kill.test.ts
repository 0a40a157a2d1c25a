// The plugin as a process, killed in the middle of an import and run again; and how long 10,000 rows take.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const root = mkdtempSync(join(tmpdir(), 'import-kill-'));
afterAll(() => rmSync(root, { recursive: true }));
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

function sheet(name: string, rows: number): string {
  const file = join(root, name);
  const lines = Array.from({ length: rows }, (_, n) => `sensor-${n},office,tmp-2,S${n},EST,${n % 9}\n`);
  writeFileSync(file, `name,segment,model,serial,enrollment,label:floor\n${lines.join('')}`);
  return file;
}

type Ended = { code: number | null; stdout: string; stderr: string };

/** `untilFiles`: killed as soon as the folder holds so many. */
function importing(file: string, out: string, untilFiles?: number): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, 'import', file, '-n', 'berlin', '--out', out], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      ended[name] += text;
    });
  const watch = setInterval(() => {
    if (untilFiles !== undefined && existsSync(out) && readdirSync(out).length >= untilFiles) child.kill('SIGKILL');
  }, 1);
  return new Promise((resolve) =>
    child.on('close', (code) => {
      clearInterval(watch);
      resolve({ ...ended, code });
    }),
  );
}

const digest = (dir: string): string => {
  const hash = createHash('sha256');
  for (const file of readdirSync(dir).sort()) hash.update(`${file}\n${readFileSync(join(dir, file), 'utf8')}`);
  return hash.digest('hex');
};

describe('an import', () => {
  it('that is killed again and again comes to the same end as one that is not', async () => {
    const file = sheet('many.csv', 2_000);
    const [whole, pieces] = [join(root, 'whole'), join(root, 'pieces')];
    expect((await importing(file, whole)).code).toBe(0);
    let killed = 0;
    for (const untilFiles of [1, 150, 151, 700, 1_500]) {
      const { code } = await importing(file, pieces, untilFiles);
      if (code === null) killed++;
      for (const one of readdirSync(pieces)
        .filter((name) => name.endsWith('.yaml'))
        .slice(0, 50))
        expect(readFileSync(join(pieces, one), 'utf8')).toBe(readFileSync(join(whole, one), 'utf8'));
    }
    expect(killed).toBeGreaterThanOrEqual(3);
    const last = await importing(file, pieces);
    // On a machine that has other things to do it says how far it is.
    expect([last.code, last.stderr.replaceAll(/^\d+ of 2000 rows (checked|brought in)\n/gm, '')]).toEqual([0, '']);
    expect(last.stdout).toMatch(/^2000 of 2000 rows in: \d+ new, [1-9]\d* were there already; 0 refused\n$/);
    expect(digest(pieces)).toBe(digest(whole));
  });

  it('of 10,000 rows needs no patience, and less the second time', async () => {
    const file = sheet('fleet.csv', 10_000);
    const out = join(root, 'fleet');
    for (const expected of ['10000 new', '10000 were there already']) {
      const { code, stdout } = await importing(file, out);
      expect([code, stdout]).toEqual([0, expect.stringContaining(expected)]);
    }
    expect(readdirSync(out)).toHaveLength(10_000);
  });
});
