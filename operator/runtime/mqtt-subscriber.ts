// One connection that only hears: MQTT 5 over mutual TLS. A message is acknowledged when whoever took it says so, never before; nothing is ever published.
import { isIP } from 'node:net';
import { checkServerIdentity, connect } from 'node:tls';
import mqttPacket, { type IPublishPacket, type Packet } from 'mqtt-packet';
import type { Clock } from './clock.ts';

export type Target = { host: string; port: number };
/** `key`: PEM. */
export type Credentials = { ca: string | undefined; certificate: string; key: string; clientId: string };

/** `acknowledge` after the connection is over does nothing: the broker sends the message again. */
export type Delivery = { topic: string; payload: Buffer; acknowledge(): void };

export type Subscriber = {
  /** Whether the broker has kept the session since the last connection, with what came meanwhile. */
  isResumed: boolean;
  /** Undefined when all filters were granted, else the reason code of the first that was not. */
  subscribe(filters: readonly string[]): Promise<number | undefined>;
  /** Resolves with why, when the connection is over. Never rejects. */
  ended: Promise<string>;
  /** Messages beyond what may be unacknowledged (QoS 0 has no such bound) stay in the socket. */
  pause(): void;
  resume(): void;
  close(): void;
};

const STEP_MS = 10_000;
const KEEPALIVE_SECONDS = 30;
const FIVE = { protocolVersion: 5 } as const;
const FIRST_REFUSAL = 0x80;

export type SubscriberOptions = {
  /** What it is, in sentences: `consumer`. */
  name: string;
  qos: 0 | 1;
  /** How long the broker keeps the session while the subscriber is away, and how many messages are under way to it at once; undefined: no session lasts. */
  session?: { seconds: number; mostUnderWay: number };
  /** Larger messages are not sent to this client at all (MQTT 5, 3.1.2.11.4). */
  mostBytes: number;
  take(delivery: Delivery): void;
  clock: Clock;
};

/** Rejects with a sentence when no connection comes about. */
export async function openSubscriber(target: Target, who: Credentials, o: SubscriberOptions): Promise<Subscriber> {
  const { host, port } = target;
  const { clock } = o;
  const socket = connect({
    ...{ host, port, minVersion: 'TLSv1.2', cert: who.certificate, key: who.key },
    ...(who.ca === undefined ? {} : { ca: who.ca }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // Node asks for the name of `servername` alone; an address has to be in the certificate too.
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
  const ended = Promise.withResolvers<string>();
  let answer: PromiseWithResolvers<Packet> | undefined;
  let wanted: Packet['cmd'] | undefined;
  let isOver = false;
  let heardAt = clock.elapsed();
  let alive = { cancel: (): void => undefined };

  function end(why: string): void {
    if (isOver) return;
    isOver = true;
    alive.cancel();
    socket.destroy();
    answer?.reject(new Error(why));
    ended.resolve(why);
  }
  const send = (packet: Packet): void => void (isOver || socket.write(mqttPacket.generate(packet, FIVE)));
  /** One question at a time. */
  function ask(packet: Packet, cmd: Packet['cmd']): Promise<Packet> {
    const asked = Promise.withResolvers<Packet>();
    [answer, wanted] = [asked, cmd];
    const timer = clock.setTimer(STEP_MS, () => end(`no ${cmd} within ${STEP_MS / 1000} s`));
    if (isOver) asked.reject(new Error('the connection is over'));
    send(packet);
    return asked.promise.finally(() => timer.cancel());
  }
  function hear({ topic, payload, qos, messageId }: IPublishPacket): void {
    if (qos === 2) {
      end('the broker sent QoS 2, which was not asked for');
      return;
    }
    const acknowledge = (): void => {
      if (qos === 1 && messageId !== undefined) send({ cmd: 'puback', messageId, reasonCode: 0 });
    };
    o.take({ topic, payload: Buffer.isBuffer(payload) ? payload : Buffer.from(payload), acknowledge });
  }
  function took(packet: Packet): void {
    heardAt = clock.elapsed();
    if (packet.cmd === 'publish') hear(packet);
    else if (packet.cmd === 'disconnect') end(`the broker ended the connection (DISCONNECT 0x${(packet.reasonCode ?? 0).toString(16)})`);
    else if (packet.cmd === wanted) answer?.resolve(packet);
  }
  /** A connection that is dead says nothing: two pings without an answer end it. */
  function keepAlive(): void {
    alive = clock.setTimer(KEEPALIVE_SECONDS * 500, () => {
      if (!socket.isPaused() && clock.elapsed() - heardAt > KEEPALIVE_SECONDS * 1000) return end('the broker answers no more');
      send({ cmd: 'pingreq' });
      keepAlive();
    });
  }

  const parser = mqttPacket.parser(FIVE);
  parser.on('packet', took);
  parser.on('error', () => end('the broker sent something that is no MQTT 5'));
  socket.on('data', (chunk: Buffer) => void (isOver || parser.parse(chunk)));
  socket.on('error', (error: Error & { code?: string }) => end(error.code ?? error.message));
  socket.on('close', () => end('the connection was closed'));
  await secured();
  const { session } = o;
  const lasting = session === undefined ? {} : { receiveMaximum: session.mostUnderWay, sessionExpiryInterval: session.seconds };
  const properties = { maximumPacketSize: o.mostBytes, ...lasting };
  const hello = {
    protocolId: 'MQTT',
    ...FIVE,
    clean: session === undefined,
    clientId: who.clientId,
    keepalive: KEEPALIVE_SECONDS,
    properties,
  } as const;
  const connack = (await ask({ cmd: 'connect', ...hello }, 'connack')) as Packet & { reasonCode?: number; sessionPresent?: boolean };
  if ((connack.reasonCode ?? 0) !== 0) {
    end('refused');
    throw new Error(`the broker refused the ${o.name} (CONNACK 0x${(connack.reasonCode ?? 0).toString(16)})`);
  }
  keepAlive();
  let last = 0;
  return {
    isResumed: connack.sessionPresent === true,
    async subscribe(filters) {
      const subscriptions = filters.map((topic) => ({ topic, qos: o.qos }));
      const { granted = [] } = (await ask({ cmd: 'subscribe', messageId: ++last, subscriptions }, 'suback')) as { granted?: unknown[] };
      return granted.map(Number).find((code) => code >= FIRST_REFUSAL);
    },
    ended: ended.promise,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close() {
      send({ cmd: 'disconnect', reasonCode: 0 });
      socket.end();
      end(`the ${o.name} has left`);
    },
  };

  function secured(): Promise<void> {
    const timer = clock.setTimer(STEP_MS, () => end(`no TLS connection within ${STEP_MS / 1000} s`));
    const broken = ended.promise.then((why) => Promise.reject(new Error(why)));
    const made = new Promise<void>((resolve) => void socket.once('secureConnect', () => resolve()));
    return Promise.race([made, broken]).finally(() => timer.cancel());
  }
}
