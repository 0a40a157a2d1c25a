#!/usr/bin/env node
// kubectl's plugin from the tree: `kubectl hedgerow …` and `npx kubectl-hedgerow …`.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../scripts/run.mjs';

const main = join(dirname(dirname(fileURLToPath(import.meta.url))), 'operator', 'cli', 'main.ts');
run(main, process.argv.slice(2)).catch((error) => {
  console.error(`kubectl-hedgerow: ${error.message}`);
  process.exit(1);
});
