import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheSynced, createHealthServer, type HealthServer, queueMoving, watchAlive } from './health.ts';
import { createMetrics } from './metrics.ts';
import { recordingLog } from './testing/recording-log.ts';

let server: HealthServer;
let port: number;
const log = recordingLog();
const metrics = createMetrics();

beforeEach(async () => {
  server = createHealthServer({ host: '127.0.0.1', port: 0, registry: metrics.registry, log });
  ({ port } = await server.listen());
});
afterEach(() => server.close());

const get = async (path: string, method = 'GET'): Promise<{ status: number; text: string; type: string | null }> => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') };
};

describe('the health server', () => {
  it('is healthy and ready when nothing is wrong', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, text: 'ok\n' });
    expect(await get('/readyz?verbose')).toMatchObject({ status: 200, text: 'ok\n' });
  });

  it('names each check and what is wrong, and says 503', async () => {
    let wrong: string | undefined = 'nothing heard for 200 s';
    server.healthy({ name: 'queue-device', failing: () => undefined });
    server.ready({ name: 'watch-devices', failing: () => wrong });
    expect(await get('/healthz')).toMatchObject({ status: 200, text: '[+] queue-device ok\nok\n' });
    expect(await get('/readyz')).toMatchObject({
      status: 503,
      text: '[+] queue-device ok\n[-] watch-devices failed: nothing heard for 200 s\nfailed\n',
    });
    wrong = undefined;
    expect((await get('/readyz')).status).toBe(200);
  });

  it('is not ready when it is not healthy', async () => {
    server.healthy({ name: 'x', failing: () => 'stuck' });
    expect([(await get('/healthz')).status, (await get('/readyz')).status]).toEqual([503, 503]);
  });

  it('gives metrics in Prometheus’ format', async () => {
    metrics.leader('op', true);
    const answer = await get('/metrics');
    expect(answer.status).toBe(200);
    expect(answer.type).toContain('text/plain; version=0.0.4');
    expect(answer.text).toContain('leader_election_master_status{name="op"} 1');
  });

  it('knows three paths and GET only', async () => {
    expect((await get('/debug/pprof')).status).toBe(404);
    expect((await get('/healthz', 'POST')).status).toBe(405);
    expect((await get('/healthz', 'HEAD')).status).toBe(200);
  });

  it('survives a client that speaks no HTTP or says nothing', async () => {
    const socket = connect(port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined).resume();
    socket.write('\x16\x03\x01\x00garbage\r\n\r\n');
    await closed;
    connect(port, '127.0.0.1').on('error', () => undefined);
    expect((await get('/healthz')).status).toBe(200);
  });

  it('a check that throws makes that request fail and no other', async () => {
    server.ready({
      name: 'odd',
      failing: () => {
        throw new Error('odd');
      },
    });
    await expect(get('/readyz')).rejects.toThrow();
    expect((await get('/healthz')).status).toBe(200);
    expect(log.said.some((said) => said.level === 'error')).toBe(true);
  });
});

describe('the checks', () => {
  it('a cache is ready once its first complete state is in', () => {
    const store = { synced: false };
    const check = cacheSynced({ kind: 'devices', store, silentMs: () => 0 });
    expect(check.name).toBe('cache-devices');
    expect(check.failing()).toContain('first complete state');
    store.synced = true;
    expect(check.failing()).toBeUndefined();
  });

  it('a watch is alive as long as something was heard within 150 s', () => {
    let silent = 150_000;
    const check = watchAlive({ kind: 'devices', store: { synced: true }, silentMs: () => silent });
    expect(check.failing()).toBeUndefined();
    silent = 151_000;
    expect(check.failing()).toBe('nothing heard for 151 s');
  });

  it('a queue moves as long as no reconcile runs for more than 180 s', () => {
    let longest = 180_000;
    const check = queueMoving({ name: 'device', queue: { longestRunningMs: () => longest } });
    expect(check.failing()).toBeUndefined();
    longest = 181_000;
    expect(check.failing()).toBe('a reconcile has run for 181 s');
  });
});
