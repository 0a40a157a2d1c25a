// `operator canary`: a pod that takes connections on a few ports and ends them at once. It knows nothing and needs no right.
import { createServer, type Server } from 'node:net';
import { untilAborted } from '../runtime/until-aborted.ts';
import { PORTS } from './network-decide.ts';

/** Listens on all ports or rejects; ends with the signal. */
export async function runCanary(signal: AbortSignal): Promise<number> {
  const servers = await Promise.all(Object.values(PORTS).map(listen));
  await untilAborted(signal);
  for (const server of servers) server.close();
  return 0;
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).destroy();
    });
    server.once('error', reject).listen(port, () => resolve(server));
  });
}
