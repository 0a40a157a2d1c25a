// Many devices in one process, as cheap as a device can be: a TLS socket, one CONNECT of MQTT 5, its subscriptions, a PINGREQ now and then. Tells when a socket closes.
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { generate, type Packet, parser } from 'mqtt-packet';
import { parallel } from '../../harness/parallel.ts';
import type { Client, News, Order } from './messages.ts';

const KEEPALIVE_SECONDS = 600;
const DAY_SECONDS = 86_400;
const CONNECT_WITHIN_MS = 60_000;
const ATTEMPTS = 3;
/** MQTT 5 §3.9.3: from here on a SUBACK code is a refusal. */
const REFUSED = 0x80;

type Joined = { socket: TLSSocket; filters: readonly string[] };
const open = new Map<string, Joined>();
const heard = new Map<string, Set<string>>();
const tell = (news: News): void => void process.send?.(news);

process.on('message', (order: Order) => {
  if (order.kind === 'join') void joinAll(order);
  else if (order.kind === 'tally') tell({ kind: 'tally', heard: [...heard].map(([clientId, messages]) => [clientId, messages.size]) });
  else for (const [clientId, joined] of open) if (order.clientId === undefined || order.clientId === clientId) subscribe(joined);
});
// The bench is gone or done.
process.on('disconnect', () => process.exit(0));
// Half of the keep-alive, one timer for all (MQTT 5 §3.1.2.10).
setInterval(
  () => {
    for (const { socket } of open.values()) socket.write(generate({ cmd: 'pingreq' }));
  },
  (KEEPALIVE_SECONDS * 1000) / 2,
);

type JoinOrder = Order & { kind: 'join' };

function joinAll(order: JoinOrder): Promise<unknown> {
  return parallel(order.clients, order.lanes, async (client) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await join(order, client);
        tell({ kind: 'connected', clientId: client.clientId });
        return;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        if (attempt === ATTEMPTS) return tell({ kind: 'failed', clientId: client.clientId, why });
      }
    }
  });
}

/** Resolves with CONNACK and reason code 0. */
function join({ host, port, caPem }: JoinOrder, { clientId, keyPem, certPem, filters = [] }: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    const secureContext = createSecureContext({ key: keyPem, cert: certPem, ca: caPem });
    const socket = connect({ host, port, servername: 'localhost', secureContext });
    const packets = parser({ protocolVersion: 5 });
    let joined = false;
    const late = setTimeout(() => socket.destroy(new Error('no CONNACK in time')), CONNECT_WITHIN_MS);
    socket.on('secureConnect', () => socket.write(connectPacket(clientId, filters.length > 0)));
    packets.on('packet', (packet: Packet) => {
      if (packet.cmd !== 'connack') return take(clientId, socket, packet);
      clearTimeout(late);
      if (packet.reasonCode !== 0) return void socket.destroy(new Error(`CONNACK ${packet.reasonCode}`));
      joined = true;
      open.set(clientId, { socket, filters });
      if (filters.length > 0) heard.set(clientId, new Set());
      resolve();
    });
    socket.on('data', (bytes) => packets.parse(bytes));
    // A reset counts as closed like an orderly end: `close` follows.
    socket.on('error', reject);
    // The broker ends its side: a device ends the other at once.
    socket.on('close', () => {
      clearTimeout(late);
      if (joined && open.delete(clientId)) tell({ kind: 'closed', clientId, at: Date.now() });
      if (!joined) reject(new Error('closed before CONNACK'));
    });
  });
}

function connectPacket(clientId: string, lasting: boolean): Buffer {
  return generate({
    ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId, clean: !lasting, keepalive: KEEPALIVE_SECONDS },
    ...(lasting ? { properties: { sessionExpiryInterval: DAY_SECONDS } } : {}),
  });
}

function subscribe({ socket, filters }: Joined): void {
  if (filters.length === 0) return;
  const subscriptions = filters.map((topic) => ({ topic, qos: 1 as const }));
  socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions }, { protocolVersion: 5 }));
}

function take(clientId: string, socket: TLSSocket, packet: Packet): void {
  // With MQTT 5 these are reason codes.
  if (packet.cmd === 'suback') tell({ kind: 'answered', clientId, granted: packet.granted.every((code) => Number(code) < REFUSED) });
  if (packet.cmd !== 'publish') return;
  heard.get(clientId)?.add(`${packet.topic} ${packet.payload.toString()}`);
  if (packet.messageId !== undefined)
    socket.write(generate({ cmd: 'puback', messageId: packet.messageId, reasonCode: 0 }, { protocolVersion: 5 }));
}
