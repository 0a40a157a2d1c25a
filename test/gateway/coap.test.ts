// A device that speaks CoAP over TLS, by a client of others: its messages go through the same pipeline as those that the broker brings.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SERVER_AUTH } from '../broker/testing/pki.ts';
import { freePort } from '../harness/operator-process.ts';
import { type Installed, installPython } from '../harness/python.ts';
import { type GatewayProcess, type GatewaySite, startGatewaySite } from './site.ts';

const AIOCOAP = '0.4.17';
const CLIENT = fileURLToPath(new URL('coap_client.py', import.meta.url));
const JSON_FORMAT = 50;

let installed: Installed;
let site: GatewaySite | undefined;
let gateway: GatewayProcess;
let client: ChildProcess | undefined;
let answers: AsyncIterator<string>;
beforeAll(async () => {
  installed = await installPython(`aiocoap-${AIOCOAP}`, [`aiocoap==${AIOCOAP}`], 'import aiocoap.transports.tls');
  if ('missing' in installed) return;
  site = await startGatewaySite();
  const file = (name: string): string => `${site?.dir}/${name}`;
  const [server, device] = [
    await site.ca.issue([[{ type: 'CN', value: 'localhost' }]], { usages: [SERVER_AUTH] }),
    await site.identity('thermo-1.berlin'),
  ];
  for (const [name, text] of Object.entries({
    ...{ 'coap.crt': server.certPem, 'coap.key': server.keyPem, 'devices.pem': site.ca.certPem },
    ...{ 'thermo.crt': device.certPem, 'thermo.key': device.keyPem },
  }))
    writeFileSync(file(name), text);
  const port = String(await freePort());
  gateway = await site.startGateway([
    ...['--coap-port', port, '--coap-host', '127.0.0.1', '--coap-ca-file', file('devices.pem')],
    ...['--coap-cert-file', file('coap.crt'), '--coap-key-file', file('coap.key')],
  ]);
  const args = [CLIENT, 'localhost', port, file('devices.pem'), file('thermo.crt'), file('thermo.key')];
  client = spawn(installed.path, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  if (client.stdout !== null) answers = createInterface(client.stdout)[Symbol.asyncIterator]();
}, 300_000);
afterAll(async () => {
  client?.kill('SIGKILL');
  await site?.stop();
});

async function post(path: string, message: unknown): Promise<{ code?: string; says?: string }> {
  const payload = Buffer.from(JSON.stringify(message)).toString('hex');
  client?.stdin?.write(`${JSON.stringify({ code: 'POST', path, payload, format: JSON_FORMAT })}\n`);
  const { value } = (await answers.next()) as { value: string };
  return JSON.parse(value) as { code?: string; says?: string };
}
const wrapped = (seq: number, m: unknown) => ({ v: 1, boot: 1, seq, ts: Date.now(), m });

it('a device posts by CoAP, is told what became of it, and has one memory with what it says by MQTT', async (test) => {
  if ('missing' in installed) return test.skip(installed.missing);
  const message = wrapped(1, { celsius: 21 });
  expect(await post('/dt/climate', message)).toMatchObject({ code: '2.04 Changed' });
  expect(await post('/dt/climate', message)).toMatchObject({ code: '4.09 Conflict', says: expect.stringContaining('HR-GW-202') });
  expect(await post('/dt/climate', { celsius: 21 })).toMatchObject({
    code: '4.00 Bad Request',
    says: expect.stringContaining('HR-GW-201'),
  });
  const thermo = await site?.speaker('thermo-1');
  await thermo?.say('climate', { celsius: 21 });
  await expect.poll(() => gateway.metric('fleet_gateway_messages_total', { result: 'HR-GW-202' }), { timeout: 30_000 }).toBe(2);
  expect(await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' })).toBe(1);
});
