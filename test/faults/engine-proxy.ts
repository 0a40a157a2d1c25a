// A proxy between the operator and the real API server that answers for it, loses answers, and cuts watches in the middle of an event.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';

export type Seen = { method: string; url: string; watch: boolean };
/** `instead`: the API server never hears of it. `lose`: it is carried out and the connection breaks before the answer. `cut`: a watch breaks in the middle of its next event. */
export type Meddling =
  | { how: 'instead'; status: number; reason: string; retryAfter?: number }
  | { how: 'lose' }
  | { how: 'cut' }
  /** In place of the next event of a watch. */
  | { how: 'event'; status: number; reason: string };

export class EngineProxy {
  /** Asked for every request; `undefined` lets it through. */
  meddle: (seen: Seen) => Meddling | undefined = () => undefined;
  /** Every request that came, in order. */
  readonly seen: Seen[] = [];
  /** How often each kind of meddling happened. */
  readonly done: Record<Meddling['how'], number> = { instead: 0, lose: 0, cut: 0, event: 0 };
  readonly #upstream: string;
  readonly #agent: Agent;
  readonly #server: Server;
  readonly #watches = new Set<ServerResponse>();

  constructor(upstream: string, caPem: string) {
    this.#upstream = upstream;
    this.#agent = new Agent({ keepAlive: true, ca: caPem });
    this.#server = createServer((incoming, response) => this.#serve(incoming, response));
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get writes(): number {
    return this.seen.filter(({ method }) => method !== 'GET').length;
  }

  /** Breaks every watch that is open, wherever it is. */
  cutWatches(): number {
    const open = [...this.#watches];
    for (const response of open) response.destroy();
    return open.length;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = incoming;
    const seen = { method, url, watch: /[?&]watch=true/.test(url) };
    this.seen.push(seen);
    const meddling = this.meddle(seen);
    if (meddling?.how === 'instead') {
      this.done.instead++;
      incoming.resume();
      response.writeHead(meddling.status, {
        'content-type': 'application/json',
        ...(meddling.retryAfter === undefined ? {} : { 'retry-after': String(meddling.retryAfter) }),
      });
      response.end(statusText(meddling));
      return;
    }
    const forwarded = request(
      new URL(url, this.#upstream),
      { method, agent: this.#agent, headers: { ...incoming.headers, host: new URL(this.#upstream).host } },
      (answer) => this.#answer(answer, response, seen, meddling),
    );
    forwarded.on('error', () => response.destroy());
    response.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  }

  #answer(answer: IncomingMessage, response: ServerResponse, { watch }: Seen, meddling: Meddling | undefined): void {
    answer.on('error', () => response.destroy());
    if (meddling?.how === 'lose') {
      this.done.lose++;
      answer.resume();
      answer.on('end', () => response.destroy());
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (!watch) {
      answer.pipe(response);
      return;
    }
    this.#watches.add(response);
    response.on('close', () => this.#watches.delete(response));
    answer.on('data', (chunk: Buffer) => {
      if (meddling?.how === 'cut') {
        this.done.cut++;
        response.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => response.destroy());
        answer.destroy();
      } else if (meddling?.how === 'event') {
        this.done.event++;
        response.end(`${JSON.stringify({ type: 'ERROR', object: JSON.parse(statusText(meddling)) as unknown })}\n`);
        answer.destroy();
      } else response.write(chunk);
    });
    answer.on('end', () => response.end());
  }
}

function statusText({ status, reason }: { status: number; reason: string }): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason, message: `the proxy says ${reason}` });
}
