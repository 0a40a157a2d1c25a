// A rollout over real sockets: the broker's stand-in, devices in processes of their own, a driver in one that is killed and started anew. The API server is this process, and so
// is the ledger: the device processes tell it what they run.
import { type ChildProcess, fork } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import type { ShardReport } from '../../../operator/driver/ports.ts';
import { subject } from '../../broker/testing/pki.ts';
import { startWorld, type World } from '../../broker/testing/world.ts';
import { FORGER, natureOf } from '../../firmware/fleet/nature.ts';
import { between, seeded } from '../../firmware/fleet/random.ts';
import { nameOf } from '../../firmware/fleet/scene.ts';
import { type DirectiveCa, directiveCa, directiveKey } from '../../harness/directive-certificates.ts';
import { pause, waitFor } from '../../harness/wait.ts';
import type { CrowdNews, CrowdOrder, DriverNews, DriverOrder, Pem, Wire } from './messages.ts';

export type Wish = {
  devices: number;
  /** So many of them speak mutual TLS, each with a certificate of its own; the others plain TCP. */
  tls: number;
  seed: number;
  driverKills: number;
  brokerKills: number;
  say?: (line: string) => void;
};

export type PacketOutcome = {
  records: ReadonlyMap<string, FirmwareRecord>;
  wrongConfirmed: string[];
  forged: number;
  mostWrites: number;
  report: ShardReport | undefined;
  /** At the same time, at most. */
  sockets: number;
  /** Of the devices, both ways. */
  packets: number;
};

const PACE = 20;
/** Up to 1,500 messages a second, both ways. A broker drops what a driver does not take in time (max_mqueue_len): then the driver asks again. */
const PER_MINUTE = 6000;
const CROWDS = 2;
const BOOT_KEYS = 16;
const CLIENT = '-rollout-0000000a.-hedgerow';
const WITHIN_MS = 600_000;
/** Kills come when so many of 1,000 devices are at an end. */
const KILLED_AT: [number, number] = [10, 600];
/** Every device that comes back at all has come back. */
const LEAST_MS = 30_000;
const JUMP_MS = 1_800_000;

export async function runPackets(wish: Wish): Promise<PacketOutcome> {
  const world = await startWorld();
  const children: ChildProcess[] = [];
  try {
    return await rollout(wish, world, children);
  } finally {
    await Promise.all(children.map(killed));
    await world.stop();
  }
}

async function rollout(wish: Wish, world: World, children: ChildProcess[]): Promise<PacketOutcome> {
  const { devices, seed, say = () => {} } = wish;
  await openTo(world);
  const { standIn, broker } = world;
  const wire: Wire = { host: broker.host, tls: broker.port, plain: standIn.ports.tcp, caPem: broker.caPem };
  const ca = await directiveCa('directive CA', Date.now());
  const keys = bootKeysOf(devices, seed);
  const crowd = crowdOf(await ordersFor(wish, world, wire, ca.pem, keys), children);
  await waitFor('the devices to be connected', () => (crowd.connected() >= devices * 0.9 ? true : undefined), {
    ...{ timeoutMs: WITHIN_MS, everyMs: 200, describe: () => `${crowd.connected()} are` },
  });
  say(`${crowd.connected()} of ${devices} devices are connected`);
  const api = apiOf(devices);
  const drivers = driversOf({ wish, world, wire, ca, keys, api, children });
  await drivers.start();
  const startedAt = Date.now();
  await trouble(wish, { world, drivers, api, say });
  await untilDone(wish, { crowd, drivers, api, startedAt, say });
  return { ...api.judged(crowd.runsNew, seed), report: drivers.report(), sockets: crowd.most(), packets: crowd.packets() };
}

/** A broker that takes the client id of the certificate, or where there is none what the client says; and a port for those. */
async function openTo({ standIn }: World): Promise<void> {
  const own = (topic: string): string => `"ota/v1/d/\${clientid}/${topic}"`;
  const rules = [
    `{allow, {clientid, "${CLIENT}"}, all, ["ota/v1/d/+/directive", "ota/v1/d/+/state", "ota/v1/d/+/hello"]}.`,
    `{allow, all, publish, [${own('state')}, ${own('hello')}, ${own('log')}]}.`,
    `{allow, all, subscribe, [${own('directive')}]}.`,
    '{deny, all}.',
  ].join('\n');
  const id = 'tcp:default';
  const bind = `127.0.0.1:${standIn.ports.tcp}`;
  const answers = [
    await standIn.request('PUT', '/configs?mode=merge', {
      headers: { 'content-type': 'text/plain' },
      text: 'mqtt { peer_cert_as_clientid = cn, peer_cert_as_username = md5, max_packet_size = "64KB" }',
    }),
    await standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: `${rules}\n` } }),
    await standIn.request('PUT', `/listeners/${id}`, { body: { id, type: 'tcp', enable: true, bind } }),
  ];
  const wrong = answers.find(({ status }) => status >= 300);
  if (wrong !== undefined) throw new Error(`the broker answered ${wrong.status}: ${wrong.text}`);
}

type BootKeys = ReadonlyMap<number, { publicPem: string; privatePem: string }>;

/** Some keys for all devices that have one. */
function bootKeysOf(devices: number, seed: number): BootKeys {
  const pool = Array.from({ length: BOOT_KEYS }, () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    return {
      privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    };
  });
  const numbers = Array.from({ length: devices }, (_, at) => at).filter((at) => natureOf(at, seed).key === true);
  return new Map(numbers.flatMap((at) => pool.slice(at % BOOT_KEYS, (at % BOOT_KEYS) + 1).map((key) => [at, key] as const)));
}

async function ordersFor(
  { devices, tls, seed }: Wish,
  { ca }: World,
  wire: Wire,
  directiveCaPem: string,
  keys: BootKeys,
): Promise<CrowdOrder[]> {
  const issue = async (at: number): Promise<[number, Pem]> => {
    const { certPem, keyPem } = await ca.issue(subject('hedgerow', 'sensors.berlin', nameOf(at)));
    return [at, { certPem, keyPem }];
  };
  const identities = await Promise.all(Array.from({ length: tls }, (_, at) => issue(at)));
  return Array.from({ length: CROWDS }, (_, crowd) => {
    const isOurs = (at: number): boolean => at % CROWDS === crowd;
    return {
      ...{ kind: 'join', wire, seed, pace: PACE, directiveCaPem },
      devices: Array.from({ length: devices }, (__, at) => at).filter(isOurs),
      identities: identities.filter(([at]) => isOurs(at)),
      bootKeys: [...keys].filter(([at]) => isOurs(at)).map(([at, { privatePem }]) => [at, privatePem]),
    };
  });
}

type Crowd = ReturnType<typeof crowdOf>;

function crowdOf(orders: readonly CrowdOrder[], children: ChildProcess[]) {
  const last = new Map<number, CrowdNews>();
  const runsNew = new Set<string>();
  let most = 0;
  const sum = (of: (news: CrowdNews) => number): number => [...last.values()].reduce((all, news) => all + of(news), 0);
  for (const [at, order] of orders.entries()) {
    const child = started('crowd.ts', children);
    child.on('message', (news: CrowdNews) => {
      last.set(at, news);
      for (const name of news.runsNew) runsNew.add(name);
      most = Math.max(
        most,
        sum(({ connected }) => connected),
      );
    });
    child.send(order);
  }
  return {
    runsNew: runsNew as ReadonlySet<string>,
    connected: () => sum(({ connected }) => connected),
    busy: () => sum(({ busy }) => busy),
    packets: () => sum(({ packets }) => packets),
    most: () => most,
  };
}

type Api = ReturnType<typeof apiOf>;

function apiOf(devices: number) {
  const records = new Map<string, FirmwareRecord>();
  const writes = new Map<string, number>();
  let lastAt = 0;
  return {
    names: Array.from({ length: devices }, (_, at) => nameOf(at)),
    records,
    write(name: string, record: FirmwareRecord): void {
      lastAt = Date.now();
      records.set(name, record);
      writes.set(name, (writes.get(name) ?? 0) + 1);
    },
    lastAt: () => lastAt,
    judged(runsNew: ReadonlySet<string>, seed: number) {
      const natureAt = (name: string): string => natureOf(Number(/\d+/.exec(name)?.[0]), seed).name;
      const false_ = [...records].filter(([name, { result }]) => result === 'Confirmed' && !runsNew.has(name));
      const isForged = ([name, { proof }]: [string, FirmwareRecord]): boolean => natureAt(name) === FORGER && proof === 'Unproven';
      return {
        records: records as ReadonlyMap<string, FirmwareRecord>,
        wrongConfirmed: false_.filter((one) => !isForged(one)).map(([name]) => `${name} (${natureAt(name)})`),
        forged: false_.filter(isForged).length,
        mostWrites: Math.max(0, ...writes.values()),
      };
    },
  };
}

type Drivers = ReturnType<typeof driversOf>;
type Means = { wish: Wish; world: World; wire: Wire; ca: DirectiveCa; keys: BootKeys; api: Api; children: ChildProcess[] };

function driversOf({ wish, world, wire, ca, keys, api, children }: Means) {
  const startedAt = Date.now();
  let [fence, aheadMs] = [0, 0];
  let child: ChildProcess | undefined;
  let ending: string | undefined;
  let report: ShardReport | undefined;
  function hear(from: ChildProcess, news: DriverNews): void {
    if (from !== child) return;
    if (news.kind === 'ended') ending = news.ending;
    else if (news.kind === 'report') report = news.report;
    else {
      api.write(`${news.device}.berlin`, news.record);
      from.send({ kind: 'written', id: news.id } satisfies DriverOrder);
    }
  }
  return {
    async start(): Promise<void> {
      fence += 1;
      ending = undefined;
      const identity = await world.ca.issue(subject('hedgerow', '-rollout.-hedgerow', CLIENT));
      // Each has a newer directive key than the one before.
      const directive = await directiveKey(ca, startedAt, { notBefore: startedAt - 3_600_000 + fence * 60_000 });
      const one = started('driver.ts', children);
      child = one;
      one.on('message', (news: DriverNews) => hear(one, news));
      const size = { devices: wish.devices, shards: 1, perMinute: PER_MINUTE, maxInFlight: Math.ceil(wish.devices / 8) + 400 };
      const devices = api.names.map((name, at) => ({ name, bootKeyPem: keys.get(at)?.publicPem, record: api.records.get(name) }));
      const { certPem, keyPem } = identity;
      const order = { wire, identity: { certPem, keyPem }, clientId: CLIENT, size, fence, directive, directiveCaPem: ca.pem, devices };
      one.send({ kind: 'start', ...order } satisfies DriverOrder);
      one.send({ kind: 'jump', ms: aheadMs } satisfies DriverOrder);
    },
    async kill(): Promise<void> {
      const before = child;
      child = undefined;
      if (before !== undefined) await killed(before);
    },
    jump(ms: number): void {
      aheadMs += ms;
      child?.send({ kind: 'jump', ms } satisfies DriverOrder);
    },
    ending: () => ending,
    report: () => report,
  };
}

type Troubled = { world: World; drivers: Drivers; api: Api; say: (line: string) => void };

/** Kills by chance while the fleet is at work. The broker takes what it kept with it, and the driver that knew it follows within seconds. */
async function trouble(
  { devices, driverKills, brokerKills, seed }: Wish,
  { world: { standIn }, drivers, api, say }: Troubled,
): Promise<void> {
  const random = seeded(seed + 9);
  const kills = Array.from({ length: driverKills + brokerKills }, (_, at) => ({
    at: between(random, ...KILLED_AT),
    isBroker: at < brokerKills,
  }));
  for (const { at, isBroker } of kills.sort((a, b) => a.at - b.at)) {
    await waitFor('the next kill', () => (api.records.size * 1000 >= at * devices ? true : undefined), {
      ...{ timeoutMs: WITHIN_MS, everyMs: 100, describe: () => `${api.records.size} of ${devices} devices are at an end` },
    });
    if (isBroker) {
      say(`the broker is killed at ${api.records.size}, and has forgotten what it kept`);
      await standIn.kill();
      await pause(between(random, 200, 2000));
      await standIn.restart();
      await pause(between(random, 200, 2000));
    }
    say(`the driver is killed at ${api.records.size}`);
    await drivers.kill();
    await pause(between(random, 200, 2000));
    await drivers.start();
  }
}

type Watched = { crowd: Crowd; drivers: Drivers; api: Api; startedAt: number; say: (line: string) => void };

/** When nobody is at work, the hours until the next retry or timeout are left out. */
async function untilDone({ devices }: Wish, { crowd, drivers, api, startedAt, say }: Watched): Promise<void> {
  let quietSince = Date.now();
  await waitFor(
    'the driver to be done',
    () => {
      if (drivers.ending() !== undefined) return drivers.ending();
      const now = Date.now();
      const isOffered = (drivers.report()?.counts.waiting ?? devices) < devices / 20;
      const isQuiet =
        isOffered && crowd.busy() === 0 && now - api.lastAt() > 3000 && now - startedAt > LEAST_MS && crowd.connected() >= devices * 0.98;
      if (!isQuiet) quietSince = now;
      if (now - quietSince < 4000) return undefined;
      say(`${api.records.size} of ${devices} devices are at an end; the next minutes are left out`);
      drivers.jump(JUMP_MS);
      quietSince = now + 2000;
      return undefined;
    },
    {
      timeoutMs: WITHIN_MS,
      everyMs: 250,
      describe: () => `${api.records.size} at an end, ${crowd.busy()} busy, ${crowd.connected()} connected`,
    },
  );
}

function started(file: string, children: ChildProcess[]): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  return child;
}

function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
