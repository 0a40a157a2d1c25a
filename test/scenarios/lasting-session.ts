// A device whose session outlives its connections (MQTT 5, clean start off, expiry one day) and that comes back by itself, with the first of its certificates
// that the broker takes. It asks for everything it ever asked for at each connection: what it must not hear is the broker's business.
import mqtt, { type MqttClient } from 'mqtt';
import { pause } from '../harness/wait.ts';
import { type BrokerAddress, connectOptions } from '../simulator/device.ts';

export type Worn = { privateKeyPem: string; certificatePem: string };
export type Arrival = { topic: string; payload: string; at: number };

export type LastingSession = {
  /** `at` in ms of `performance.now()`. */
  readonly arrivals: readonly Arrival[];
  /** How often it was let in, and turned away. */
  readonly counts: { accepted: number; refused: number };
  connected(): boolean;
  /** Puts a certificate on: it is tried first from the next connection on. */
  wear(worn: Worn, options?: { now?: boolean }): void;
  /** Asks for all its topics again. */
  ask(): void;
  goOffline(): Promise<void>;
  comeBack(): void;
  stop(): Promise<void>;
};

export type LastingOptions = {
  address: BrokerAddress;
  /** `<device>.<namespace>` */
  name: string;
  worn: Worn;
  filters: readonly string[];
  /** It receives and never acknowledges, as firmware does whose main loop hangs. */
  hangs?: boolean;
};

const DAY_SECONDS = 86_400;
const AGAIN_MS = 150;

export function keepSession(options: LastingOptions): LastingSession {
  const arrivals: Arrival[] = [];
  const counts = { accepted: 0, refused: 0 };
  let certificates = [options.worn];
  let client: MqttClient | undefined;
  let [online, stopped] = [true, false];

  async function tryOne({ privateKeyPem, certificatePem }: Worn): Promise<boolean> {
    const attempt = mqtt.connect({
      ...connectOptions(options.address, { privateKeyPem }, certificatePem),
      clientId: options.name,
      clean: false,
      properties: { sessionExpiryInterval: DAY_SECONDS, receiveMaximum: 8 },
      resubscribe: false,
    });
    // From the first byte on: what a resumed session holds comes right behind the CONNACK.
    attempt.on('message', (topic, payload) => void arrivals.push({ topic, payload: payload.toString(), at: performance.now() }));
    if (options.hangs === true) attempt.handleMessage = () => undefined;
    attempt.on('error', () => undefined);
    const letIn = await new Promise<boolean>((resolve) => {
      attempt.once('connect', () => resolve(true));
      attempt.once('close', () => resolve(false));
    });
    if (!letIn) {
      counts.refused += 1;
      await attempt.endAsync(true).catch(() => undefined);
      return false;
    }
    counts.accepted += 1;
    client = attempt;
    ask();
    return true;
  }
  function ask(): void {
    if (client?.connected !== true) return;
    for (const filter of options.filters) client.subscribe(filter, { qos: 1 }, () => undefined);
  }

  const loop = (async () => {
    while (!stopped) {
      if (online && client?.connected !== true) {
        await client?.endAsync(true).catch(() => undefined);
        client = undefined;
        for (const one of certificates) if (online && (await tryOne(one))) break;
      }
      await pause(AGAIN_MS);
    }
  })();
  // As a power cut: no DISCONNECT, so the session stays.
  const cut = async (): Promise<void> => void (await client?.endAsync(true).catch(() => undefined));

  return {
    arrivals,
    counts,
    ask,
    connected: () => client?.connected === true,
    wear(worn, { now = true } = {}) {
      certificates = [worn, ...certificates];
      if (now) void cut();
    },
    async goOffline() {
      online = false;
      await cut();
    },
    comeBack: () => {
      online = true;
    },
    async stop() {
      stopped = true;
      await loop;
      await cut();
    },
  };
}
