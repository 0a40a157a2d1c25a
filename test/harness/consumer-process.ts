// The cloud consumer as an OS process of its own, and its query command.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { freePort, type OperatorProcess, startProgram } from './operator-process.ts';

export type ConsumerOptions = {
  broker: { host: string; port: number; caFile: string };
  tls: { certFile: string; keyFile: string };
  storeFile: string;
  logFile: string;
  extraArgs?: string[];
};

const MAIN = fileURLToPath(new URL('../../cloud/consumer/main.ts', import.meta.url));

/** Resolves when it is subscribed. `pageUrl`: of the page and its data. */
export async function startConsumer(options: ConsumerOptions): Promise<OperatorProcess & { pageUrl: string }> {
  const [pagePort, metricsPort] = [await freePort(), await freePort()];
  const { broker, tls, storeFile, logFile, extraArgs = [] } = options;
  const args = [
    ...['--broker', `${broker.host}:${broker.port}`],
    ...['--broker-ca-file', broker.caFile],
    ...['--tls-cert-file', tls.certFile],
    ...['--tls-key-file', tls.keyFile],
    ...['--store', storeFile],
    ...['--page-port', String(pagePort)],
    ...['--metrics-host', '127.0.0.1'],
    ...['--metrics-port', String(metricsPort)],
    ...extraArgs,
  ];
  const started = await startProgram(MAIN, args, { name: 'the cloud consumer', port: metricsPort, logFile });
  return { ...started, pageUrl: `http://127.0.0.1:${pagePort}` };
}

export type Answered = { code: number; rows: Record<string, unknown>[]; stderr: string };

/** `consumer query`, as a person types it. */
export async function queryStore(storeFile: string, sql: string): Promise<Answered> {
  const child = spawn(process.execPath, [MAIN, 'query', '--store', storeFile, sql], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err]: [string[], string[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => void out.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void err.push(chunk.toString()));
  const code = await new Promise<number>((resolve) => void child.once('close', (status) => resolve(status ?? -1)));
  const lines = out
    .join('')
    .split('\n')
    .filter((line) => line !== '');
  return { code, rows: lines.map((line) => JSON.parse(line) as Record<string, unknown>), stderr: err.join('') };
}
