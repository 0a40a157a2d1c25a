// `npm run generate`: writes everything that follows from operator/api and the rooms' tables of errors. With `--check` it writes nothing, names the files that
// differ and ends with 1.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KINDS } from '../operator/api/kinds.ts';
import { statementSchema } from '../operator/firmware/statement.ts';
import { ERROR_TABLES, errorParts } from './generate/errors.ts';
import { differences, type Files, repair } from './generate/files.ts';
import { manifestFiles } from './generate/manifests.ts';
import { fillMarkers } from './generate/markers.ts';
import { kindParts } from './generate/reference.ts';
import { plainSchema } from './generate/schema-file.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** Folders whose `.yaml` files are all generated. */
const OWNED = ['crds', 'crds/admission', 'charts/hedgerow/crds', 'charts/hedgerow/admission'];
const PAGES = 'docs/reference';

const check = process.argv.includes('--check');
const files: Files = new Map([
  ...manifestFiles(),
  ...pages(),
  [`${PAGES}/firmware-statement.schema.json`, plainSchema('https://hedgerow.dev/firmware-release/v1', statementSchema)],
]);
const found = differences(ROOT, files, OWNED);
for (const { file, why } of found) console.log(check ? `${file}: ${why}` : `${why === 'left over' ? 'removed' : 'wrote'} ${file}`);
if (found.length === 0) console.log(`${files.size} generated files are as they should be`);
else if (check) {
  console.log('run `npm run generate` and commit what it writes');
  process.exitCode = 1;
} else repair(ROOT, files, found);

/** `SegmentPolicy` is described in docs/reference/segment-policy.md. */
function pages(): [string, string][] {
  const parts = KINDS.map((kind): [string, Map<string, string>] => [
    `${PAGES}/${kind.resource.kind.replaceAll(/(?<=[a-z])[A-Z]/g, '-$&').toLowerCase()}.md`,
    kindParts(kind),
  ]);
  parts.push([`${PAGES}/errors.md`, errorParts(ERROR_TABLES)]);
  return parts.map(([file, generated]) => [file, fillMarkers(readFileSync(join(ROOT, file), 'utf8'), file, generated)]);
}
