// A site in one process for tests: an origin, catalogs, a cache in a directory, the server on a socket, and clients with certificates of devices.
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { type DeviceCa, type Identity, makeDeviceCa, subject } from '../../../test/broker/testing/pki.ts';
import { makeServerCertificate } from '../../../test/harness/certificates.ts';
import { type Origin, type Pushed, startOrigin } from '../../../test/harness/oci-origin.ts';
import { openCache } from '../cache.ts';
import { readCatalog } from '../catalog.ts';
import { createCatalogs } from '../catalogs.ts';
import { createOriginHttp } from '../origin-http.ts';
import { createRegistry } from '../registry.ts';
import { type Bounds, createArtifactsServer } from '../server.ts';
import { createSupply } from '../supply.ts';
import { readTlsFiles } from '../tls-files.ts';

export type Got = { status: number; headers: IncomingHttpHeaders; body: Buffer };
export type Ask = { method?: string; headers?: Record<string, string>; client?: Identity };
export type Site = Awaited<ReturnType<typeof makeSite>>;

/** In the registry, or as the file at `url`. */
export type Named = Pushed & { url?: string };

/** What the operator would write for a release with these artifacts. */
export function catalogFiles(artifacts: readonly Named[], roots: readonly Buffer[] = []): Map<string, Buffer> {
  const payload = Buffer.from(JSON.stringify(artifacts));
  const envelope = { payload: payload.toString('base64'), payloadType: 'application/vnd.in-toto+json', signatures: [] };
  const release = {
    ...{ namespace: 'berlin', name: 'app', uid: '1', component: 'app', version: '1.0.0', securityCounter: 1, policy: 'trust' },
    manifestDigest: `sha256:${createHash('sha256').update(payload).digest('hex')}`,
    artifacts: artifacts.map(({ oci, url, digest, size }, at) => ({
      name: `a${at}`,
      digest,
      size,
      ...(url === undefined ? { oci } : { url }),
    })),
  };
  return new Map([
    ['release.json', Buffer.from(JSON.stringify(release))],
    ['envelope.json', Buffer.from(JSON.stringify(envelope))],
    ...roots.map((root, at): [string, Buffer] => [`${at + 1}.root.json`, root]),
  ]);
}

type Wish = {
  bounds?: Partial<Bounds>;
  cacheBytes?: number;
  user?: string;
  password?: string;
  authFile?: string;
  directory?: string;
  prefetch?: boolean;
};

export async function makeSite(wish: Wish = {}) {
  const home = await mkdtemp(join(tmpdir(), 'hedgerow-artifacts-'));
  const origin: Origin = await startOrigin(wish.user === undefined ? {} : { user: wish.user, password: wish.password ?? '' });
  const ca: DeviceCa = await makeDeviceCa('devices');
  const tls = await makeServerCertificate();
  const device = (name: string, segment = 'app'): Promise<Identity> => ca.issue(subject('hedgerow', `${segment}.berlin`, `${name}.berlin`));
  const paths = { certFile: join(home, 'tls.crt'), keyFile: join(home, 'tls.key'), caFile: join(home, 'ca.crt'), crlFiles: [] as string[] };
  await writeFile(paths.certFile, tls.certPem);
  await writeFile(paths.keyFile, tls.keyPem);
  await writeFile(paths.caFile, ca.certPem);
  await writeFile(join(home, 'origin-ca.crt'), origin.caPem);
  const base = { clock: systemClock, log: silentLog };
  const catalogs = createCatalogs();
  const results: string[] = [];
  const cache = await openCache({
    ...base,
    directory: wish.directory ?? join(home, 'cache'),
    mostBytes: wish.cacheBytes ?? 64 * 2 ** 20,
    evicted: () => undefined,
  });
  const http = await createOriginHttp(join(home, 'origin-ca.crt'));
  const registry = createRegistry({ http, authFile: wish.authFile, clock: systemClock });
  const supply = createSupply({
    ...base,
    catalogs,
    cache,
    registry,
    mostAtOnce: 2,
    random: () => 0.5,
    received: () => undefined,
    fetched: (result) => results.push(result),
  });
  const bounds = { waitMs: 10_000, ...wish.bounds };
  const server = createArtifactsServer({
    ...{ ...base, host: '127.0.0.1', port: 0, files: await readTlsFiles(paths), catalogs, cache, supply, bounds },
    ...{ observed: () => undefined, sent: () => undefined },
  });
  const { port } = await server.listen();
  const stop = new AbortController();
  const supplying = wish.prefetch === true ? supply.run(stop.signal) : Promise.resolve();
  const camera = await device('cam-1');

  return {
    ...{ home, origin, ca, catalogs, cache, supply, server, registry, device, camera, paths, port, results, serverCaPem: tls.caPem },
    name: (artifacts: readonly Named[], roots: readonly Buffer[] = [], id = 'one'): void =>
      catalogs.put(id, readCatalog(catalogFiles(artifacts, roots))),
    reread: async (): Promise<void> => server.setFiles(await readTlsFiles(paths)),
    get: (path: string, ask: Ask = {}): Promise<Got> => get(port, path, tls.caPem, { client: camera, ...ask }),
    async close(): Promise<void> {
      stop.abort();
      await supplying;
      await server.close();
      await origin.close();
      await http.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Rejects with the error of the connection. */
export function get(port: number, path: string, caPem: string, { method = 'GET', headers = {}, client }: Ask): Promise<Got> {
  return new Promise((resolve, reject) => {
    const credentials = client === undefined ? {} : { key: client.keyPem, cert: client.certPem };
    const asked = request({ host: 'localhost', port, path, method, headers, ca: caPem, agent: false, ...credentials }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }));
    });
    asked.on('error', reject);
    asked.end();
  });
}
