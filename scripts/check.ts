// `npm run check`: format, lint, types, layers, unused code, generated files. Runs all of them and then says which failed, so that one run shows everything.
import { spawnSync } from 'node:child_process';

const CHECKS: readonly (readonly [name: string, script: string, args: readonly string[]])[] = [
  ['format and lint', 'node_modules/@biomejs/biome/bin/biome', ['ci', '--error-on-warnings', '.']],
  ['types', 'node_modules/typescript/bin/tsc', ['-p', '.', '--noEmit']],
  ['layers', 'node_modules/vitest/vitest.mjs', ['run', '--project', 'unit', 'test/layers']],
  ['unused code', 'node_modules/knip/bin/knip.js', []],
  ['generated files', 'scripts/generate.ts', ['--check']],
];

const failed: string[] = [];
for (const [name, script, args] of CHECKS) {
  const startedAt = performance.now();
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.log(`\n${failed.length} of ${CHECKS.length} checks failed: ${failed.join(', ')}`);
  process.exit(1);
}
