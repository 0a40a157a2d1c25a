// Requests to the API server as a plain script makes them: one pool of connections, a token, no retries, no cache. Shares nothing with operator/.
import { readFile } from 'node:fs/promises';
import { Pool } from 'undici';

/** What the server refused; a request that found no server rejects with the network's error. */
export class PlainError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type PlainApi = {
  /** The parsed answer. Throws PlainError with the server's words unless it is 2xx. */
  send<T>(method: string, path: string, body?: object, contentType?: string): Promise<T>;
  /** The lines of a watch as they come, until `stop` aborts. */
  watch(path: string, stop: AbortSignal): AsyncIterable<string>;
  close(): Promise<void>;
};

type Kubeconfig = {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { token?: string; 'client-certificate-data'?: string; 'client-key-data'?: string } }[];
};

/** `connections`: requests in flight at the same time. */
export async function connectPlainly(kubeconfigFile: string, connections: number): Promise<PlainApi> {
  const config = JSON.parse(await readFile(kubeconfigFile, 'utf8')) as Kubeconfig;
  const [cluster] = config.clusters;
  const [user] = config.users;
  if (cluster === undefined || user === undefined) throw new Error(`${kubeconfigFile} names no cluster or no user`);
  const tls = {
    ca: decoded(cluster.cluster['certificate-authority-data']),
    ...(user.user['client-certificate-data'] === undefined ? {} : { cert: decoded(user.user['client-certificate-data']) }),
    ...(user.user['client-key-data'] === undefined ? {} : { key: decoded(user.user['client-key-data']) }),
  };
  const pool = new Pool(cluster.cluster.server, { connections, connect: tls, bodyTimeout: 0 });
  const watches = new Pool(cluster.cluster.server, { connections: 1, connect: tls, bodyTimeout: 0 });
  const authorization = user.user.token === undefined ? {} : { authorization: `Bearer ${user.user.token}` };
  return {
    async send<T>(method: string, path: string, body?: object, contentType = 'application/json'): Promise<T> {
      const answer = await pool.request({
        method: method as 'GET',
        path,
        headers: { accept: 'application/json', ...authorization, ...(body === undefined ? {} : { 'content-type': contentType }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      if (answer.statusCode > 299) throw new PlainError(answer.statusCode, `${method} ${path}: ${answer.statusCode} ${text.slice(0, 500)}`);
      return JSON.parse(text) as T;
    },
    async *watch(path, stop) {
      const answer = await watches.request({
        method: 'GET',
        path,
        headers: { accept: 'application/json', ...authorization },
        signal: stop,
      });
      let rest = '';
      answer.body.setEncoding('utf8');
      for await (const chunk of answer.body) {
        const lines = (rest + (chunk as string)).split('\n');
        rest = lines.pop() ?? '';
        yield* lines;
      }
    },
    async close() {
      await Promise.all([pool.destroy(), watches.destroy()]);
    },
  };
}

const decoded = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');
