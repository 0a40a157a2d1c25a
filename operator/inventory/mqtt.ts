// One connection that only hears: MQTT 5 over mutual TLS. What comes is handed on as bytes; nothing is ever published.
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity, connect } from 'node:tls';
import mqttPacket, { type Packet } from 'mqtt-packet';
import type { Clock } from '../runtime/clock.ts';

export type Target = { host: string; port: number };
export type Credentials = { ca: string | undefined; certificate: string; key: KeyObject; clientId: string };
export type Hear = (topic: string, payload: Uint8Array) => void;

export type Listening = {
  /** Undefined when all filters were granted, else the reason code of the first that was not. */
  subscribe(filters: readonly string[]): Promise<number | undefined>;
  /** Resolves with why, when the connection is over. Never rejects. */
  ended: Promise<string>;
  close(): void;
};

const STEP_MS = 10_000;
const KEEPALIVE_SECONDS = 30;
const FIVE = { protocolVersion: 5 } as const;
/** Larger ones are not sent to this client at all (MQTT 5, 3.1.2.11.4): the largest message of the protocol has 16,384 bytes. */
const MOST_BYTES = 32_768;
const FIRST_REFUSAL = 0x80;

/** Rejects with a sentence when no connection comes about. */
export async function listen(target: Target, who: Credentials, hear: Hear, clock: Clock): Promise<Listening> {
  const { host, port } = target;
  const socket = connect({
    ...{ host, port, minVersion: 'TLSv1.2' },
    ...(who.ca === undefined ? {} : { ca: who.ca }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // Node asks for the name of `servername` alone; an address has to be in the certificate too.
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    ...{ cert: who.certificate, key: who.key.export({ type: 'pkcs8', format: 'pem' }) },
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
  function took(packet: Packet): void {
    heardAt = clock.elapsed();
    if (packet.cmd === 'publish') hear(packet.topic, Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload));
    else if (packet.cmd === 'disconnect') end(`the broker ended the connection (DISCONNECT 0x${(packet.reasonCode ?? 0).toString(16)})`);
    else if (packet.cmd === wanted) answer?.resolve(packet);
  }
  /** A connection that is dead says nothing: two pings without an answer end it. */
  function keepAlive(): void {
    alive = clock.setTimer(KEEPALIVE_SECONDS * 500, () => {
      if (clock.elapsed() - heardAt > KEEPALIVE_SECONDS * 1000) return end('the broker answers no more');
      send({ cmd: 'pingreq' });
      keepAlive();
    });
  }

  const parser = mqttPacket.parser(FIVE);
  parser.on('packet', took);
  parser.on('error', () => end('the broker sent something that is no MQTT 5'));
  socket.on('data', (chunk: Buffer) => void parser.parse(chunk));
  socket.on('error', (error: Error & { code?: string }) => end(error.code ?? error.message));
  socket.on('close', () => end('the connection was closed'));
  await secured();
  const properties = { maximumPacketSize: MOST_BYTES };
  const hello = { protocolId: 'MQTT', ...FIVE, clean: true, clientId: who.clientId, keepalive: KEEPALIVE_SECONDS, properties } as const;
  const { reasonCode = 0 } = (await ask({ cmd: 'connect', ...hello }, 'connack')) as Packet & { reasonCode?: number };
  if (reasonCode !== 0) {
    end('refused');
    throw new Error(`the broker refused the listener (CONNACK 0x${reasonCode.toString(16)})`);
  }
  keepAlive();
  let last = 0;
  return {
    async subscribe(filters) {
      const subscriptions = filters.map((topic) => ({ topic, qos: 0 as const }));
      const { granted = [] } = (await ask({ cmd: 'subscribe', messageId: ++last, subscriptions }, 'suback')) as { granted?: unknown[] };
      return granted.map(Number).find((code) => code >= FIRST_REFUSAL);
    },
    ended: ended.promise,
    close() {
      send({ cmd: 'disconnect', reasonCode: 0 });
      socket.end();
      end('the listener has left');
    },
  };

  function secured(): Promise<void> {
    const timer = clock.setTimer(STEP_MS, () => end(`no TLS connection within ${STEP_MS / 1000} s`));
    const broken = ended.promise.then((why) => Promise.reject(new Error(why)));
    const made = new Promise<void>((resolve) => void socket.once('secureConnect', () => resolve()));
    return Promise.race([made, broken]).finally(() => timer.cancel());
  }
}
