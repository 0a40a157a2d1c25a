// The API server refuses, forgets, answers too late or not at all, and its watches break: the operator ends up where it would have been without.
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../operator/runtime/random.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { type Engine, startEngine } from './engine-operator.ts';
import { EngineProxy, type Meddling, type Seen } from './engine-proxy.ts';
import { EngineWorld } from './engine-world.ts';

const SEED = Number(process.env.SEED ?? 20261125);
const random = seededRandom(SEED);

let cluster: Cluster;
let world: EngineWorld;
let proxy: EngineProxy;
let engine: Engine;

beforeAll(async () => {
  console.log(`seed ${SEED} (SEED=… repeats it)`);
  cluster = await sharedCluster();
});
beforeEach(async () => {
  world = await EngineWorld.create(cluster, await ownNamespace(cluster, 'engine'), SEED);
  proxy = new EngineProxy(cluster.server, cluster.caPem);
  await world.put(...Array.from({ length: 12 }, (_, i) => `d${i}`));
  engine = startEngine({ connection: await behindProxy(), namespace: world.namespace });
  await world.converged();
});
afterEach(async () => {
  await engine.stop();
  await proxy.close();
  await world.end();
});

async function behindProxy() {
  const direct = await world.connection();
  const server = await proxy.listen();
  // The proxy speaks plain HTTP on this side; the token goes on with the request.
  return { ...direct, server, credentials: async () => ({ ...(await direct.credentials()), tls: {} }) };
}

const isWrite = ({ method }: Seen): boolean => method !== 'GET';
const isStatus = ({ method, url }: Seen): boolean => method === 'PATCH' && url.includes('/status');
const isList = ({ method, url, watch }: Seen): boolean => method === 'GET' && (!watch || url.includes('sendInitialEvents'));

/** Meddles with the first `times` requests that match, as long as that is not forbidden to happen. */
function meddle(which: (seen: Seen) => boolean, how: Meddling, times: number): { left(): number } {
  let left = times;
  proxy.meddle = (seen) => {
    if (left === 0 || !which(seen)) return undefined;
    left--;
    return how;
  };
  return { left: () => left };
}

/** Nothing is written any more once the world is as it should be. */
async function quiet(): Promise<void> {
  let before = -1;
  await waitFor('the operator to be at rest', async () => {
    const now = proxy.writes;
    const same = now === before;
    before = now;
    await pause(400);
    return same || undefined;
  });
}

describe('an operator whose API server', () => {
  it.each<[string, (seen: Seen) => boolean, Meddling, number]>([
    ['is too busy (429) for every write', isWrite, { how: 'instead', status: 429, reason: 'TooManyRequests', retryAfter: 1 }, 8],
    ['fails (500) at every write', isWrite, { how: 'instead', status: 500, reason: 'InternalError' }, 40],
    ['answers conflict (409) to every status', isStatus, { how: 'instead', status: 409, reason: 'Conflict' }, 30],
    ['loses the answers to every write', isWrite, { how: 'lose' }, 25],
    ['is a gateway that times out (504)', isWrite, { how: 'instead', status: 504, reason: 'Timeout' }, 20],
  ])('%s', async (_name, which, how, times) => {
    const meddling = meddle(which, how, times);
    await world.stir();
    await world.stir();
    await world.converged();
    expect(meddling.left()).toBeLessThan(times);
    proxy.meddle = () => undefined;
    await quiet();
    expect(await world.shape()).toEqual(world.expected());
  });

  it.each<[string, Meddling]>([
    ['cuts every watch in the middle of an event', { how: 'cut' }],
    ['forgets the version of every watch (410 in an event)', { how: 'event', status: 410, reason: 'Expired' }],
    ['forgets the version when a watch is resumed (410)', { how: 'instead', status: 410, reason: 'Expired' }],
  ])('%s', async (_name, how) => {
    const meddling = meddle(({ watch, url }) => watch && !url.includes('sendInitialEvents'), how, 6);
    for (let round = 0; round < 4; round++) {
      proxy.cutWatches();
      await world.stir();
    }
    await world.converged();
    expect(meddling.left()).toBeLessThan(6);
    proxy.meddle = () => undefined;
    await world.stir();
    await world.converged();
    await quiet();
    expect(await world.shape()).toEqual(world.expected());
  });

  it('fails at every list too, when its watches were forgotten', async () => {
    let failures = 6;
    proxy.meddle = (seen) => {
      if (seen.watch && !seen.url.includes('sendInitialEvents')) return { how: 'instead', status: 410, reason: 'Gone' };
      if (isList(seen) && failures-- > 0) return { how: 'instead', status: 503, reason: 'ServiceUnavailable' };
      return undefined;
    };
    proxy.cutWatches();
    await world.stir();
    await waitFor('the lists to have failed', () => (failures <= 0 ? true : undefined), { timeoutMs: 60_000 });
    proxy.meddle = () => undefined;
    await world.converged();
    expect(await world.shape()).toEqual(world.expected());
  });

  it('does all of this in any order', async () => {
    const kinds: Meddling[] = [
      { how: 'instead', status: 500, reason: 'InternalError' },
      { how: 'instead', status: 429, reason: 'TooManyRequests' },
      { how: 'instead', status: 409, reason: 'Conflict' },
      { how: 'lose' },
      { how: 'cut' },
      { how: 'event', status: 410, reason: 'Expired' },
    ];
    proxy.meddle = (seen) => {
      const kind = kinds[Math.floor(random() * kinds.length)];
      const fits = kind?.how === 'cut' || kind?.how === 'event' ? seen.watch : !seen.watch;
      return fits && random() < 0.4 ? kind : undefined;
    };
    for (let round = 0; round < 8; round++) {
      await world.stir();
      if (random() < 0.5) proxy.cutWatches();
    }
    proxy.meddle = () => undefined;
    await world.converged();
    await quiet();
    expect(await world.shape()).toEqual(world.expected());
    expect(Math.min(proxy.done.instead, proxy.done.lose)).toBeGreaterThan(0);
  });
});

describe('an operator at rest', () => {
  it('writes nothing, also when its watches are broken or listed anew', async () => {
    await quiet();
    const before = proxy.writes;
    for (let i = 0; i < 5; i++) {
      proxy.cutWatches();
      await pause(300);
    }
    meddle(({ watch }) => watch, { how: 'instead', status: 410, reason: 'Expired' }, 4);
    proxy.cutWatches();
    await waitFor('the watches to be listed anew', () => (proxy.seen.filter(isList).length >= 4 ? true : undefined));
    await quiet();
    expect(proxy.writes).toBe(before);
  });
});
