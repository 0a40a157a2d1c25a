// `kubectl hedgerow token`: one-time secrets with which devices enrol by EST. The cluster gets their hashes; they themselves are shown once.
import { randomBytes } from 'node:crypto';
import type { Device } from '../api/device.ts';
import { durationMs } from '../api/duration.ts';
import { DEVICES } from '../api/resources.ts';
import { freshTokenRecord } from '../est/est.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { withCluster } from './cluster.ts';
import type { Command, Output } from './command.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, TEXT, text } from './flags.ts';
import { inBatches } from './in-batches.ts';
import { type Values, WrongUse } from './parse.ts';
import { createSecretFile } from './secret-file.ts';
import { growingTable } from './table.ts';
import { tokenCommands, tokenRefusal, tokenText } from './token-device.ts';
import { namesIn } from './token-names.ts';
import { storeTokens } from './token-store.ts';

export const token: Command = {
  words: ['token'],
  operands: 'DEVICE',
  summary: 'one-time secrets with which devices enrol by EST, shown once',
  help: `usage: kubectl hedgerow token DEVICE… [--ttl 24h] [--out FILE] [FLAG…]
       kubectl hedgerow token -l SELECTOR | --file NAMES [FLAG…]

Makes a token of 256 bits for each Device that enrols by EST and bootstrap: Token. A token is worth one certificate. The cluster holds its SHA-256 and
its end, in the Secret hedgerow-est-tokens of the namespace; nobody can show it again. A token that the Device had before is worth nothing any more.

  --selector, -l SELECTOR      the Devices with these labels
  --file FILE                  their names, one a line
  --ttl DURATION               how long a token is good for, 1m to 2160h (default: 24h)
  --out FILE                   write them into a new file that only you may read, and not to the terminal
  --output, -o FORM            table, csv (name,token,expires) or json (default: table)
  --explain                    the commands for the device, on stderr
  --est-url URL                where --explain says that the EST server is (default: https://est.example.org)
${CLUSTER_HELP}
Your own rights are used: get on devices (with -l, or for more than 50, list), patch on the secret hedgerow-est-tokens, and create on secrets where there is
none yet. With get on that secret, tokens that expired a day ago are taken out.

Exit codes: 0 every Device has its token; 1 one was refused (the others have theirs) or nothing could be done; 2 wrong use.
`,
  flags: {
    selector: { type: 'string', short: 'l' },
    file: TEXT,
    ttl: TEXT,
    out: TEXT,
    output: { type: 'string', short: 'o' },
    explain: { type: 'boolean' },
    'est-url': TEXT,
    ...CLUSTER_FLAGS,
  },
  async run(values, output) {
    const names = values.DEVICE as readonly string[];
    const [selector, file] = [text(values, 'selector'), text(values, 'file')];
    if ([names.length > 0, selector !== undefined, file !== undefined].filter(Boolean).length !== 1)
      throw new WrongUse('which devices? Name them, or use --selector, or --file');
    const wish = { ...wishOf(values), names: file === undefined ? names : await namesIn(file), selector };
    return withCluster(values, (client, namespace) =>
      giveTokens({ client, clock: systemClock, output, random: randomBytes }, namespace, wish),
    );
  },
};

export type TokenWish = {
  names: readonly string[];
  selector: string | undefined;
  ttlMs: number;
  out: string | undefined;
  form: Form;
  /** For --explain. */
  estUrl: string | undefined;
};
type Form = 'table' | 'csv' | 'json';
type Deps = {
  client: Pick<KubeClient, 'get' | 'list' | 'create' | 'mergePatch'>;
  clock: Clock;
  output: Output;
  random: (bytes: number) => Buffer;
};
type Row = { name: string; token: string; expires: string };

const TOKEN_BYTES = 32;

/** Stored first and shown then: what was shown works. */
export async function giveTokens({ client, clock, output, random }: Deps, namespace: string, wish: TokenWish): Promise<number> {
  const found = await devicesOf(client, namespace, wish);
  if (found.length === 0) output.err(`no devices in ${namespace} have these labels\n`);
  const good: Device[] = [];
  let refused = 0;
  for (const { name, device } of found) {
    const refusal = tokenRefusal(device, `${namespace}/${name}`);
    if (refusal === undefined && device !== undefined) good.push(device);
    else {
      refused++;
      output.err(`${refusal}\n`);
    }
  }
  if (good.length === 0) return 1;
  const expires = clock.now() + wish.ttlMs;
  const rows = good.map(
    ({ metadata }): Row => ({ name: metadata.name ?? '', token: tokenText(random(TOKEN_BYTES)), expires: seconds(expires) }),
  );
  const records = new Map(rows.map(({ name, token }) => [name, freshTokenRecord(token, Date.parse(seconds(expires)))]));
  const text = FORMS[wish.form](rows);
  if (wish.out === undefined) {
    await storeTokens({ client, clock }, namespace, records);
    output.out(text);
  } else {
    // The file first: tokens that are stored and cannot be written down would be lost.
    const file = await createSecretFile(wish.out, text);
    await storeTokens({ client, clock }, namespace, records).catch(async (error: unknown) => {
      await file.remove();
      throw error;
    });
    output.err(`${rows.length} token${rows.length === 1 ? '' : 's'} written to ${wish.out}\n`);
  }
  if (wish.estUrl !== undefined) for (const device of good) output.err(`\n${tokenCommands(device, wish.estUrl)}`);
  return refused === 0 ? 0 : 1;
}

/** Above this, one list costs the API server less than the calls. */
const MOST_GETS = 50;

async function devicesOf(client: Deps['client'], namespace: string, { names, selector }: TokenWish) {
  if (selector === undefined && names.length <= MOST_GETS) {
    const found: { name: string; device: Device | undefined }[] = [];
    const one = async (name: string) => ({ name, device: await client.get<Device>(DEVICES, { name, namespace }) });
    await inBatches(unique(names), async (batch) => void found.push(...(await Promise.all(batch.map(one)))));
    return found;
  }
  const listed = await client.list<Device>(DEVICES, { namespace, ...(selector === undefined ? {} : { labelSelector: selector }) });
  if (selector !== undefined) return listed.map((device) => ({ name: device.metadata.name ?? '', device }));
  const byName = new Map(listed.map((device) => [device.metadata.name, device]));
  return unique(names).map((name) => ({ name, device: byName.get(name) }));
}

const unique = (names: readonly string[]): string[] => [...new Set(names)];
const seconds = (ms: number): string => new Date(ms).toISOString().replace(/[.]\d+Z$/, 'Z');

const FORMS: Record<Form, (rows: readonly Row[]) => string> = {
  table: (rows) => growingTable(['NAME', 'TOKEN', 'EXPIRES'])(rows.map(({ name, token, expires }) => [name, token, expires])),
  // None of the three can hold a comma or a quote.
  csv: (rows) => `name,token,expires\n${rows.map(({ name, token, expires }) => `${name},${token},${expires}\n`).join('')}`,
  json: (rows) => `${JSON.stringify(rows, undefined, 2)}\n`,
};

const LEAST_TTL_MS = 60_000;
const MOST_TTL_MS = 2_160 * 3_600_000;

export function ttlOf(values: Values): number {
  const typed = text(values, 'ttl') ?? '24h';
  const ms = durationMs(typed);
  if (ms === undefined) throw new WrongUse(`--ttl ${typed} is no duration such as 24h`);
  if (ms < LEAST_TTL_MS || ms > MOST_TTL_MS) throw new WrongUse(`--ttl ${typed}: at least 1m and at most 2160h (90 days)`);
  return ms;
}

function wishOf(values: Values): Omit<TokenWish, 'names' | 'selector'> {
  const form = text(values, 'output') ?? 'table';
  if (!Object.hasOwn(FORMS, form)) throw new WrongUse(`--output ${form}: table, csv or json`);
  return {
    ...{ form: form as Form, ttlMs: ttlOf(values), out: text(values, 'out') },
    estUrl: values.explain === true ? estUrlOf(values) : undefined,
  };
}

function estUrlOf(values: Values): string {
  const url = text(values, 'est-url') ?? 'https://est.example.org';
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') throw new WrongUse(`--est-url ${url} is no https URL`);
  return url;
}
