// A token that `kubectl hedgerow token` made, and the commands that it prints for the device: with nothing but a shell, openssl and curl, at a real server.
import { spawn } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen } from '../../operator/cli/testing/heard.ts';
import { giveTokens } from '../../operator/cli/token.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { startWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.end());

async function give(name: string): Promise<{ token: string; commands: string }> {
  const { heard, output } = listen();
  const deps = { client: world.cluster.client({ alive: true }, 'alice'), clock: systemClock, output, random: randomBytes };
  const estUrl = `https://localhost:${world.port}`;
  const wish = { names: [name], selector: undefined, ttlMs: 60_000, out: undefined, form: 'csv', estUrl } as const;
  expect(await giveTokens(deps, 'berlin', wish)).toBe(0);
  const token = /^cam[^,]*,([^,]+),/m.exec(heard.out)?.[1] ?? '';
  expect(heard.err).not.toContain(token);
  return { token, commands: heard.err };
}

/** In the device's shell. */
async function typed(commands: string, input: string): Promise<{ code: number | null; stderr: string }> {
  const shell = spawn('bash', ['-e', '-c', commands], { cwd: world.ssl.dir, stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  shell.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  shell.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => shell.on('close', resolve));
  return { code, stderr };
}

describe('a token of the plugin', () => {
  it('enrols a device that does what is printed', async () => {
    await world.addDevice('cam-1');
    const { token, commands } = await give('cam-1');
    copyFileSync(join(world.ssl.dir, world.tls.cert), join(world.ssl.dir, 'est-ca.crt'));
    expect(await typed(commands, `${token}\n`)).toEqual({ code: 0, stderr: expect.not.stringContaining('HR-') });
    expect(new X509Certificate(world.ssl.file('cam-1.crt')).subject).toBe('O=hedgerow\nOU=office.berlin\nCN=cam-1.berlin');
    expect(world.ledger().filter(({ device }) => device === 'cam-1.berlin')).toHaveLength(1);
  });

  it('is worth nothing after a newer one', async () => {
    await world.addDevice('cam-2');
    const [old, fresh] = [await give('cam-2'), await give('cam-2')];
    const { body } = world.makeRequest('cam-2');
    const ask = (token: string) => world.ask('simpleenroll', { body, token: ['cam-2.berlin', token] });
    expect((await ask(old.token)).body).toContain('HR-EST-002');
    expect((await ask(fresh.token)).status).toBe(200);
  });

  it('is worth nothing for another Device, and nothing a second time', async () => {
    await world.addDevice('cam-3');
    await world.addDevice('cam-4');
    const { token } = await give('cam-3');
    await give('cam-4');
    expect((await world.ask('simpleenroll', { body: world.makeRequest('cam-4').body, token: ['cam-4.berlin', token] })).status).toBe(401);
    expect((await world.ask('simpleenroll', { body: world.makeRequest('cam-3').body, token: ['cam-3.berlin', token] })).status).toBe(200);
    const again = await world.ask('simpleenroll', { body: world.makeRequest('cam-3').body, token: ['cam-3.berlin', token] });
    expect(again.body).toContain('HR-EST-004');
  });
});
