// An import from its first line to its last: what is good goes through, what is not is named with its line, and a second run finds what the first one did.
import type { Device } from '../api/device.ts';
import type { Clock } from '../runtime/clock.ts';
import { printable } from './adoption-text.ts';
import type { Output } from './command.ts';
import { CliError } from './errors.ts';
import { withoutTwins } from './import-checks.ts';
import { applyDevice, devicesOf, type ImportClient } from './import-cluster.ts';
import { type RowProblem, readSheet, type Sheet } from './import-csv.ts';
import { makeFolder, manifestText, type Written, writeManifest } from './import-files.ts';
import { type Imported, importRow, type ReadBeside } from './import-row.ts';
import { importTokens } from './import-tokens.ts';
import { inBatches } from './in-batches.ts';

export type ImportWish = {
  bytes: Buffer;
  namespace: string;
  enrollment: 'CSR' | 'EST' | undefined;
  /** Folder of the manifests and tokens; undefined: manifests go to stdout, unless they are applied. */
  out: string | undefined;
  apply: boolean;
  dryRun: boolean;
  replace: boolean;
  /** How long a token is good for; undefined: none are made. */
  tokenMs: number | undefined;
  read: ReadBeside;
};
/** `client`: absent where no cluster is asked. */
export type ImportDeps = { client: ImportClient | undefined; clock: Clock; output: Output; random: (bytes: number) => Buffer };

type Progress = (done: number, of: number, what: string) => void;

/** 0 when every row is in, 1 otherwise. */
export async function runImport(deps: ImportDeps, wish: ImportWish): Promise<number> {
  const sheet = readSheet(wish.bytes);
  if (typeof sheet === 'string') throw new Error(sheet);
  const live = deps.client === undefined ? new Map<string, Device>() : await devicesOf(deps.client, wish.namespace);
  const progress = progressOf(deps);
  const { good, problems } = await judged(sheet, wish, live, deps.clock, progress);
  if (wish.out !== undefined && !wish.dryRun) await makeFolder(wish.out);
  const sum = { new: 0, there: 0 };
  const inNow: Imported[] = [];
  let done = 0;
  await inBatches(good, async (batch) => {
    await Promise.all(
      batch.map(async (row) => {
        const result = await bringIn(deps, wish, row, live.get(row.device.metadata.name));
        if (typeof result === 'object') problems.push({ line: row.line, name: row.device.metadata.name, problem: result.problem });
        else {
          sum[result]++;
          inNow.push(row);
        }
      }),
    );
    done += batch.length;
    progress(done, good.length, 'brought in');
  });
  if (wish.out === undefined && !wish.apply && !wish.dryRun) deps.output.out(good.map(({ device }) => manifestText(device)).join('---\n'));
  const tokens = await tokensFor(deps, wish, inNow, live);
  return concluded(deps.output, wish, sheet, problems, sum, tokens);
}

async function judged(sheet: Sheet, wish: ImportWish, live: ReadonlyMap<string, Device>, clock: Clock, progress: Progress) {
  const read: Imported[] = [];
  const problems: RowProblem[] = [...sheet.problems];
  let done = 0;
  await inBatches(sheet.rows, async (batch) => {
    const results = await Promise.all(batch.map((row) => importRow(row, wish, wish.read, clock.now())));
    for (const [at, result] of results.entries()) {
      const row = batch[at];
      if (!('problem' in result)) read.push(result);
      else if (row !== undefined) problems.push({ line: row.line, name: row.cells.get('name') ?? '', problem: result.problem });
    }
    done += batch.length;
    progress(done, sheet.rows.length, 'checked');
  });
  const { good, problems: twins } = withoutTwins(read, live);
  return { good, problems: [...problems, ...twins] };
}

/** The file first: with Git in charge it is what counts. */
async function bringIn({ client }: ImportDeps, wish: ImportWish, { device }: Imported, there: Device | undefined): Promise<Written> {
  const how = { replace: wish.replace, write: !wish.dryRun };
  const file = wish.out === undefined ? undefined : await writeManifest(wish.out, device.metadata.name, manifestText(device), how);
  if (typeof file === 'object') return file;
  const object = wish.apply && client !== undefined ? await applyDevice(client, device, there, how) : undefined;
  if (typeof object === 'object') return object;
  return file === 'new' || object === 'new' || (file ?? object) === undefined ? 'new' : 'there';
}

/** Who has a certificate needs no token. */
async function tokensFor(
  deps: ImportDeps,
  wish: ImportWish,
  rows: readonly Imported[],
  live: ReadonlyMap<string, Device>,
): Promise<number> {
  const { client, clock, random } = deps;
  const { out, tokenMs, namespace } = wish;
  if (client === undefined || out === undefined || tokenMs === undefined || wish.dryRun) return 0;
  const names = rows
    .filter(({ device }) => device.spec.identity?.enrollment === 'EST' && device.spec.identity.est?.bootstrap === 'Token')
    .map(({ device }) => device.metadata.name)
    .filter((name) => live.get(name)?.status?.identity === undefined)
    .sort();
  return importTokens({ client, clock }, { dir: out, namespace, names, ttlMs: tokenMs, random });
}

function concluded(
  { out, err }: Output,
  wish: ImportWish,
  sheet: Sheet,
  problems: readonly RowProblem[],
  sum: { new: number; there: number },
  tokens: number,
): number {
  for (const { line, name, problem } of problems.toSorted((a, b) => a.line - b.line))
    err(`line ${line}${name === '' ? '' : `, ${printable(name.slice(0, 80))}`}: ${problem}\n`);
  const all = sheet.rows.length + sheet.problems.length;
  const would = wish.dryRun ? ' would be' : '';
  const toStdout = wish.out === undefined && !wish.apply && !wish.dryRun;
  const text = `${sum.new + sum.there} of ${all} rows${would} in: ${sum.new} new, ${sum.there} were there already; ${problems.length} refused${tokens === 0 ? '' : `; ${tokens} new tokens in tokens.csv`}\n`;
  (toStdout ? err : out)(text);
  if (all === 0) throw new CliError('HR-CLI-050', 'it has no rows');
  return problems.length === 0 ? 0 : 1;
}

const SAY_EVERY_MS = 5_000;

function progressOf({ clock, output }: ImportDeps): Progress {
  let saidAt = clock.elapsed();
  return (done, of, what) => {
    if (clock.elapsed() - saidAt < SAY_EVERY_MS) return;
    saidAt = clock.elapsed();
    output.err(`${done} of ${of} rows ${what}\n`);
  };
}
