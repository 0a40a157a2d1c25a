// A listener in front of a broker that passes every byte on and keeps a copy: the capture on the uplink, without rights on the machine.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Wire } from './tls13.ts';

export type Tap = {
  port: number;
  /** Of each connection, in the order in which they came. */
  captured(): Wire[];
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
};

export async function startTap(to: { host: string; port: number }): Promise<Tap> {
  const connections: { fromClient: Buffer[]; fromServer: Buffer[] }[] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const kept = { fromClient: [] as Buffer[], fromServer: [] as Buffer[] };
    connections.push(kept);
    const broker = connect(to.port, to.host);
    pass(client, broker, kept.fromClient);
    pass(broker, client, kept.fromServer);
    for (const socket of [client, broker]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    }
  });
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    captured: () => connections.map((one) => ({ fromClient: Buffer.concat(one.fromClient), fromServer: Buffer.concat(one.fromServer) })),
    cut,
    async close() {
      cut();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

function pass(from: Socket, to: Socket, kept: Buffer[]): void {
  from.on('data', (chunk: Buffer) => {
    kept.push(chunk);
    if (!to.write(chunk)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  from.on('end', () => to.end());
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}
