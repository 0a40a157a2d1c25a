// A device that is always at it: connected with the newest certificate that works, back as soon as it is cut off, renewed when it is told to.
// It writes down each time it had no way: no certificate of those that it holds was let in although the broker was up.
import type mqtt from 'mqtt';
import type { FleetDevice } from '../../harness/fleet.ts';
import { pause } from '../../harness/wait.ts';
import { ANCHORS_TOPIC, AnchorStore, confirmedTopic } from '../../simulator/anchors.ts';
import { connectOptions, open } from '../../simulator/device.ts';
import { makeDeviceKey } from '../../simulator/key.ts';
import { type Credentials, type EstAnswer, reenrol, toldAnchors } from './est-client.ts';
import type { RotationWorld } from './world.ts';

export type Refusal = { at: number; certificate: 'newest' | 'older'; why: string };

export type Agent = {
  readonly device: FleetDevice;
  readonly name: string;
  connected(): boolean;
  /** How many CAs it knows the broker by. */
  anchors(): number;
  /** Certificates it holds, the newest first. */
  held(): readonly Credentials[];
  /** Each CONNECT that got through, ms of `performance.now()`. */
  readonly accepted: number[];
  /** Each refusal while the broker was up. */
  readonly refusals: Refusal[];
  /** Each round in which none of its certificates got through while the broker was up. */
  readonly lockedOut: number[];
  /** Longest time without a connection while it wanted one and the broker was up, ms. */
  longestGapMs(): number;
  renew(): Promise<void>;
  /** One attempt to get another certificate. */
  tryToRenew(): Promise<EstAnswer | undefined>;
  goOffline(): void;
  comeBack(): void;
  close(): Promise<void>;
};

const AGAIN_MS = 300;
/** Right after its start the broker knows neither text nor bans of the last seconds; a busy machine is slow. */
const AFTER_DOWN_MS = 1_000;

/** `message`: the signed message about the broker's CAs that it got together with its certificate. */
export function startAgent(world: RotationWorld, device: FleetDevice, certificatePem: string, message: string): Agent {
  const name = `${device.name}.${device.namespace}`;
  const store = new AnchorStore();
  store.accept(message, { now: Date.now(), trusted: true });
  let held: Credentials[] = [{ privateKeyPem: device.key.privateKeyPem, certificatePem }];
  let client: mqtt.MqttClient | undefined;
  let wanted = true;
  let stopped = false;
  let without = performance.now();
  let longest = 0;
  const agent = { accepted: [] as number[], refusals: [] as Refusal[], lockedOut: [] as number[] };

  async function connectOnce(): Promise<mqtt.MqttClient | undefined> {
    const from = performance.now();
    const tried = [...held];
    for (const [index, one] of tried.entries()) {
      const at = performance.now();
      try {
        const opened = await open(connectOptions({ ...world.broker, caPem: store.caPem() }, one, one.certificatePem));
        opened.on('error', () => undefined);
        follow(opened, name, store);
        return opened;
      } catch (error) {
        const why = error instanceof Error ? `${error.message} ${'code' in error ? String(error.code) : ''}` : String(error);
        // The broker has another CA: the message comes from the EST server as well (docs/guides/rotate-server-ca.md).
        if (isStranger(error)) {
          const told = await toldAnchors(world.est).catch(() => undefined);
          if (told !== undefined) store.accept(told, { now: Date.now() });
          return undefined;
        }
        // Nobody was asked, or nobody could answer.
        if (/timeout|ECONNREFUSED/i.test(why) || wasDown(world, at, performance.now())) return undefined;
        agent.refusals.push({ at: performance.now(), certificate: index === 0 ? 'newest' : 'older', why });
      }
    }
    if (!wasDown(world, from, performance.now())) agent.lockedOut.push(performance.now());
    return undefined;
  }

  async function live(): Promise<void> {
    while (!stopped) {
      if (!wanted) {
        await pause(AGAIN_MS);
        without = performance.now();
        continue;
      }
      client = await connectOnce();
      if (client === undefined) {
        await pause(AGAIN_MS);
        continue;
      }
      const now = performance.now();
      agent.accepted.push(now);
      longest = Math.max(longest, upTime(world, without, now));
      await ended(client);
      without = performance.now();
    }
  }
  const living = live();

  async function tryToRenew(): Promise<EstAnswer | undefined> {
    const key = await makeDeviceKey({ device: device.name, segment: device.segment, namespace: device.namespace });
    const answer = await persistently(world, held[0] as Credentials, key.csrPem, () => stopped);
    if (answer?.status === 200) held = [{ privateKeyPem: key.privateKeyPem, certificatePem: answer.certificatePem }, ...held].slice(0, 2);
    return answer;
  }

  return {
    device,
    name,
    anchors: () => store.anchors.length,
    ...agent,
    connected: () => client?.connected === true,
    held: () => held,
    longestGapMs: () => longest,
    tryToRenew,
    async renew() {
      const answer = await tryToRenew();
      if (answer?.status !== 200) throw new Error(`${device.name} was not renewed: ${answer?.status} ${answer?.text}`);
      // The next connection is made with the new certificate; the old one stays at hand.
      client?.end(true);
    },
    goOffline() {
      wanted = false;
      client?.end(true);
    },
    comeBack() {
      without = performance.now();
      wanted = true;
    },
    async close() {
      stopped = true;
      wanted = false;
      client?.end(true);
      await living;
    },
  };
}

const isStranger = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_SIGNATURE/.test(String(error.code));

/** Takes what the operator says of the broker's CAs, and confirms it (docs/reference/trust-message.md). */
function follow(client: mqtt.MqttClient, name: string, store: AnchorStore): void {
  const confirm = (): void =>
    void client.publishAsync(confirmedTopic(name), store.confirmation(), { qos: 1, retain: true }).catch(() => undefined);
  client.on('message', (topic, payload) => {
    if (topic === ANCHORS_TOPIC && store.accept(payload.toString(), { now: Date.now() }) === 'taken') confirm();
  });
  client.subscribeAsync(ANCHORS_TOPIC, { qos: 1 }).catch(() => undefined);
  confirm();
}

function ended(client: mqtt.MqttClient): Promise<void> {
  return new Promise((resolve) => {
    if (!client.connected) resolve();
    client.once('close', () => resolve());
    client.once('end', () => resolve());
  });
}

/** The same request again until there is an answer: 202, 5xx, 429 and silence are no answers. */
async function persistently(world: RotationWorld, by: Credentials, csrPem: string, isOver: () => boolean): Promise<EstAnswer | undefined> {
  const deadline = performance.now() + 240_000;
  while (!isOver() && performance.now() < deadline) {
    const answer = await reenrol(world.est, by, csrPem).catch(() => undefined);
    if (answer !== undefined && answer.status !== 202 && answer.status !== 429 && answer.status < 500) return answer;
    await pause(1_000);
  }
  return undefined;
}

function wasDown({ brokerDowntimes }: RotationWorld, from: number, to: number): boolean {
  return brokerDowntimes.some((down) => down.from <= to && down.to + AFTER_DOWN_MS >= from);
}

/** How much of this time the broker was up. */
function upTime({ brokerDowntimes }: RotationWorld, from: number, to: number): number {
  const down = brokerDowntimes.map((one) => Math.max(0, Math.min(to, one.to) - Math.max(from, one.from)));
  return to - from - down.reduce((sum, ms) => sum + ms, 0);
}
