// The reference device on real sockets: MQTT over mutual TLS with its own certificate, artifacts over HTTPS with the same, a flash of its own. A restart ends its
// connection, as it does on a device; a connection that is lost is made again, and the work goes on.
import { Agent as HttpsAgent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerAddress, SimulatedDevice } from '../device.ts';
import { Agent, type World } from './agent.ts';
import { type Booted, type Fixed, powerOn } from './bootloader.ts';

export type Connection = {
  device: SimulatedDevice;
  address: BrokerAddress;
  certificatePem: string;
  /** What signed the certificate of the artifacts server. */
  artifactsCaPem: string;
};
export type Built = Fixed & Pick<World, 'cas' | 'flash' | 'selfTest'>;

export type ConnectedDevice = {
  readonly name: string;
  /** What runs; undefined while it is off, and when nothing may run. */
  booted(): Booted | undefined;
  /** Starts it; resolves when it has said hello. */
  start(): Promise<void>;
  /** Power off, for good. */
  stop(): Promise<void>;
};

const MOST_RESTARTS = 8;
const RECONNECT_MS = 250;
const ANSWER_WITHIN_MS = 15_000;

export function connectedDevice(fixed: Built, connection: Connection): ConnectedDevice {
  const { device, address, certificatePem } = connection;
  const client = httpsClient(connection);
  const directives = `ota/v1/d/${device.name}/directive`;
  let booted: Booted | undefined;
  let agent: Agent | undefined;
  /** Directives wait here until it has said hello. */
  let early: Uint8Array[] | undefined = [];
  let isOff = false;
  let isRestarting = false;
  /** Whoever starts makes its first connection itself. */
  let isStarting = false;

  const world: World = {
    ...{ device: device.name, component: fixed.component, classId: fixed.classId, cas: fixed.cas, flash: fixed.flash },
    now: () => Math.floor(Date.now() / 1000),
    elapsed: () => performance.now() / 1000,
    wait: (ms) => sleep(isOff ? 0 : ms),
    async publish(topic, payload) {
      const options = { qos: topic === 'log' ? 0 : 1, retain: topic === 'state' } as const;
      return (await device.tryPublish(`ota/v1/d/${device.name}/${topic}`, payload, options)).given === 'accepted';
    },
    fetch: (url, from, most) => fetched(url, from, most, client),
    selfTest: fixed.selfTest,
  };

  /** Until the broker has it, and gives it its directives. */
  async function connect(): Promise<void> {
    while (!isOff) {
      try {
        await device.connect(address, certificatePem);
        if ((await device.trySubscribe(directives)).given === 'accepted') return;
        await device.close();
      } catch {
        // The broker is away.
      }
      await sleep(RECONNECT_MS);
    }
  }

  /** As often as its agent asks for it. */
  async function run(): Promise<void> {
    isRestarting = true;
    for (let restarts = 0; restarts < MOST_RESTARTS && !isOff; restarts++) {
      isStarting = true;
      await device.close();
      early = [];
      booted = powerOn(fixed.flash, fixed);
      if (booted === undefined) return;
      agent = new Agent(world, booted);
      await connect();
      isStarting = false;
      const ready = agent.connected();
      const waiting = early;
      early = undefined;
      for (const bytes of waiting) void agent.receive(bytes);
      await ready;
      if (!agent.wantsRestart) break;
    }
    isRestarting = false;
  }

  async function obey(bytes: Uint8Array): Promise<void> {
    if (early !== undefined) return void early.push(bytes);
    const taken = agent;
    await taken?.receive(bytes);
    if (taken === agent && agent?.wantsRestart === true && !isRestarting) await run();
  }

  async function keepConnected(): Promise<void> {
    while (!isOff) {
      await sleep(RECONNECT_MS);
      if (isStarting || device.connected() || isOff) continue;
      await connect();
      // Not waited for: it speaks until it is heard, and where the connection is lost meanwhile this has to make the next one.
      if (!isStarting && !isOff) void agent?.reconnected();
    }
  }

  device.hear((topic, payload) => {
    if (topic === directives && payload !== '' && !isOff) void obey(Buffer.from(payload));
  });
  let keeping: Promise<void> | undefined;
  return {
    name: device.name,
    booted: () => booted,
    async start() {
      await run();
      keeping = keepConnected();
    },
    async stop() {
      isOff = true;
      client.destroy();
      await device.close();
      await keeping;
    },
  };
}

function httpsClient({ device, certificatePem, artifactsCaPem }: Connection): HttpsAgent {
  return new HttpsAgent({ keepAlive: true, maxSockets: 1, cert: certificatePem, key: device.key.privateKeyPem, ca: artifactsCaPem });
}

/** RFC 9110 §14.2; a server that does not know ranges gives all of it. */
function fetched(url: string, from: number, most: number, agent: HttpsAgent): ReturnType<World['fetch']> {
  return new Promise((resolve) => {
    const headers = { range: `bytes=${from}-${from + most - 1}` };
    const asked = request(url, { agent, headers, timeout: ANSWER_WITHIN_MS }, (answer) => {
      const { statusCode = 0 } = answer;
      const chunks: Buffer[] = [];
      let length = 0;
      const end = statusCode === 206 ? most : from + most;
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > end) asked.destroy();
      });
      answer.on('close', () => {
        if (statusCode !== 200 && statusCode !== 206) return resolve({ status: statusCode });
        if (!answer.complete && length < end) return resolve('broken');
        const bytes = Buffer.concat(chunks);
        resolve({ bytes: statusCode === 206 ? bytes : bytes.subarray(from, from + most) });
      });
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve('broken'));
    asked.end();
  });
}
