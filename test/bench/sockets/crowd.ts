// The clients of a bench, spread over processes of their own so that closing a socket is seen when it happens.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../../harness/wait.ts';
import type { BrokerAddress } from '../../simulator/device.ts';
import type { Client, News, Order } from './messages.ts';

export type Crowd = {
  connected(): number;
  /** When its socket was seen to close (ms since the epoch). */
  closedAt(clientId: string): number | undefined;
  closed(): string[];
  failures(): string[];
  /** All of them with filters, or the one, subscribe again; who was granted everything. */
  ask(clientId?: string): Promise<ReadonlySet<string>>;
  /** How many different messages each client with filters has been sent. */
  tally(): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const PROCESSES = 4;
/** Handshakes at a time: the broker lets in 500 a second. */
const LANES = 4;
const WITHIN_MS = 1_800_000;
const ANSWERS_WITHIN_MS = 60_000;

/** Connects all of them and resolves when each is in or has failed three times. */
export async function gather(clients: readonly Client[], address: BrokerAddress, say: (line: string) => void): Promise<Crowd> {
  const connected = new Set<string>();
  const closed = new Map<string, number>();
  const failures: string[] = [];
  const answers = new Map<string, boolean>();
  const tallies: (News & { kind: 'tally' })[] = [];
  const take = (news: News): void => {
    if (news.kind === 'connected') connected.add(news.clientId);
    else if (news.kind === 'closed') closed.set(news.clientId, news.at);
    else if (news.kind === 'answered') answers.set(news.clientId, news.granted);
    else if (news.kind === 'tally') tallies.push(news);
    else failures.push(`${news.clientId}: ${news.why}`);
  };
  const children = Array.from({ length: PROCESSES }, (_, at) => {
    const child = fork(MAIN, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child.on('message', (news: News) => take(news));
    const own = clients.filter((_client, index) => index % PROCESSES === at);
    child.send({ kind: 'join', ...address, lanes: LANES, clients: own } satisfies Order);
    return child;
  });
  const order = (one: Order): void => {
    for (const child of children) child.send(one);
  };
  const crowd: Crowd = {
    connected: () => connected.size - closed.size,
    closedAt: (clientId) => closed.get(clientId),
    closed: () => [...closed.keys()],
    failures: () => failures,
    async ask(clientId) {
      const asked = clients.filter((one) => one.filters !== undefined && (clientId ?? one.clientId) === one.clientId);
      const waiting = asked.filter((one) => connected.has(one.clientId) && !closed.has(one.clientId));
      answers.clear();
      order(clientId === undefined ? { kind: 'ask' } : { kind: 'ask', clientId });
      await waitFor(`${waiting.length} SUBACKs`, () => (answers.size >= waiting.length ? true : undefined), {
        ...{ timeoutMs: ANSWERS_WITHIN_MS, everyMs: 5, describe: () => `${answers.size} came` },
      });
      return new Set([...answers].flatMap(([one, granted]) => (granted ? [one] : [])));
    },
    async tally() {
      tallies.length = 0;
      order({ kind: 'tally' });
      await waitFor('the tallies', () => (tallies.length === children.length ? true : undefined), {
        timeoutMs: ANSWERS_WITHIN_MS,
        everyMs: 5,
      });
      return new Map(tallies.flatMap(({ heard }) => heard));
    },
    stop: async () => void (await Promise.all(children.map(end))),
  };
  let said = 0;
  await waitFor(
    `${clients.length} clients to be connected`,
    () => {
      const done = connected.size + failures.length;
      if (done >= said + 1000) say(`${connected.size} of ${clients.length} clients are connected`);
      if (done >= said + 1000) said = done - (done % 1000);
      return done >= clients.length ? true : undefined;
    },
    { timeoutMs: WITHIN_MS, everyMs: 200, describe: () => `${connected.size} are in, ${failures.length} failed` },
  );
  return crowd;
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.disconnect();
  });
}
