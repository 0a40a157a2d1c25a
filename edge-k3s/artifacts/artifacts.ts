// The artifacts server put together: catalogs in, files by digest out.
import { connect } from '../../operator/kube/client.ts';
import { findConnection, KubeConfigError } from '../../operator/kube/config.ts';
import type { Reflector } from '../../operator/kube/reflector.ts';
import type { Projected } from '../../operator/kube/store.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { environment } from '../../operator/runtime/environment.ts';
import { createHealthServer } from '../../operator/runtime/health.ts';
import { createLog, type Log } from '../../operator/runtime/log.ts';
import { createManager, EXIT, type ExitCode, type Manager } from '../../operator/runtime/manager.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { untilAborted } from '../../operator/runtime/until-aborted.ts';
import { type Cache, openCache } from './cache.ts';
import { createCatalogDirectory } from './catalog-directory.ts';
import { watchCatalogs } from './catalog-watch.ts';
import { type Catalogs, createCatalogs } from './catalogs.ts';
import { Refused } from './errors.ts';
import { createArtifactsMetrics } from './metrics.ts';
import type { ArtifactsOptions } from './options.ts';
import { createOriginHttp } from './origin-http.ts';
import { createRegistry } from './registry.ts';
import { type ArtifactsServer, createArtifactsServer } from './server.ts';
import { createSupply } from './supply.ts';
import { listProblems, readTlsFiles, type TlsFiles, watchTlsFiles } from './tls-files.ts';

type Base = { clock: typeof systemClock; random: typeof systemRandom; log: Log; metrics: ReturnType<typeof createMetrics> };
type Closing = { close(): Promise<void> };
type Parts = Base & { manager: Manager; catalogs: Catalogs };

/** Runs until the signal aborts or a part fails; gives the exit code of the process. Throws `KubeConfigError` where there is no cluster to ask. */
export async function runArtifacts(options: ArtifactsOptions, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base: Base = { clock: systemClock, random: systemRandom, log, metrics };
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const manager = createManager({ ...base, health });
  const parts: Parts = { ...base, manager, catalogs: createCatalogs() };
  const open: Closing[] = [];
  try {
    open.push(await followCatalogs(options.source, parts));
    open.push(await compose(options, parts));
    log.info({ catalogs: options.source.kind }, 'the artifacts server starts');
    return await manager.run(signal);
  } catch (error) {
    if (error instanceof KubeConfigError) throw error;
    if (error instanceof Refused) log.error({ ...error.problem }, error.message);
    else log.error({ err: error }, 'the start failed');
    return EXIT.failed;
  } finally {
    for (const part of open) await part.close();
  }
}

async function followCatalogs(source: ArtifactsOptions['source'], { manager, catalogs, ...base }: Parts): Promise<Closing> {
  if (source.kind === 'directory') {
    const directory = createCatalogDirectory({ directory: source.directory, catalogs, ...base });
    // Before the first device asks: what is not named is refused for good.
    await directory.look();
    manager.always({ name: 'catalogs', run: (stop) => directory.run(stop) });
    return { close: () => Promise.resolve() };
  }
  const connection = await findConnection({ kubeconfig: source.kubeconfig, env: environment });
  const client = connect(connection, { ...base, userAgent: 'hedgerow-artifacts' });
  const reflector: Reflector<Projected> = watchCatalogs(source.namespace ?? connection.namespace, catalogs, { ...base, client });
  manager.cache(reflector);
  return { close: () => client.close() };
}

async function compose(options: ArtifactsOptions, { manager, catalogs, clock, random, log, metrics }: Parts): Promise<Closing> {
  const counts = createArtifactsMetrics(metrics);
  let files = await readTlsFiles(options);
  const cache: Cache = await openCache({ directory: options.cacheDir, mostBytes: options.cacheBytes, clock, log, evicted: counts.evicted });
  const http = await createOriginHttp(options.registryCaFile);
  const registry = createRegistry({ http, authFile: options.registryAuthFile, clock });
  const supply = createSupply({ catalogs, cache, registry, mostAtOnce: options.downloads, clock, random, log, ...counts });
  const { host, port, transfers } = options;
  const server = createArtifactsServer({ host, port, files, catalogs, cache, supply, bounds: { transfers }, clock, log, ...counts });
  counts.read({
    usedBytes: () => cache.usedBytes,
    mostBytes: options.cacheBytes,
    catalogs: () => catalogs.size,
    transfers: () => server.transfers,
    oldestListMs: () => files.lists.map((list) => list.nextUpdateMs).sort((a, b) => a - b)[0],
  });
  const renew = (next: TlsFiles): void => {
    files = next;
    server.setFiles(next);
    sayProblems(next, clock.now(), log);
  };
  sayProblems(files, clock.now(), log);
  manager.always({ name: 'TLS files', run: (stop) => watchTlsFiles(options, files, renew, { clock, log, signal: stop }) });
  manager.always({ name: 'supply', run: (stop) => supply.run(stop) });
  manager.always({ name: 'server', run: (stop) => serve(server, log, stop) });
  return { close: () => http.close() };
}

function sayProblems(files: TlsFiles, nowMs: number, log: Log): void {
  for (const problem of listProblems(files, nowMs)) log.warn({ ...problem }, 'a revocation list says less than it should');
}

async function serve(server: ArtifactsServer, log: Log, signal: AbortSignal): Promise<void> {
  const { port } = await server.listen();
  log.info({ port }, 'artifacts are served');
  await untilAborted(signal);
  await server.close();
}
