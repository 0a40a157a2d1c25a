// One leader, by a real Lease: what is lost ends at once and writes nothing more, its successor finishes the work. And a handler that throws stops nobody else.
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EXIT } from '../../operator/runtime/manager.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { type Engine, type EngineOptions, startEngine } from './engine-operator.ts';
import { EngineProxy } from './engine-proxy.ts';
import { EngineWorld } from './engine-world.ts';

let cluster: Cluster;
let world: EngineWorld;
const engines: Engine[] = [];
const proxies: EngineProxy[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
});
beforeEach(async () => {
  world = await EngineWorld.create(cluster, await ownNamespace(cluster, 'engine-lease'), 5);
  await world.put(...Array.from({ length: 6 }, (_, i) => `d${i}`));
});
afterEach(async () => {
  for (const proxy of proxies) proxy.meddle = () => undefined;
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  await world.end();
});

async function start(identity: string, midway?: EngineOptions['midway']): Promise<Engine & { proxy: EngineProxy }> {
  const proxy = new EngineProxy(cluster.server, cluster.caPem);
  proxies.push(proxy);
  const direct = await world.connection();
  const connection = { ...direct, server: await proxy.listen(), credentials: async () => ({ ...(await direct.credentials()), tls: {} }) };
  const engine = startEngine({ connection, namespace: world.namespace, identity, ...(midway === undefined ? {} : { midway }) });
  engines.push(engine);
  return Object.assign(engine, { proxy });
}

type LeaseSpec = { holderIdentity?: string; leaseTransitions?: number };
async function lease(): Promise<LeaseSpec> {
  const { stdout } = await cluster.kubectl(['get', 'lease', 'engine', '-n', world.namespace, '-o', 'json']);
  return (JSON.parse(stdout) as { spec: LeaseSpec }).spec;
}
const held = (by: string): Promise<true> =>
  waitFor(`the Lease to be held by ${by}`, async () => ((await lease()).holderIdentity === by ? true : undefined), { timeoutMs: 60_000 });
/** Writes to anything but the Lease. */
const work = ({ proxy }: { proxy: EngineProxy }): number =>
  proxy.seen.filter(({ method, url }) => method !== 'GET' && !url.includes('/leases')).length;

describe('of two operators', () => {
  it('one works and the other waits with full caches, and takes over at once when the first stops', async () => {
    const first = await start('first');
    await held('first');
    const second = await start('second');
    await world.stir();
    await world.converged();
    await waitFor('the standby to see everything', () => (second.synced ? true : undefined));
    expect(work(second)).toBe(0);
    expect(await first.stop()).toBe(EXIT.stopped);
    const before = work(first);
    await held('second');
    await world.stir();
    await world.converged();
    expect(work(first)).toBe(before);
    expect((await lease()).leaseTransitions).toBe(1);
  });

  it('the one that cannot reach the API server any more ends with 75, and writes nothing after its successor began', async () => {
    const first = await start('first');
    await held('first');
    await world.converged();
    await start('second');
    first.proxy.meddle = ({ url }) => (url.includes('/leases') ? { how: 'instead', status: 500, reason: 'InternalError' } : undefined);
    expect(await first.ended).toBe(EXIT.leaseLost);
    const before = work(first);
    await held('second');
    await world.stir();
    await world.converged();
    expect(work(first)).toBe(before);
  });

  it('the one whose Lease was taken ends with 75 and leaves the Lease alone', async () => {
    const first = await start('first');
    await held('first');
    await cluster.kubectl([
      'patch',
      'lease',
      'engine',
      '-n',
      world.namespace,
      '--type=merge',
      '-p',
      '{"spec":{"holderIdentity":"usurper"}}',
    ]);
    expect(await first.ended).toBe(EXIT.leaseLost);
    expect((await lease()).holderIdentity).toBe('usurper');
    // The usurper never renews: the next in line takes over.
    await start('second');
    await held('second');
    await world.stir();
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
  });
});

describe('a handler that throws', () => {
  it('stops no other key, and does its work when it does not throw any more', async () => {
    let odd = true;
    const engine = await start('only', async (key) => {
      if (odd && key.endsWith('/d1')) throw new TypeError('the world is odd');
      if (odd && key.endsWith('/d2')) throw undefined;
    });
    await waitFor('all others to be done', async () => {
      const shape = await world.shape();
      return ['d0', 'd3', 'd4', 'd5'].every((name) => shape[name]?.status !== undefined) || undefined;
    });
    const shape = await world.shape();
    expect([shape.d1?.status, shape.d2?.status]).toEqual([undefined, undefined]);
    expect(await engine.metric('controller_runtime_reconcile_panics_total{controller="engine"}')).toBeGreaterThan(0);
    await pause(300);
    odd = false;
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
  });

  it('that never returns is aborted with its process, not waited for for ever', async () => {
    const engine = await start(
      'only',
      (_key, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    await waitFor('a reconcile to hang', async () =>
      (await engine.metric('controller_runtime_active_workers{controller="engine"}')) > 0 ? true : undefined,
    );
    expect(await engine.stop()).toBe(EXIT.stopped);
    expect((await lease()).holderIdentity).toBe('');
  });
});
