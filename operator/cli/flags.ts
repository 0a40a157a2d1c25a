// The flags that commands share, and how their values are read.
import { readFile } from 'node:fs/promises';
import { CliError } from './errors.ts';
import { type Values, WrongUse } from './parse.ts';

export const TEXT = { type: 'string' } as const;
/** A flag that may be given again and again. */
export const TEXTS = { type: 'string', multiple: true } as const;

/** Where the chart puts the operator, and with it the ledger. */
export const LEDGER_NAMESPACE = 'hedgerow-system';

export const CLUSTER_FLAGS = {
  namespace: { type: 'string', short: 'n' },
  kubeconfig: TEXT,
  context: TEXT,
  help: { type: 'boolean', short: 'h' },
} as const;

export const BROKER_FLAGS = { 'broker-url': TEXT, 'broker-api-key-file': TEXT, 'broker-ca-file': TEXT } as const;

export const OUTPUT_FLAG = { output: { type: 'string', short: 'o' } } as const;

export const CLUSTER_HELP = `  --namespace, -n NS           (default: the kubeconfig's current one)
  --kubeconfig FILE            (default: KUBECONFIG, else ~/.kube/config)
  --context NAME               (default: the kubeconfig's current one)
`;

export const BROKER_HELP = `  --broker-url URL             EMQX's REST API, https://host:18083; a key of the role viewer is enough
  --broker-api-key-file FILE   a file holding key:secret
  --broker-ca-file FILE        CA of the REST API's certificate (default: the system's)
`;

export type BrokerAddress = { url: string; apiKeyFile: string; caFile: string | undefined };

export function requiredBroker(values: Values): BrokerAddress {
  const url = required(values, 'broker-url').replace(/\/+$/, '');
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol))
    throw new WrongUse(`--broker-url ${url} is no http or https URL`);
  if (parsed.username !== '' || parsed.password !== '')
    throw new WrongUse('--broker-url must not hold credentials: command lines are visible; use --broker-api-key-file');
  return { url, apiKeyFile: required(values, 'broker-api-key-file'), caFile: text(values, 'broker-ca-file') };
}

/** Undefined where no flag of the broker is given: then nobody asks it. Its files are seen to be readable. */
export async function optionalBroker(values: Values): Promise<BrokerAddress | undefined> {
  if (Object.keys(BROKER_FLAGS).every((flag) => values[flag] === undefined)) return undefined;
  const broker = requiredBroker(values);
  await readable(broker.apiKeyFile, broker.caFile);
  return broker;
}

export async function readable(...files: (string | undefined)[]): Promise<void> {
  for (const file of files) {
    if (file === undefined) continue;
    await readFile(file).catch((error: NodeJS.ErrnoException) => {
      throw new CliError('HR-CLI-004', `${file} (${error.code ?? 'unknown'})`);
    });
  }
}

/** Whether -o json was asked for; nothing else is known. */
export function wantsJson(values: Values): boolean {
  const output = text(values, 'output');
  if (output === undefined || output === 'json') return output === 'json';
  throw new WrongUse(`--output ${output}: only json`);
}

export const text = (values: Values, name: string): string | undefined =>
  typeof values[name] === 'string' ? (values[name] as string) : undefined;

export const texts = (values: Values, name: string): readonly string[] =>
  Array.isArray(values[name]) ? (values[name] as readonly string[]) : [];

export function required(values: Values, name: string): string {
  const value = text(values, name);
  if (value === undefined || value === '') throw new WrongUse(`--${name} is required`);
  return value;
}
