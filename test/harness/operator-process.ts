// The operator as an OS process of its own, under the ServiceAccount token and roles of the chart, never as admin.
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { waitFor } from './wait.ts';

export type OperatorOptions = {
  kubeconfig: string;
  namespace: string;
  broker: { restUrl: string; restCaFile: string; apiKeyFile: string };
  /** `Kind/namespace/name` or `ClusterIssuer/name` */
  defaultIssuer: string;
  logFile: string;
  extraArgs?: string[];
};

export type OperatorProcess = {
  readonly pid: number;
  readonly metricsUrl: string;
  /** Resolves to the exit code (or 128 + signal number) once the process is gone. */
  readonly exited: Promise<number>;
  stop(): Promise<number>;
  kill(): Promise<number>;
};

const MAIN = fileURLToPath(new URL('../../operator/main.ts', import.meta.url));

/** Starts the operator and resolves when `/readyz` answers 200. Rejects when it exits first. */
export async function startOperator(options: OperatorOptions): Promise<OperatorProcess> {
  const port = await freePort();
  const args = [
    ...['--kubeconfig', options.kubeconfig],
    ...['--namespace', options.namespace],
    ...['--default-issuer', options.defaultIssuer],
    ...['--broker-url', options.broker.restUrl],
    ...['--broker-ca-file', options.broker.restCaFile],
    ...['--broker-api-key-file', options.broker.apiKeyFile],
    ...['--metrics-port', String(port)],
    ...(options.extraArgs ?? []),
  ];
  return await startMain(args, port, options.logFile);
}

export type EstOptions = {
  kubeconfig: string;
  namespace: string;
  defaultIssuer: string;
  tls: { certFile: string; keyFile: string };
  deviceCaFile: string;
  /** Another one each time unless it is told. */
  port?: number;
  logFile: string;
  extraArgs?: string[];
};

/** Starts `operator est`; it serves as soon as this resolves. */
export async function startEst(options: EstOptions): Promise<OperatorProcess & { port: number }> {
  const [port, metricsPort] = [options.port ?? (await freePort()), await freePort()];
  const args = [
    'est',
    ...['--kubeconfig', options.kubeconfig],
    ...['--namespace', options.namespace],
    ...['--default-issuer', options.defaultIssuer],
    ...['--tls-cert-file', options.tls.certFile],
    ...['--tls-key-file', options.tls.keyFile],
    ...['--device-ca-file', options.deviceCaFile],
    ...['--host', '127.0.0.1'],
    ...['--port', String(port)],
    ...['--metrics-port', String(metricsPort)],
    ...(options.extraArgs ?? []),
  ];
  return { ...(await startMain(args, metricsPort, options.logFile)), port };
}

export type CrlOptions = {
  kubeconfig: string;
  namespace: string;
  /** `Issuer/NAMESPACE/NAME` */
  issuers: readonly string[];
  /** Distribution points name it, so it is the same after a restart. */
  port: number;
  logFile: string;
};

/** Starts `operator crl`; it serves every list that it can make as soon as this resolves. */
export async function startCrl(options: CrlOptions): Promise<OperatorProcess> {
  const metricsPort = await freePort();
  const args = [
    'crl',
    ...['--kubeconfig', options.kubeconfig],
    ...['--namespace', options.namespace],
    ...options.issuers.flatMap((issuer) => ['--issuer', issuer]),
    ...['--host', '127.0.0.1'],
    ...['--port', String(options.port)],
    ...['--metrics-port', String(metricsPort)],
  ];
  return await startMain(args, metricsPort, options.logFile);
}

function startMain(args: string[], port: number, logFile: string): Promise<OperatorProcess> {
  const name = args[0]?.startsWith('--') ? 'operator' : `operator ${args[0]}`;
  return startProgram(MAIN, args, { name, port, logFile });
}

/** `port`: where /readyz is asked. */
export async function startProgram(
  main: string,
  args: readonly string[],
  { name, port, logFile }: { name: string; port: number; logFile: string },
): Promise<OperatorProcess> {
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', log, log] });
  const exited = exitOf(child);
  let gone: number | undefined;
  // Also when this program ends before anybody could stop it; killed by -9 itself, the operator ends with the API server it cannot reach any more.
  const endWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  void exited.then((code) => {
    gone = code;
    process.off('exit', endWithUs);
  });
  const metricsUrl = `http://127.0.0.1:${port}`;
  await waitFor(
    `${name} to become ready`,
    async () => {
      if (gone !== undefined) return true;
      const answer = await fetch(`${metricsUrl}/readyz`, { signal: AbortSignal.timeout(2_000) });
      return answer.ok ? true : undefined;
    },
    { timeoutMs: 60_000, everyMs: 50 },
  );
  if (gone !== undefined) throw new Error(`${name} exited with ${gone}; its log is ${logFile}`);
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<number> => {
    if (gone === undefined) child.kill(signal);
    return exited;
  };
  return { pid: child.pid ?? -1, metricsUrl, exited, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143))));
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
