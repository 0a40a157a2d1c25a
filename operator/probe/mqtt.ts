// One connection of the canary: MQTT 5 over mutual TLS, as much of it as a probe needs. What a broker sends beside answers is counted and dropped unread.
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { Clock } from '../runtime/clock.ts';

export type Target = { host: string; port: number };
export type Credentials = { ca: string | undefined; certificate: string; key: KeyObject; clientId: string };

export type Session = {
  /** The reason code of each filter, in order. */
  subscribe(filters: readonly string[]): Promise<number[]>;
  unsubscribe(filters: readonly string[]): Promise<void>;
  /** At QoS 1; the reason code. */
  publish(topic: string, payload: string): Promise<number>;
  /** Resolves when this payload has come on this topic. */
  arrival(topic: string, payload: string): Promise<void>;
  close(): void;
};

/** The connection could not be made, or it ended, or an answer did not come: nothing can be said of rights. */
export class Broken extends Error {}

const STEP_MS = 10_000;
const KEEPALIVE_SECONDS = 60;
const FIVE = { protocolVersion: 5 } as const;
/** A broker that is open may send the talk of a whole fleet before it is told to stop. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Rejects with `Broken`. */
export async function openSession(target: Target, who: Credentials, clock: Clock, signal: AbortSignal): Promise<Session> {
  const link = createLink(target, who, clock, signal);
  try {
    await link.secured;
    const connack = link.next((packet) => packet.cmd === 'connack', 'CONNACK');
    link.send({ cmd: 'connect', protocolId: 'MQTT', ...FIVE, clean: true, clientId: who.clientId, keepalive: KEEPALIVE_SECONDS });
    const { reasonCode = 0 } = (await connack) as Packet & { reasonCode?: number };
    if (reasonCode !== 0) throw new Broken(`the broker refused the canary (CONNACK 0x${reasonCode.toString(16)})`);
    return sessionOn(link);
  } catch (error) {
    link.close();
    throw error;
  }
}

function sessionOn(link: Link): Session {
  let last = 0;
  const answered = (cmd: Packet['cmd'], messageId: number, what: string): Promise<Packet> =>
    link.next((packet) => packet.cmd === cmd && packet.messageId === messageId, what);
  return {
    async subscribe(filters) {
      const messageId = ++last;
      const answer = answered('suback', messageId, 'SUBACK');
      link.send({ cmd: 'subscribe', messageId, subscriptions: filters.map((topic) => ({ topic, qos: 0 })) });
      const { granted } = (await answer) as Packet & { granted?: unknown[] };
      const codes = (granted ?? []).filter((code): code is number => typeof code === 'number');
      if (codes.length !== filters.length) throw new Broken('the broker answered another number of filters than was asked for');
      return codes;
    },
    async unsubscribe(filters) {
      const messageId = ++last;
      const answer = answered('unsuback', messageId, 'UNSUBACK');
      link.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [...filters] });
      await answer;
    },
    async publish(topic, payload) {
      const messageId = ++last;
      const answer = answered('puback', messageId, 'PUBACK');
      link.send({ cmd: 'publish', messageId, topic, payload, qos: 1, dup: false, retain: false });
      return ((await answer) as Packet & { reasonCode?: number }).reasonCode ?? 0;
    },
    async arrival(topic, payload) {
      await link.next(
        (packet) => packet.cmd === 'publish' && packet.topic === topic && packet.payload.toString() === payload,
        'message of its own',
      );
    },
    close() {
      link.send({ cmd: 'disconnect', reasonCode: 0 });
      link.close();
    },
  };
}

type Link = {
  secured: Promise<void>;
  send(packet: Packet): void;
  /** The next packet of which this is true; rejects with `Broken` when it does not come in time. Ask before you send. */
  next(isIt: (packet: Packet) => boolean, what: string): Promise<Packet>;
  close(): void;
};

function createLink({ host, port }: Target, who: Credentials, clock: Clock, signal: AbortSignal): Link {
  const socket: TLSSocket = connect({
    ...{ host, port, minVersion: 'TLSv1.2' },
    ...(who.ca === undefined ? {} : { ca: who.ca }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // Node asks for the name of `servername` alone; an address has to be in the certificate too.
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    ...{ cert: who.certificate, key: who.key.export({ type: 'pkcs8', format: 'pem' }) },
  });
  const waiting = new Set<{ isIt: (packet: Packet) => boolean; done: (packet: Packet) => void; failed: (why: Broken) => void }>();
  let ended: Broken | undefined;
  let bytes = 0;

  function end(why: Broken): void {
    ended ??= why;
    socket.destroy();
    for (const one of waiting) one.failed(ended);
    waiting.clear();
  }
  const parser = mqttPacket.parser(FIVE);
  parser.on('packet', (packet: Packet) => {
    if (packet.cmd === 'disconnect')
      return end(new Broken(`the broker ended the connection (DISCONNECT 0x${(packet.reasonCode ?? 0).toString(16)})`));
    for (const one of waiting) if (one.isIt(packet)) one.done(packet);
  });
  parser.on('error', () => end(new Broken('the broker sent something that is no MQTT 5')));
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) end(new Broken('the broker sent far more than answers'));
    else parser.parse(chunk);
  });
  socket.on('error', (error: Error & { code?: string }) => end(new Broken(error.code ?? error.message)));
  socket.on('close', () => end(new Broken('the connection was closed')));
  const aborted = (): void => end(new Broken('the operator stops'));
  signal.addEventListener('abort', aborted, { once: true });
  if (signal.aborted) aborted();

  function within<T>(what: string, start: (done: (value: T) => void, failed: (why: Broken) => void) => () => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      const timer = clock.setTimer(STEP_MS, () => settle(() => reject(new Broken(`no ${what} within ${STEP_MS / 1000} s`))));
      const settle = (how: () => void): void => {
        timer.cancel();
        forget();
        how();
      };
      const forget = start(
        (value) => settle(() => resolve(value)),
        (why) => settle(() => reject(why)),
      );
    });
  }
  const waitFor = (what: string, isIt: (packet: Packet) => boolean): Promise<Packet> =>
    within<Packet>(what, (done, failed) => {
      const one = { isIt, done, failed };
      waiting.add(one);
      return () => waiting.delete(one);
    });
  const secured = within<void>('TLS connection', (done, failed) => {
    const one = { isIt: () => false, done: () => done(), failed };
    waiting.add(one);
    socket.once('secureConnect', () => done());
    return () => waiting.delete(one);
  });
  return {
    secured,
    next: (isIt, what) => waitFor(what, isIt),
    send(packet) {
      if (ended === undefined) socket.write(mqttPacket.generate(packet, FIVE));
    },
    close() {
      signal.removeEventListener('abort', aborted);
      // What was written goes out; who still waits is told.
      socket.end();
      end(new Broken('the canary has left'));
    },
  };
}
