// Many devices in one process, as cheap as a device can be: a TLS socket, one CONNECT of MQTT 5, a PINGREQ now and then. Tells when a socket closes.
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { generate, parser } from 'mqtt-packet';
import { parallel } from '../../harness/parallel.ts';
import type { Client, News, Order } from './messages.ts';

const KEEPALIVE_SECONDS = 600;
const CONNECT_WITHIN_MS = 60_000;
const ATTEMPTS = 3;

const open = new Set<TLSSocket>();
const tell = (news: News): void => void process.send?.(news);

process.on('message', (order: Order) => {
  void parallel(order.clients, order.lanes, async (client) => {
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
});
// The bench is gone or done.
process.on('disconnect', () => process.exit(0));
// Half of the keep-alive, one timer for all (MQTT 5 §3.1.2.10).
setInterval(
  () => {
    for (const socket of open) socket.write(generate({ cmd: 'pingreq' }));
  },
  (KEEPALIVE_SECONDS * 1000) / 2,
);

/** Resolves with CONNACK and reason code 0. */
function join({ host, port, caPem }: Order, { clientId, keyPem, certPem }: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    const secureContext = createSecureContext({ key: keyPem, cert: certPem, ca: caPem });
    const socket = connect({ host, port, servername: 'localhost', secureContext });
    const packets = parser({ protocolVersion: 5 });
    let joined = false;
    const late = setTimeout(() => socket.destroy(new Error('no CONNACK in time')), CONNECT_WITHIN_MS);
    socket.on('secureConnect', () =>
      socket.write(
        generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId, clean: true, keepalive: KEEPALIVE_SECONDS }),
      ),
    );
    packets.on('packet', (packet) => {
      if (packet.cmd !== 'connack') return;
      clearTimeout(late);
      if (packet.reasonCode !== 0) return socket.destroy(new Error(`CONNACK ${packet.reasonCode}`));
      joined = true;
      open.add(socket);
      resolve();
    });
    socket.on('data', (bytes) => packets.parse(bytes));
    // A reset counts as closed like an orderly end: `close` follows.
    socket.on('error', reject);
    // The broker ends its side: a device ends the other at once.
    socket.on('close', () => {
      clearTimeout(late);
      if (open.delete(socket)) tell({ kind: 'closed', clientId, at: Date.now() });
      if (!joined) reject(new Error('closed before CONNACK'));
    });
  });
}
