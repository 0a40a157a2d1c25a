// The site around the subject, in one process on a core of its own: the broker's side of its connection, and behind it the devices. A whole broker on the same core as
// the devices would be what is measured: this one only makes packets, hands them on and counts acknowledgements.
import { createServer, type TLSSocket } from 'node:tls';
import { cpuSeconds } from '../../cpu.ts';
import { createMessages, type Kind, type Messages } from './message.ts';
import type { Answer, Flowed, Order } from './protocol.ts';
import { createSession, type Session } from './session.ts';

const MOST_AT_ONCE = 256;
const MALFORMED_EVERY = 1_000;
/** So that no good message has the time of a malformed one: within what clocks may differ. */
const MALFORMED_AGO_MS = 50_000;
const PACE_MS = 2;
/** How long alerts may be on their way after the last message. */
const PATIENCE_MS = 5_000;

const say = (answer: Answer): void => void process.send?.(answer);
const fail = (why: string): void => {
  say({ said: 'failed', why });
  process.disconnect?.();
  process.exit(1);
};

let messages: Messages;
let devices = 0;
let next = 0;
let sentCount = 0;
let acknowledgedCount = 0;
let refused = 0;
let receiver: Session | undefined;
let pump: () => void = () => undefined;
/** By the second that the device gave as the time of the message: each has its own. */
const crossings = new Map<number, number>();
const malformed = new Set<number>();
let alertsAfterMs: number[] = [];
let wrongAlerts = 0;

process.on('message', (order: Order) => {
  if (order.do === 'listen') listen(order);
  else void flow(order).then((flowed) => say({ said: 'flowed', ...flowed }));
});
process.on('disconnect', () => process.exit(0));

function listen({ keyPem, certPem, caPem, topics }: Order & { do: 'listen' }): void {
  messages = createMessages(topics);
  devices = topics.length;
  const server = createServer({ key: keyPem, cert: certPem, ca: caPem, requestCert: true, rejectUnauthorized: true }, accept);
  server.on('tlsClientError', (error) => fail(`a handshake failed: ${error.message}`));
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    say({ said: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 });
  });
}

function accept(socket: TLSSocket): void {
  socket.setNoDelay(true);
  const session = createSession(socket, {
    acknowledged(count) {
      acknowledgedCount += count;
      if (receiver === undefined) return;
      pump();
    },
    refused: () => {
      refused += 1;
    },
    published,
    ended: (why) => (session === receiver ? fail(`the subject's connection: ${why}`) : undefined),
  });
  socket.on('data', () => {
    if (!session.subscribed || receiver !== undefined) return;
    receiver = session;
    socket.on('drain', () => pump());
    say({ said: 'subscribed' });
  });
}

/** An alert is known by the second of the message that it is of, wherever in it that stands: no finer time leaves a site. */
function published(topic: string, payload: Buffer): void {
  const now = performance.now();
  if (!topic.startsWith('alert/') || !topic.endsWith('/range')) return;
  for (const [digits] of payload.toString('latin1').matchAll(/(?<![0-9])[0-9]{13}(?![0-9])/g)) {
    const second = secondOf(Number(digits));
    const sentAt = crossings.get(second);
    if (sentAt !== undefined) alertsAfterMs.push(now - sentAt);
    crossings.delete(second);
    if (malformed.delete(second)) wrongAlerts += 1;
  }
}

const secondOf = (ms: number): number => Math.floor(ms / 1_000);

async function flow({ perSecond, warmUpSeconds, seconds, crossingEveryMs, subject }: Order & { do: 'flow' }): Promise<Flowed> {
  const to = receiver;
  if (to === undefined) throw new Error('nobody has subscribed');
  const run = startFlow(to, perSecond, crossingEveryMs);
  await sleep(warmUpSeconds * 1_000);
  run.begin();
  const before = look(subject);
  await sleep(seconds * 1_000);
  const after = look(subject);
  run.end();
  const until = performance.now() + PATIENCE_MS;
  while ((to.unacknowledged > 0 || crossings.size > 0) && performance.now() < until) await sleep(10);
  return {
    acknowledged: after.acknowledged - before.acknowledged,
    seconds: (after.at - before.at) / 1_000,
    subjectCpuSeconds: after.subject - before.subject,
    feederCpuSeconds: after.own - before.own,
    ...{ alertsAfterMs, crossings: run.crossed(), wrongAlerts, malformed: run.malformed(), refused },
  };
}

function startFlow(to: Session, perSecond: number, crossingEveryMs: number) {
  const startedAt = performance.now();
  const startSent = sentCount;
  let [measuring, running, crossed, malformedCount, nextCrossing] = [false, true, 0, 0, startedAt];
  const kindOf = (now: number): Kind => {
    if (!measuring) return 'ordinary';
    if (now >= nextCrossing) {
      nextCrossing = now + crossingEveryMs;
      return 'crossing';
    }
    return sentCount % MALFORMED_EVERY === 0 ? 'malformed' : 'ordinary';
  };
  const chunkOf = (most: number): number => {
    const into = Buffer.allocUnsafe(most * messages.size);
    const [now, wall] = [performance.now(), Date.now()];
    let made = 0;
    for (; made < most; made++) {
      const id = to.take();
      if (id === undefined) break;
      const kind = kindOf(now);
      const ts = kind === 'malformed' ? wall - MALFORMED_AGO_MS : wall;
      messages.write(into, made * messages.size, next, id, ts, kind);
      if (kind === 'crossing') {
        crossings.set(secondOf(wall), now);
        crossed += 1;
      } else if (kind === 'malformed') {
        malformed.add(secondOf(ts));
        malformedCount += 1;
      }
      next = (next + 1) % devices;
      sentCount += 1;
    }
    if (made > 0) to.socket.write(into.subarray(0, made * messages.size));
    return made;
  };
  const owed = (): number =>
    perSecond === 0 ? Infinity : Math.floor(((performance.now() - startedAt) / 1_000) * perSecond) - (sentCount - startSent);
  pump = () => {
    while (running && !to.socket.writableNeedDrain) {
      const most = Math.min(MOST_AT_ONCE, owed());
      if (most <= 0 || chunkOf(most) < most) return;
    }
  };
  const pace = setInterval(() => pump(), PACE_MS);
  pump();
  return {
    begin: () => {
      measuring = true;
      alertsAfterMs = [];
      nextCrossing = performance.now();
    },
    end: () => {
      measuring = false;
      running = false;
      clearInterval(pace);
    },
    crossed: () => crossed,
    malformed: () => malformedCount,
  };
}

function look(subject: number) {
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    acknowledged: acknowledgedCount,
    own: (user + system) / 1e6,
    subject: cpuSeconds({ subject }).subject ?? 0,
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
