// The feeder's handle: a process of its own on the other core, spoken with by messages.
import { fileURLToPath } from 'node:url';
import type { Answer, Flowed, Order } from './feeder/protocol.ts';
import { FEEDER_CORE, type Pinned, startPinned } from './pinned.ts';
import { type Keys, topics } from './scene.ts';

export type Feeder = {
  readonly port: number;
  /** Somebody has subscribed to the telemetry. */
  subscribed(subject: Pinned): Promise<void>;
  flow(order: Omit<Order & { do: 'flow' }, 'do'>): Promise<Flowed>;
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('feeder/main.ts', import.meta.url));
const PATIENCE_MS = 60_000;

export async function startFeeder({ server, caPem }: Keys): Promise<Feeder> {
  const pinned = startPinned(FEEDER_CORE, [MAIN], { ipc: true });
  const heard: Answer[] = [];
  let wake: () => void = () => undefined;
  pinned.child.on('message', (answer) => {
    heard.push(answer as Answer);
    wake();
  });
  pinned.child.on('exit', () => {
    heard.push({ said: 'failed', why: `it ended: ${pinned.lastWords()}` });
    wake();
  });
  const send = (order: Order): void => void pinned.child.send(order);

  async function answer<Said extends Answer['said']>(said: Said, forMs: number, subject?: Pinned): Promise<Answer & { said: Said }> {
    const late = setTimeout(() => {
      heard.push({ said: 'failed', why: `it did not say ${said} within ${forMs / 1_000} s` });
      wake();
    }, forMs);
    try {
      for (;;) {
        const next = heard.shift();
        if (next?.said === said) return next as Answer & { said: Said };
        if (next?.said === 'failed') throw new Error(`the feeder: ${next.why}\n${subject?.lastWords() ?? ''}`);
        if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      clearTimeout(late);
    }
  }

  send({ do: 'listen', keyPem: server.keyPem, certPem: server.certPem, caPem, topics: [...topics] });
  const { port } = await answer('listening', PATIENCE_MS);
  return {
    port,
    subscribed: async (subject) => void (await answer('subscribed', PATIENCE_MS, subject)),
    async flow(order) {
      send({ do: 'flow', ...order });
      return await answer('flowed', (order.warmUpSeconds + order.seconds) * 1_000 + PATIENCE_MS);
    },
    stop: () => pinned.stop(),
  };
}
