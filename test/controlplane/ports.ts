// Free ports on loopback below the range that outgoing connections use: a port stays ours while its process is down and comes back on it.
import { createServer } from 'node:net';

const FIRST = 20_000;
const COUNT = 12_000;

export async function freePorts<Name extends string>(names: readonly Name[], address: string): Promise<Record<Name, number>> {
  const ports: Partial<Record<Name, number>> = {};
  const taken = new Set<number>();
  for (const name of names) {
    const port = await freePort(address, taken);
    taken.add(port);
    ports[name] = port;
  }
  return ports as Record<Name, number>;
}

async function freePort(address: string, taken: ReadonlySet<number>): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (!taken.has(port) && (await bindable(address, port))) return port;
  }
  throw new Error(`no free port between ${FIRST} and ${FIRST + COUNT} on ${address}`);
}

function bindable(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}
