// What the control run of the capture uses: the same traffic, with its TLS taken off one hop earlier, so that an eavesdropper reads it.
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';

export type PlainProxy = { port: number; stop(): Promise<void> };

/** Listens without TLS and speaks TLS to `target`. */
export async function startPlainProxy(target: ConnectionOptions & { port: number }): Promise<PlainProxy> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', ...target });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** MQTT 3.1.1 CONNECT with client id "x", clean session (§3.1). */
const CONNECT = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x78]);
const CONNACK = 0x20;
const PATIENCE_MS = 1_000;

/** Whether a port answers an MQTT CONNECT that comes without TLS. Whatever is no CONNACK within a second is a no: so is a closed port. */
export function speaksPlainMqtt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectPlain({ host: '127.0.0.1', port, timeout: PATIENCE_MS }, () => socket.write(CONNECT));
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (data) => end(data[0] === CONNACK));
    for (const event of ['error', 'timeout', 'close']) socket.once(event, () => end(false));
  });
}
