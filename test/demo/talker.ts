// One simulated device at work: connects with its certificate, tells its readings, connects again when it was cut off, and keeps count.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { pause } from '../harness/wait.ts';
import type { BrokerAddress, SimulatedDevice } from '../simulator/device.ts';
import { refusalOf } from '../simulator/hostile.ts';
import { type Teller, tellingOf } from '../simulator/models.ts';

export type Talker = {
  /** Name of the Device. */
  readonly name: string;
  readonly segment: string;
  readonly device: SimulatedDevice;
  /** What it told and what the broker refused, messages and connections alike. */
  readonly tally: { accepted: number; refused: number; connections: number };
  last(): string;
  certificate(): string;
  /** Its own topic, as in its readings. */
  topic(): string;
  /** A reading now, outside its rhythm. */
  tellNow(): ReturnType<SimulatedDevice['tell']>;
  start(): void;
  stop(): Promise<void>;
};

export type TalkerOptions = {
  teller: Teller;
  device: SimulatedDevice;
  /** The broker's address and the certificate, as soon as they are known. */
  address: () => BrokerAddress;
  certificate: () => string | undefined;
};

const EVERY_MS = 1_000;
const RECONNECT_MS = 400;
/** Ten in the morning: the office is busy, and a second of the demo is a minute there. */
const FIRST_TICK = 600;

export function createTalker({ teller, device, address, certificate }: TalkerOptions): Talker {
  const tally = { accepted: 0, refused: 0, connections: 0 };
  let tick = FIRST_TICK;
  let last = '';
  let stopped = true;
  let loop = Promise.resolve();
  /** The certificate it holds; a newer one is taken at the next connection. */
  let held = '';

  async function turn(): Promise<number> {
    if (!device.connected()) return (await reconnect()) ? 0 : RECONNECT_MS;
    await talker.tellNow();
    return EVERY_MS;
  }

  async function reconnect(): Promise<boolean> {
    const offered = certificate();
    if (offered !== undefined && fits(offered, device.key.privateKeyPem)) held = offered;
    if (held === '') return false;
    try {
      await device.connect(address(), held);
      tally.connections += 1;
      await device.trySubscribe(`cmd/${teller.segment}.${teller.namespace}/${device.name}/#`);
      return true;
    } catch (error) {
      const attempt = refusalOf(error);
      if (attempt.refused) tally.refused += 1;
      last = attempt.how;
      return false;
    }
  }

  const talker: Talker = {
    name: teller.device,
    segment: teller.segment,
    device,
    tally,
    last: () => last,
    certificate: () => held,
    topic: () => tellingOf(teller, tick).topic,
    async tellNow() {
      const { topic, m, retain, words } = tellingOf(teller, tick);
      tick += 1;
      const answer = await device.tell(topic, m, { retain });
      if (answer.given === 'accepted') {
        tally.accepted += 1;
        last = words;
      } else if (answer.given === 'refused') {
        tally.refused += 1;
        last = answer.how;
      }
      return answer;
    },
    start() {
      stopped = false;
      loop = (async () => {
        while (!stopped) await pause(await turn());
      })();
    },
    async stop() {
      stopped = true;
      await device.close();
      await loop;
    },
  };
  return talker;
}

/** The Device may have been given another request meanwhile: a certificate for a key that this device has not is of no use to it. */
function fits(certificatePem: string, privateKeyPem: string): boolean {
  return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(privateKeyPem));
}
