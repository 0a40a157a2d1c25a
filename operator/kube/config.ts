// Where the API server is and who we are there: from a kubeconfig file, or from the ServiceAccount that a pod was given.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ERRORS, type KubeErrorCode } from './errors.ts';

export type TlsMaterial = { ca?: string; cert?: string; key?: string; servername?: string; rejectUnauthorized?: boolean };

export type Credentials = { /** Value of the Authorization header. */ authorization?: string; tls: TlsMaterial };

export type KubeConnection = {
  /** `https://host:port`, with a path when the server lives under one; no slash at the end. */
  server: string;
  /** The namespace of the context or of the pod. */
  namespace: string;
  /** Read again each time: tokens and client certificates rotate. The transport keeps the answer for half a minute. */
  credentials(): Promise<Credentials>;
};

export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

export class KubeConfigError extends Error {
  override readonly name = 'KubeConfigError';
  readonly code: KubeErrorCode;

  constructor(code: KubeErrorCode, what: string, cause?: unknown) {
    super(`${code} ${ERRORS[code].title}: ${what}. ${ERRORS[code].cure}`, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The file wins; without one, the pod's ServiceAccount. `env` gives KUBERNETES_SERVICE_HOST and _PORT. */
export async function findConnection(options: {
  kubeconfig: string | undefined;
  context?: string;
  env: (name: string) => string | undefined;
  serviceAccountDir?: string;
}): Promise<KubeConnection> {
  if (options.kubeconfig !== undefined) return kubeconfigConnection(options.kubeconfig, options.context);
  const host = options.env('KUBERNETES_SERVICE_HOST');
  const port = options.env('KUBERNETES_SERVICE_PORT') ?? '443';
  if (host === undefined) throw new KubeConfigError('HR-KUBE-001', 'KUBERNETES_SERVICE_HOST is not set');
  return inClusterConnection(`https://${host.includes(':') ? `[${host}]` : host}:${port}`, options.serviceAccountDir);
}

/** The token file is read again for every `credentials()`: kubelet replaces it well before it expires. */
export async function inClusterConnection(server: string, dir: string = SERVICE_ACCOUNT_DIR): Promise<KubeConnection> {
  const read = (file: string): Promise<string> => readFile(join(dir, file), 'utf8');
  try {
    const namespace = (await read('namespace')).trim();
    return {
      server,
      namespace,
      credentials: async () => ({ authorization: `Bearer ${(await read('token')).trim()}`, tls: { ca: await read('ca.crt') } }),
    };
  } catch (cause) {
    throw new KubeConfigError('HR-KUBE-001', `no ServiceAccount files in ${dir}`, cause);
  }
}

/** Client certificates, tokens, token files and exec plugins, as client-node's KubeConfig reads them. The library is loaded only here: it costs 125 MB of generated code. */
export async function kubeconfigConnection(path: string, context?: string): Promise<KubeConnection> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (cause) {
    throw new KubeConfigError('HR-KUBE-002', `${path} cannot be read`, cause);
  }
  if (context !== undefined) config.setCurrentContext(context);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new KubeConfigError('HR-KUBE-002', `${path}: context "${config.getCurrentContext()}" names no cluster`);
  if (cluster.proxyUrl !== undefined) throw new KubeConfigError('HR-KUBE-002', `${path}: proxy-url is not supported`);
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  return { server: cluster.server.replace(/\/+$/, ''), namespace, credentials: () => fromKubeConfig(config, cluster.tlsServerName) };
}

type HttpsOptions = {
  ca?: unknown;
  cert?: unknown;
  key?: unknown;
  servername?: unknown;
  rejectUnauthorized?: unknown;
  headers?: unknown;
  auth?: unknown;
};

async function fromKubeConfig(
  config: { applyToHTTPSOptions(options: object): Promise<void> },
  servername: string | undefined,
): Promise<Credentials> {
  const options: HttpsOptions = { headers: {} };
  await config.applyToHTTPSOptions(options);
  const tls: TlsMaterial = {};
  for (const field of ['ca', 'cert', 'key'] as const) {
    const value = options[field];
    if (typeof value === 'string' || Buffer.isBuffer(value)) tls[field] = value.toString();
  }
  if (servername !== undefined) tls.servername = servername;
  if (options.rejectUnauthorized === false) tls.rejectUnauthorized = false;
  const authorization = authorizationOf(options);
  return authorization === undefined ? { tls } : { authorization, tls };
}

function authorizationOf(options: HttpsOptions): string | undefined {
  const headers = (options.headers ?? {}) as Record<string, unknown>;
  const header = headers.Authorization ?? headers.authorization;
  if (typeof header === 'string') return header;
  return typeof options.auth === 'string' ? `Basic ${Buffer.from(options.auth).toString('base64')}` : undefined;
}
