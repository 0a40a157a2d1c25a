import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { type DeviceCa, type Identity, makeDeviceCa, SERVER_AUTH, subject } from '../../../test/broker/testing/pki.ts';
import { readLists } from '../../artifacts/client-certificate.ts';
import type { TlsFiles } from '../../artifacts/tls-files.ts';
import { CODE, type CoapMessage, readMessage, writeMessage } from './message.ts';
import { type CoapServerDeps, createCoapServer } from './server.ts';

let ca: DeviceCa;
let server: Identity;
let device: Identity;
beforeAll(async () => {
  ca = await makeDeviceCa('site');
  server = await ca.issue([[{ type: 'CN', value: 'localhost' }]], { usages: [SERVER_AUTH] });
  device = await ca.issue(subject('hedgerow', 'air.berlin', 'air-1.berlin'));
});
const filesOf = (more: Partial<TlsFiles> = {}): TlsFiles => ({
  key: server.keyPem,
  cert: server.certPem,
  ca: ca.certPem,
  lists: [],
  hash: '',
  ...more,
});

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(more: Partial<CoapServerDeps> = {}) {
  const heard: string[] = [];
  const made = createCoapServer({
    ...{ host: '127.0.0.1', port: 0, files: filesOf(), maximumBytes: 1_000, clock: systemClock, log: silentLog },
    async accept(who, stream, payload) {
      heard.push(`${who} ${stream} ${payload}`);
      return { code: CODE.CHANGED, says: '' };
    },
    ...more,
  });
  open.push(made);
  const { port } = await made.listen();
  return { made, port, heard };
}

const signal = (code: number): Buffer => writeMessage({ code, token: Buffer.alloc(0), options: [], payload: Buffer.alloc(0) });
const post = (token: number): Buffer =>
  writeMessage({
    ...{ code: CODE.POST, token: Buffer.from([token]), payload: Buffer.from('{}') },
    options: ['dt', 'air'].map((value) => ({ number: 11, value: Buffer.from(value) })),
  });

/** A client that says what it is told to, and reads messages. */
function client(port: number, who: Identity | undefined, alpn: string[] | undefined = ['coap']) {
  const socket: TLSSocket = connect({
    ...{ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certPem },
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
    ...(who === undefined ? {} : { cert: who.certPem, key: who.keyPem }),
  });
  const said: CoapMessage[] = [];
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (let found = readMessage(rest, 10_000); found !== undefined; found = readMessage(rest, 10_000)) {
      said.push(found.message);
      rest = rest.subarray(found.end);
    }
  });
  socket.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  open.push({ close: () => socket.destroy() });
  return { socket, said, ended };
}
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('coaps+tcp', () => {
  it('takes a message of the device that the certificate names', async () => {
    const { port, heard } = await start();
    const one = client(port, device);
    one.socket.write(Buffer.concat([signal(CODE.CSM), post(1), post(2)]));
    await until(() => one.said.length === 3);
    expect(one.said.map(({ code, token }) => [code, token.toString('hex')])).toEqual([
      [CODE.CSM, ''],
      [CODE.CHANGED, '01'],
      [CODE.CHANGED, '02'],
    ]);
    expect(heard).toEqual(['air-1.berlin air {}', 'air-1.berlin air {}']);
    expect(one.socket.alpnProtocol).toBe('coap');
  });

  it('lets nobody in without a certificate, with one of a stranger, or with one that names no device', async () => {
    const { port, heard } = await start();
    const stranger = await (await makeDeviceCa('elsewhere')).issue(subject('hedgerow', 'air.berlin', 'air-1.berlin'));
    const odd = await ca.issue([[{ type: 'CN', value: 'air-1.berlin' }]]);
    const moved = await ca.issue(subject('hedgerow', 'air.paris', 'air-1.berlin'));
    for (const who of [undefined, stranger, odd, moved]) {
      const one = client(port, who);
      one.socket.write(Buffer.concat([signal(CODE.CSM), post(1)]));
      await one.ended;
      expect(one.said).toEqual([]);
    }
    const other = client(port, device, ['h2']);
    await other.ended;
    expect(heard).toEqual([]);
  });

  it('ends the connection of a device whose certificate a new list names, and lets it in no more', async () => {
    const { made, port } = await start();
    const other = await ca.issue(subject('hedgerow', 'air.berlin', 'air-2.berlin'));
    const [one, two] = [client(port, device), client(port, other)];
    await until(() => one.said.length === 1 && two.said.length === 1);
    made.setFiles(filesOf({ lists: readLists(Buffer.from(await ca.crl([device])), 'crl.pem') }));
    await one.ended;
    await client(port, device).ended;
    two.socket.write(Buffer.concat([signal(CODE.CSM), post(1)]));
    await until(() => two.said.length === 2);
  });

  it('gives one device two connections, and no more', async () => {
    const { port, made } = await start();
    const [one, two] = [client(port, device), client(port, device)];
    await until(() => one.said.length === 1 && two.said.length === 1);
    await client(port, device).ended;
    one.socket.destroy();
    await until(() => made.connections === 1);
    const again = client(port, device);
    await until(() => again.said.length === 1);
  });

  it('does not wait for a client that reads no answers', async () => {
    const { port } = await start({ bounds: { unreadBytes: 2_000 }, accept: async () => ({ code: CODE.CONFLICT, says: 'x'.repeat(500) }) });
    const one = client(port, device);
    await until(() => one.said.length === 1);
    one.socket.pause();
    one.socket.write(signal(CODE.CSM));
    const more = setInterval(() => one.socket.writable && one.socket.write(Buffer.concat(Array.from({ length: 50 }, () => post(1)))), 1);
    one.socket.on('close', () => clearInterval(more));
    await one.ended;
  });

  it('leaves a connection on which nothing comes', async () => {
    const { port } = await start({ bounds: { idleMs: 50 } });
    await client(port, device).ended;
  });
});
