import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { pidExists } from '../controlplane/process.ts';
import { makeServerCertificate } from '../harness/certificates.ts';
import { startStandIn } from './stand-in.ts';
import { startWorld } from './testing/world.ts';

describe('the process', () => {
  it('ends when the program that started it is killed', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'hedgerow-broker-'));
    const server = await makeServerCertificate();
    const tls = { ca: server.caPem, cert: server.certPem, key: server.keyPem };
    const program = `
      import { startStandIn } from ${JSON.stringify(fileURLToPath(new URL('stand-in.ts', import.meta.url)))};
      const standIn = await startStandIn(JSON.parse(process.env.OPTIONS));
      console.log(standIn.pid);
      setInterval(() => undefined, 60_000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, OPTIONS: JSON.stringify({ dir, tls }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(owner.stdout, 'data')) as [Buffer];
      const pid = Number(String(line).trim());
      expect(pidExists(pid)).toBe(true);
      owner.kill('SIGKILL');
      while (pidExists(pid)) await sleep(20);
    } finally {
      owner.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('that cannot start says why', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'hedgerow-broker-'));
    const tls = { ca: 'no certificate', cert: 'no certificate', key: 'no key' };
    await expect(startStandIn({ dir, tls })).rejects.toThrow(/the broker stand-in ended with 1:[\s\S]*PEM/);
    rmSync(dir, { recursive: true, force: true });
  });

  it('can be stopped twice and started again', async () => {
    const world = await startWorld();
    await world.standIn.kill();
    await world.standIn.kill();
    await world.standIn.restart();
    expect(await world.standIn.clients()).toEqual([]);
    const device = await world.connect('a.berlin', 'office.berlin');
    const { md5 } = await world.identity('a.berlin', 'office.berlin');
    expect(await world.standIn.clients()).toEqual([{ clientid: 'a.berlin', username: md5 }]);
    await device.end();
    await world.standIn.stop();
    await world.stop();
  });

  it('started anew in the same folder keeps what was written by API, on ports of its own', async () => {
    const world = await startWorld();
    const rules = '{allow, all}.\n';
    await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules } });
    await world.standIn.stop();
    const server = await makeServerCertificate();
    const again = await startStandIn({ dir: world.dir, tls: { ca: world.ca.certPem, cert: server.certPem, key: server.keyPem } });
    expect((await again.request('GET', '/authorization/sources/file')).body).toMatchObject({ rules });
    expect((await again.request('GET', '/listeners/ssl:default')).body).toMatchObject({
      bind: `127.0.0.1:${again.mqttPort}`,
      running: true,
    });
    await again.stop();
    await world.stop();
  });

  it('keeps its secrets out of its command line and its log', async () => {
    const world = await startWorld();
    await world.standIn.request('GET', '/nodes');
    await world.standIn.request('PUT', '/authorization/sources/built_in_database/rules/clients/a', { body: { clientid: 'b', rules: [] } });
    const commandLine = process.platform === 'linux' ? readFileSync(`/proc/${world.standIn.pid}/cmdline`, 'utf8') : '';
    const log = readFileSync(join(world.dir, 'stand-in.log'), 'utf8');
    for (const secret of [world.standIn.apiKey.secret, world.standIn.dashboardPassword]) {
      expect(commandLine).not.toContain(secret);
      expect(log).not.toContain(secret);
    }
    await world.stop();
  });
});
