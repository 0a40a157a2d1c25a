// The artifacts server as an OS process of its own: with a directory of catalogs, or with an API server.
import { fileURLToPath } from 'node:url';
import { freePort, type OperatorProcess, startProgram } from './operator-process.ts';

export type ArtifactsOptions = {
  catalogs: { directory: string } | { kubeconfig: string; namespace: string };
  cacheDir: string;
  tls: { certFile: string; keyFile: string };
  deviceCaFile: string;
  /** What signed the certificates of the registries. */
  registryCaFile?: string;
  /** Another one each time unless it is told. */
  port?: number;
  logFile: string;
  extraArgs?: string[];
};

const MAIN = fileURLToPath(new URL('../../edge-k3s/artifacts/main.ts', import.meta.url));

/** Resolves when it serves: `https://localhost:<port>`. */
export async function startArtifacts(options: ArtifactsOptions): Promise<OperatorProcess & { port: number }> {
  const [port, metricsPort] = [options.port ?? (await freePort()), await freePort()];
  const { catalogs } = options;
  const args = [
    ...('directory' in catalogs
      ? ['--catalog-dir', catalogs.directory]
      : ['--kubeconfig', catalogs.kubeconfig, '--namespace', catalogs.namespace]),
    ...['--cache-dir', options.cacheDir],
    ...['--tls-cert-file', options.tls.certFile],
    ...['--tls-key-file', options.tls.keyFile],
    ...['--device-ca-file', options.deviceCaFile],
    ...(options.registryCaFile === undefined ? [] : ['--registry-ca-file', options.registryCaFile]),
    ...['--host', '127.0.0.1'],
    ...['--port', String(port)],
    ...['--metrics-port', String(metricsPort)],
    ...['--metrics-host', '127.0.0.1'],
    ...(options.extraArgs ?? []),
  ];
  return { ...(await startProgram(MAIN, args, { name: 'the artifacts server', port: metricsPort, logFile: options.logFile })), port };
}
