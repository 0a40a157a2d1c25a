// `npm run generate`: writes everything that follows from operator/api and the rooms' tables of errors. With `--check` it writes nothing, names the files that
// differ and ends with 1.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { differences, type Files, repair } from './generate/files.ts';
import { manifestFiles } from './generate/manifests.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OWNED = ['crds', 'crds/admission', 'charts/hedgerow/crds', 'charts/hedgerow/admission'];

const check = process.argv.includes('--check');
const files: Files = new Map([...manifestFiles()]);
const found = differences(ROOT, files, OWNED);
for (const { file, why } of found) console.log(check ? `${file}: ${why}` : `${why === 'left over' ? 'removed' : 'wrote'} ${file}`);
if (found.length === 0) console.log(`${files.size} generated files are as they should be`);
else if (check) {
  console.log('run `npm run generate` and commit what it writes');
  process.exitCode = 1;
} else repair(ROOT, files, found);
