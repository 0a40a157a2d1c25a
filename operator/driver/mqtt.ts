// The MQTT client of a driver: MQTT 5 over mutual TLS. No session and no store: what the broker did not take when the connection ended is decided anew, by whoever acts then.
import type { KeyObject } from 'node:crypto';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { createBackoff } from '../kube/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import { explain, type Problem } from './errors.ts';
import { createInbox } from './inbox.ts';
import type { MqttPort } from './ports.ts';

/** PEM. */
export type MqttCredentials = { ca: string | undefined; certificate: string; key: KeyObject; clientId: string };

export type MqttDeps = {
  host: string;
  port: number;
  /** Asked before each connect: certificates are renewed. Rejects with a sentence. */
  credentials(signal: AbortSignal): Promise<MqttCredentials>;
  clock: Clock;
  random: Random;
  log: Log;
};

export type RunningMqtt = MqttPort & {
  /** Connects, again and again, until the signal. */
  run(signal: AbortSignal): Promise<void>;
  /** The connection is made anew, with new credentials. */
  renew(): void;
};

const FILTERS = ['ota/v1/d/+/directive', 'ota/v1/d/+/state', 'ota/v1/d/+/hello'];
const STEP_MS = 15_000;
const KEEPALIVE_SECONDS = 30;
/** The largest that a device may send is 8 KiB, the largest directive 16. */
const MOST_BYTES = 24 * 1024;
/** So many may be on their way before the broker has to wait. */
const MOST_UNACKNOWLEDGED = 1000;

export function createMqtt({ host, port, credentials, clock, random, log }: MqttDeps): RunningMqtt {
  const inbox = createInbox();
  const listeners: ((what: 'Message' | 'Connected' | 'Lost') => void)[] = [];
  const tell = (what: 'Message' | 'Connected' | 'Lost'): void => {
    for (const listener of listeners) listener(what);
  };
  let client: MqttClient | undefined;
  let isUp = false;
  const unanswered = new Set<(why: Error) => void>();

  /** One connection, from its first packet to its end. Resolves with how long it worked. */
  async function connection(signal: AbortSignal): Promise<number> {
    const made = mqtt.connect(optionsOf({ host, port }, await credentials(signal)));
    const ended = Promise.withResolvers<void>();
    // Without a listener an error would end the process.
    made.on('error', (err) => log.warn({ err: { message: err.message } }, 'the connection to the broker failed'));
    made.on('close', () => ended.resolve());
    made.on('message', (topic, payload, packet) => {
      const properties = packet.properties?.userProperties ?? {};
      if (inbox.put({ topic, bytes: payload, properties: { ...properties }, isRetained: packet.retain })) tell('Message');
    });
    const stop = (): void => void made.end(true);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    client = made;
    let upAt: number | undefined;
    try {
      await within(clock, STEP_MS, subscribed(made), ended.promise);
      upAt = clock.elapsed();
      isUp = true;
      tell('Connected');
      await ended.promise;
    } finally {
      signal.removeEventListener('abort', stop);
      if (isUp) tell('Lost');
      isUp = false;
      client = undefined;
      made.end(true);
      for (const reject of unanswered) reject(new Error('the connection to the broker has ended'));
      unanswered.clear();
    }
    return upAt === undefined ? 0 : clock.elapsed() - upAt;
  }

  return {
    publish(topic, bytes, properties) {
      return new Promise((resolve, reject) => {
        const using = client;
        if (using === undefined || !isUp) return reject(new Error('there is no connection to the broker'));
        unanswered.add(reject);
        using.publish(topic, Buffer.from(bytes), { qos: 1, retain: true, properties: { userProperties: properties } }, (error, packet) => {
          unanswered.delete(reject);
          const { reasonCode = 0 } = (packet ?? {}) as { reasonCode?: number };
          if (error) reject(error);
          else if (reasonCode >= 0x80) reject(new Error(`the broker refused a directive (0x${reasonCode.toString(16)})`));
          else resolve();
        });
      });
    },
    take: (most) => inbox.take(most),
    onChange: (listener) => void listeners.push(listener),
    renew: () => void client?.end(true),
    async close() {
      await client?.endAsync(false).catch(() => undefined);
    },
    async run(signal) {
      const backoff = createBackoff(random);
      while (!signal.aborted) {
        let healthyMs = 0;
        try {
          healthyMs = await connection(signal);
        } catch (err) {
          const problem: Problem = { code: 'HR-FW-311', found: err instanceof Error ? err.message : String(err) };
          if (!signal.aborted)
            log.warn({ code: problem.code, problem: explain(problem) }, 'the broker could not be reached; it is tried again');
        }
        await clock.sleep(backoff.next(healthyMs), signal).catch(() => undefined);
      }
    },
  };
}

function optionsOf({ host, port }: { host: string; port: number }, who: MqttCredentials): IClientOptions {
  return {
    ...{ protocol: 'mqtts', host, port, protocolVersion: 5, clean: true, reconnectPeriod: 0, connectTimeout: STEP_MS },
    ...{ keepalive: KEEPALIVE_SECONDS, clientId: who.clientId, minVersion: 'TLSv1.2' },
    ...(who.ca === undefined ? {} : { ca: who.ca }),
    ...{ cert: who.certificate, key: who.key.export({ type: 'pkcs8', format: 'pem' }) as string },
    properties: { receiveMaximum: MOST_UNACKNOWLEDGED, maximumPacketSize: MOST_BYTES, sessionExpiryInterval: 0 },
  };
}

/** All of them, or the connection is worth nothing. */
async function subscribed(client: MqttClient): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
  });
  const granted = await client.subscribeAsync(FILTERS, { qos: 1 });
  const refused = granted.find(({ qos }) => qos >= 0x80);
  if (refused !== undefined) throw new Error(`the broker did not let the driver subscribe ${refused.topic}`);
}

async function within(clock: Clock, ms: number, wanted: Promise<void>, ended: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = clock.setTimer(ms, () => late.reject(new Error('the broker did not answer in time')));
  const early = ended.then(() => Promise.reject(new Error('the broker ended the connection')));
  early.catch(() => undefined);
  wanted.catch(() => undefined);
  try {
    await Promise.race([wanted, late.promise, early]);
  } finally {
    timer.cancel();
  }
}
