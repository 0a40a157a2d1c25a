/** mosquitto_pub, mosquitto_sub and paho-mqtt against the stand-in: it must not only agree with the library it is tested with. */

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Installed } from '../../harness/python.ts';
import type { Device } from '../testing/device.ts';
import { startWorld, type World } from '../testing/world.ts';
import { installMosquitto, installPaho } from './install.ts';

const ID = 'thermo.berlin';
const OWN = `dt/office.berlin/${ID}/t`;
const COMMAND = `cmd/office.berlin/${ID}/set`;
const TEXT = `{allow, {client_attr,"seg","office.berlin"}, publish, ["dt/office.berlin/\${cert_common_name}/#"]}.
{allow, {client_attr,"seg","office.berlin"}, subscribe, ["cmd/office.berlin/\${cert_common_name}/#"]}.
{allow, {client_attr,"seg","ingest.berlin"}, all, ["#"]}.
{deny, all}.
`;
const INSTALL_MS = 600_000;

let world: World;
let ingest: Device;
const files = { ca: '', cert: '', key: '' };

beforeAll(async () => {
  world = await startWorld();
  await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: TEXT } });
  ingest = await world.connect('ingest.berlin', 'ingest.berlin');
  await ingest.subscribe('dt/#');
  const { certPem, keyPem } = await world.identity(ID, 'office.berlin');
  const dir = join(world.dir, 'client');
  mkdirSync(dir);
  for (const [name, text] of [
    ['ca', world.broker.caPem],
    ['cert', certPem],
    ['key', keyPem],
  ] as const) {
    files[name] = join(dir, `${name}.pem`);
    writeFileSync(files[name], text, { mode: 0o600 });
  }
});
afterAll(() => world?.stop());

/** What a program of somebody else said and how it ended; `on` is called with each line of its stderr. */
function run(
  command: string,
  args: string[],
  options: { stdin?: string; on?: (line: string) => void } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => {
      stdout += data;
      options.on?.(String(data));
    });
    child.stderr.on('data', (data) => {
      stderr += data;
      options.on?.(String(data));
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(options.stdin ?? '');
  });
}

const ban = (who: string) => world.standIn.request('POST', '/banned', { body: { as: 'clientid', who, by: 'test' } });
const unban = (who: string) => world.standIn.request('DELETE', `/banned/clientid/${who}`);

describe('mosquitto', () => {
  let installed: Installed;
  beforeAll(async () => {
    installed = await installMosquitto();
    if ('missing' in installed) console.log(`mosquitto tests are skipped: ${installed.missing}`);
  }, INSTALL_MS);
  beforeEach((context) => 'missing' in installed && context.skip(installed.missing));

  const common = (version: string) => [
    ...['-h', '127.0.0.1', '-p', String(world.broker.port), '--cafile', files.ca, '--cert', files.cert, '--key', files.key],
    ...['--tls-version', 'tlsv1.3', '-V', version, '-i', 'mosquitto'],
  ];
  const sub = (version: string, args: string[]) => run('mosquitto_sub', [...common(version), '-W', '30', ...args]);
  /** Asked of the broker: mosquitto_sub keeps what it prints in its buffer. */
  const untilSubscribed = async () => {
    for (;;) {
      const { body } = await world.standIn.request('GET', `/clients/${ID}/subscriptions`);
      if (Array.isArray(body) && body.length > 0) return;
      await sleep(20);
    }
  };
  const pub = (version: string, args: string[]) => run('mosquitto_pub', [...common(version), ...args]);

  describe.each(['mqttv311', 'mqttv5'])('%s', (version) => {
    it.each([0, 1, 2])('publishes at QoS %i', async (qos) => {
      const before = ingest.received.length;
      expect(await pub(version, ['-t', OWN, '-m', `from mosquitto ${qos}`, '-q', String(qos)])).toMatchObject({ code: 0 });
      await ingest.waitMessages(before + 1);
      expect(ingest.received.at(-1)).toMatchObject({ topic: OWN, payload: `from mosquitto ${qos}` });
    });

    it('receives what it subscribed to', async () => {
      const [said] = await Promise.all([
        sub(version, ['-t', `cmd/office.berlin/${ID}/#`, '-q', '1', '-C', '1', '-F', '%t %p %q']),
        untilSubscribed().then(() => ingest.publish(COMMAND, { payload: 'hello' })),
      ]);
      expect(said).toMatchObject({ code: 0 });
      expect(said.stdout).toContain(`${COMMAND} hello 1`);
    });

    it('is told that a subscription was refused', async () => {
      const { code, stdout, stderr } = await sub(version, ['-t', '#', '-q', '1', '-C', '1', '-d']);
      expect(`${stdout}${stderr}`).toMatch(/All subscription requests were denied|Subscribed \(mid: 1\): (128|135)/);
      expect(code).not.toBe(27); // 27: it would have waited for messages until -W
    });

    it('is turned away while its name is banned', async () => {
      await ban(ID);
      const { code, stderr } = await pub(version, ['-t', OWN, '-m', 'x', '-q', '1']);
      await unban(ID);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/refused|not authori[sz]ed|banned/i);
    });
  });
});

type Seen = {
  connack: number | null;
  suback: number[][];
  puback: number[];
  messages: [string, string, number, boolean][];
  disconnect: number | null;
  error?: string;
};

describe('paho-mqtt', () => {
  let installed: Installed;
  beforeAll(async () => {
    installed = await installPaho();
    if ('missing' in installed) console.log(`paho-mqtt tests are skipped: ${installed.missing}`);
  }, INSTALL_MS);
  beforeEach((context) => 'missing' in installed && context.skip(installed.missing));

  const paho = async (protocol: number, steps: object[], on?: (line: string) => void): Promise<Seen> => {
    const order = { host: '127.0.0.1', port: world.broker.port, ...files, protocol, steps };
    const script = fileURLToPath(new URL('paho_client.py', import.meta.url));
    const path = 'path' in installed ? installed.path : '';
    const { stdout, stderr } = await run(path, [script], { stdin: JSON.stringify(order), ...(on ? { on } : {}) });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Seen;
  };

  describe.each([4, 5])('protocol level %i', (protocol) => {
    it.each([1, 2])('publishes at QoS %i', async (qos) => {
      const before = ingest.received.length;
      const seen = await paho(protocol, [{ publish: OWN, payload: `from paho ${qos}`, qos }]);
      expect(seen).toMatchObject({ connack: 0, puback: [0] });
      expect(seen.error).toBeUndefined();
      await ingest.waitMessages(before + 1);
      expect(ingest.received.at(-1)).toMatchObject({ topic: OWN, payload: `from paho ${qos}` });
    });

    it('subscribes and receives, in order, at QoS 2', async () => {
      const steps = [{ subscribe: `cmd/office.berlin/${ID}/#`, qos: 2 }, { say: 'ready' }, { messages: 3 }];
      const seen = await paho(protocol, steps, async (line) => {
        if (!line.includes('ready')) return;
        for (const payload of ['1', '2', '3']) await ingest.publish(COMMAND, { qos: 2, payload });
      });
      expect(seen.suback).toEqual([[2]]);
      expect(seen.messages).toEqual(['1', '2', '3'].map((payload) => [COMMAND, payload, 2, false]));
    });

    it('reads the refusal of a subscription and of a publish', async () => {
      const seen = await paho(protocol, [{ subscribe: '#' }, { publish: 'dt/office.berlin/other.berlin/t' }]);
      expect(seen.suback).toEqual([[protocol === 5 ? 135 : 128]]);
      // Only MQTT 5 has a reason code in PUBACK.
      expect(seen.puback).toEqual([protocol === 5 ? 135 : 0]);
    });

    it('is thrown out when it is banned while connected', async () => {
      const seen = await paho(protocol, [{ say: 'ready' }, { disconnected: true }], async (line) => {
        if (line.includes('ready')) await ban(ID);
      });
      await unban(ID);
      expect(seen.connack).toBe(0);
      expect(seen.error).toBeUndefined();
      // paho 2.1 reads the reason only of a DISCONNECT that has properties; on 3.1.1 it names the closed socket.
      expect(seen.disconnect).toBe(protocol === 5 ? 0 : 128);
    });
  });
});
