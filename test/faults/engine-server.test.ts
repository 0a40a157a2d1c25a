// The API server dies, hangs, or loses its store for a moment, in the middle of reconciles: the operator needs no restart, and the world comes out the same.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../controlplane/cluster.ts';
import { ownNamespace } from '../controlplane/shared.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { type Engine, startEngine } from './engine-operator.ts';
import { EngineWorld } from './engine-world.ts';

let cluster: Cluster;
let world: EngineWorld;
let engine: Engine;
/** Set by a test that wants to do something between two writes of a reconcile. */
let midway: ((key: string) => Promise<void>) | undefined;

beforeAll(async () => {
  cluster = await startCluster({ name: `engine-${process.pid}`, freshData: true, auditLog: true, say: () => undefined });
});
beforeEach(async () => {
  midway = undefined;
  world = await EngineWorld.create(cluster, await ownNamespace(cluster, 'engine'), 3);
  await world.put(...Array.from({ length: 12 }, (_, i) => `d${i}`));
  engine = startEngine({ connection: await world.connection(), namespace: world.namespace, midway: async (key) => await midway?.(key) });
  await world.converged();
});
afterEach(async () => {
  await engine.stop();
  await world.end();
});
afterAll(() => cluster.down());

describe('an operator whose API server', () => {
  it('is killed between the two writes of a reconcile finishes it when the server is back', async () => {
    const halfway = Promise.withResolvers<string>();
    const goOn = Promise.withResolvers<void>();
    midway = async (key) => {
      halfway.resolve(key);
      await goOn.promise;
    };
    await world.stir();
    await halfway.promise;
    await cluster.kill('kube-apiserver');
    goOn.resolve();
    await waitFor('a reconcile to fail', async () =>
      (await engine.metric('controller_runtime_reconcile_errors_total{controller="engine"}')) > 0 ? true : undefined,
    );
    await cluster.start('kube-apiserver');
    await world.converged();
    await world.stir();
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
  });

  it('is killed again and again while the world changes', async () => {
    for (let round = 0; round < 4; round++) {
      await world.stir();
      await cluster.kill('kube-apiserver');
      await pause(200 * round);
      await cluster.start('kube-apiserver');
    }
    await world.stir();
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
  });

  it('hangs (SIGSTOP) in the middle of everything goes on with the same connections', async () => {
    await world.stir();
    await cluster.pause('kube-apiserver');
    await pause(3_000);
    await cluster.resume('kube-apiserver');
    await world.stir();
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
    expect(engine.synced).toBe(true);
  });

  it('loses its store for a while', async () => {
    await world.stir();
    await cluster.kill('etcd');
    await pause(1_000);
    await cluster.start('etcd');
    await waitFor('the API server to find its store', async () =>
      (await cluster.kubectl(['get', 'namespace', 'default', '--request-timeout=2s'])).code === 0 ? true : undefined,
    );
    await world.stir();
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
  });

  it('is down when the operator starts waits for it, and starts when it is there', async () => {
    await engine.stop();
    const connection = await world.connection();
    await cluster.kill('kube-apiserver');
    engine = startEngine({ connection, namespace: world.namespace });
    await pause(1_500);
    expect(engine.synced).toBe(false);
    await cluster.start('kube-apiserver');
    await world.stir();
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
  });
});
