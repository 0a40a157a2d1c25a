// `kubectl hedgerow import`: a fleet out of a spreadsheet.
import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemClock } from '../runtime/clock.ts';
import { withCluster } from './cluster.ts';
import type { Command } from './command.ts';
import { CliError } from './errors.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, required, TEXT, text } from './flags.ts';
import { MOST_FILE_BYTES } from './import-csv.ts';
import { readBeside } from './import-files.ts';
import { type ImportWish, runImport } from './import-run.ts';
import { type Values, WrongUse } from './parse.ts';
import { ttlOf } from './token.ts';

const FLAG = { type: 'boolean' } as const;

export const importFleet: Command = {
  words: ['import'],
  operand: 'FILE',
  summary: 'a fleet out of a CSV file: manifests, requests, tokens; again and again until all of it is in',
  help: `usage: kubectl hedgerow import FILE.csv [--out DIR] [--apply] [--csr | --token] [FLAG…]

Makes a Device of each row. Rows that are not good are named with their line, a code and its cure; the others go through. It may be run again, also after it
was killed: what is done is found and left alone. Without --out and --apply the manifests go to stdout.

The first line names the columns: name and segment, and of model, revision, serial, enrollment (CSR, EST, Managed, Existing), bootstrap (Token, Manufacturer),
csr_file, certificate_file, secret_name, duration, renew_before, offline_budget and label:KEY those that are needed. An empty cell says nothing.

  --out DIR                    a manifest NAME.yaml for each device
  --apply                      make the Devices in the cluster
  --csr                        rows that name no enrollment are CSR (the default); the request is in csr_file, or NAME.csr
  --token                      rows that name no enrollment are EST by token; every row that is gets one, in DIR/tokens.csv (needs --out)
  --ttl DURATION               how long a token is good for, 1m to 2160h (default: 24h)
  --files DIR                  the folder of requests and certificates (default: that of FILE)
  --replace                    rows count where a manifest or a Device says something else (default: such rows are refused)
  --dry-run                    judge everything, with --apply also by the API server, and write nothing
${CLUSTER_HELP}
Without --apply and --token no cluster is asked, and --namespace is needed. Your own rights are used: --apply list and create on devices (with --replace also
patch), --token list on devices, get and patch on the secret hedgerow-est-tokens, and create on secrets where there is none yet.

Exit codes: 0 every row is in; 1 at least one is not; 2 wrong use.
`,
  flags: {
    ...{ out: TEXT, apply: FLAG, csr: FLAG, token: FLAG, ttl: TEXT, files: TEXT, replace: FLAG, 'dry-run': FLAG },
    ...CLUSTER_FLAGS,
  },
  async run(values, output) {
    const wish = wishOf(values);
    const file = required(values, 'FILE');
    const bytes = await bytesOf(file);
    const read = readBeside(text(values, 'files') ?? dirname(file));
    const deps = { clock: systemClock, output, random: randomBytes };
    if (!wish.apply && wish.tokenMs === undefined)
      return runImport({ ...deps, client: undefined }, { ...wish, bytes, read, namespace: required(values, 'namespace') });
    return withCluster(values, (client, namespace) => runImport({ ...deps, client }, { ...wish, bytes, read, namespace }));
  },
};

function wishOf(values: Values): Omit<ImportWish, 'bytes' | 'read' | 'namespace'> {
  const [isCsr, isToken] = [values.csr === true, values.token === true];
  const out = text(values, 'out');
  if (isCsr && isToken) throw new WrongUse('--csr and --token contradict each other');
  if (isToken && out === undefined) throw new WrongUse('--token needs --out: tokens go into a file that only you may read');
  if (values.ttl !== undefined && !isToken) throw new WrongUse('--ttl goes with --token');
  return {
    ...{ out, apply: values.apply === true, dryRun: values['dry-run'] === true, replace: values.replace === true },
    enrollment: isToken ? 'EST' : isCsr ? 'CSR' : undefined,
    tokenMs: isToken ? ttlOf(values) : undefined,
  };
}

async function bytesOf(file: string): Promise<Buffer> {
  try {
    if ((await stat(file)).size > MOST_FILE_BYTES) throw new CliError('HR-CLI-050', `${file} is larger than 64 MiB`);
    return await readFile(file);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError('HR-CLI-004', `${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}
