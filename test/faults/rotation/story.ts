// The issuing CA of a site and the CA of the broker's certificate change under a fleet that works: some devices are away, some were revoked, and processes are killed all the while.
import { API_VERSION } from '../../../operator/api/resources.ts';
import { makeFleet } from '../../harness/fleet.ts';
import { segmentManifest } from '../../harness/manifests.ts';
import { parallel } from '../../harness/parallel.ts';
import { pause, waitFor } from '../../harness/wait.ts';
import { generator } from '../crash/schedule.ts';
import { type Agent, startAgent } from './agent.ts';
import { type RotationWorld, startRotationWorld, VICTIMS } from './world.ts';

export type RotationOptions = {
  count: number;
  seed: number;
  /** How long a certificate is valid; long enough for everybody to renew, since the old CA leaves with the last one. */
  durationSeconds: number;
  /** Wait until the last certificate of the old CA has expired, and the CA has left. */
  toTheEnd: boolean;
  say: (line: string) => void;
};

export type RotationReport = {
  devices: number;
  kills: Record<string, number>;
  /** Rounds in which a device found no way in although the broker was up; refusals of single certificates. */
  lockedOut: number;
  refusals: number;
  examples: string[];
  longestGapSeconds: number;
  /** Devices of the new CA while the old one was still in use. */
  renewed: number;
  /** Devices that were there and know both CAs of the broker; devices that were away and learned the new one. */
  knowBoth: number;
  cameBack: number;
  /** Connections of revoked devices, by their own word and by the broker's; certificates that EST gave them. */
  revokedConnections: number;
  revokedRenewals: number;
  /** CAs that the broker trusted before, during and after. */
  casBefore: number;
  casDuring: number;
  casAfter: number;
  oldCaLeftAfterSeconds: number;
};

const SEGMENT = 'sensors';
const LIMIT_MS = 600_000;
const LANES = 8;
const SHARE_AWAY = 20;
const SHARE_REVOKED = 20;

export async function rotateBothCas(options: RotationOptions): Promise<RotationReport> {
  const world = await startRotationWorld('rotation');
  const agents: Agent[] = [];
  try {
    return await play(world, options, agents);
  } finally {
    await Promise.all(agents.map((agent) => agent.close()));
    await world.stop();
  }
}

async function play(world: RotationWorld, options: RotationOptions, agents: Agent[]): Promise<RotationReport> {
  const { say, seed, count } = options;
  const random = generator(seed);
  await enrol(world, options, agents);
  const before = await world.issuerCa();
  const casBefore = (await trusted(world, [before])).length;
  say(`${count} devices are connected; the broker trusts ${casBefore} CA`);
  const fleet = groupsOf(agents);
  await revoke(world, fleet.revoked);
  const guard = watchRevoked(world, fleet.revoked);
  for (const agent of fleet.away) agent.goOffline();
  // The stand-in writes bans down every three seconds, as EMQX does; what it has then survives a SIGKILL.
  await pause(5_000);

  const killing = killAtRandom(world, random, say);
  const revokedRenewals = Promise.all(fleet.revoked.map(async (agent) => (await agent.tryToRenew())?.status === 200));
  const after = await world.rotateIssuer();
  const casDuring = await change(world, fleet, { before, after, random, say });
  const kills = await killing.stop();
  const renewedAt = performance.now();
  say(
    `all renewed after kills of ${Object.entries(kills)
      .map(([who, times]) => `${who} ${times}`)
      .join(', ')}`,
  );
  const casAfter = options.toTheEnd ? await trusted(world, [after], options.durationSeconds * 1_000 + 120_000) : await world.brokerCas();
  await allConnected(fleet.good);
  return {
    ...{ devices: count, kills, casBefore, casDuring, casAfter: casAfter.length },
    ...accountOf(fleet),
    revokedConnections: await guard.stop(),
    revokedRenewals: (await revokedRenewals).filter(Boolean).length,
    oldCaLeftAfterSeconds: (performance.now() - renewedAt) / 1_000,
  };
}

type Fleet = { revoked: Agent[]; away: Agent[]; there: Agent[] /** There and away. */; good: Agent[] };

function groupsOf(agents: readonly Agent[]): Fleet {
  const revoked = agents.filter((_, index) => index % SHARE_REVOKED === 1);
  const away = agents.filter((_, index) => index % SHARE_AWAY === 2);
  const good = agents.filter((agent) => !revoked.includes(agent));
  return { revoked, away, good, there: good.filter((agent) => !away.includes(agent)) };
}

/** Everybody who is there renews, then the broker has another CA, then those who were away come back and renew. Gives how many CAs the broker trusted meanwhile. */
async function change(
  world: RotationWorld,
  { there, away, good }: Fleet,
  { before, after, random, say }: { before: string; after: string; random: () => number; say: RotationOptions['say'] },
): Promise<number> {
  say('the CA has a new key; the devices renew');
  await parallel(there, LANES, async (agent) => {
    await pause(random() * 1_000);
    await agent.renew();
  });
  const casDuring = await trusted(world, [before, after]);
  await allConnected(there);
  say(`${there.length} devices renewed and connected; the CA of the broker's own certificate changes`);
  await world.rotateServer();
  await allConnected(there);
  say(`${away.length} devices come back with certificates of the old CA and without the new anchor`);
  for (const agent of away) agent.comeBack();
  await allConnected(away);
  await parallel(away, LANES, (agent) => agent.renew());
  await allConnected(good);
  return casDuring.length;
}

function accountOf({ there, away, good }: Fleet) {
  const refusals = good.flatMap((agent) => agent.refusals.map(({ certificate, why }) => `${agent.name}, its ${certificate}: ${why}`));
  return {
    lockedOut: sum(good.map((agent) => agent.lockedOut.length)),
    refusals: refusals.length,
    examples: refusals.slice(0, 10),
    longestGapSeconds: Math.max(...good.map((agent) => agent.longestGapMs())) / 1_000,
    renewed: good.filter((agent) => agent.held().length > 1).length,
    knowBoth: there.filter((agent) => agent.anchors() === 2).length,
    cameBack: away.filter((agent) => agent.anchors() === 2).length,
  };
}

async function enrol(world: RotationWorld, { count, durationSeconds, say }: RotationOptions, agents: Agent[]): Promise<void> {
  await world.system.apply([segmentManifest(SEGMENT, world.site)]);
  const fleet = await makeFleet({ count, namespace: world.site, segment: SEGMENT });
  const collection = `/apis/${API_VERSION}/namespaces/${world.site}/devices`;
  await parallel(fleet, LANES, async ({ manifest }) => {
    const identity = { ...manifest.spec.identity, duration: `${durationSeconds}s`, renewBefore: '30s' };
    await world.admin.send('POST', collection, { ...manifest, spec: { ...manifest.spec, identity } });
  });
  say(`${count} devices were applied`);
  const message = await world.anchors();
  const started = new Set<string>();
  await waitFor(
    'every device to have its first certificate',
    async () => {
      const { items } = await world.admin.send<DeviceList>('GET', collection);
      for (const { metadata, status } of items) {
        const device = fleet.find(({ name }) => name === metadata.name);
        if (device === undefined || status?.certificate === undefined || started.has(metadata.name)) continue;
        started.add(metadata.name);
        agents.push(startAgent(world, device, status.certificate, message));
      }
      return started.size === count ? true : undefined;
    },
    { timeoutMs: LIMIT_MS, everyMs: 1_000, describe: () => `${started.size} have one` },
  );
  agents.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  await allConnected(agents);
}

type DeviceList = { items: { metadata: { name: string }; status?: { certificate?: string; conditions?: Condition[] } }[] };
type Condition = { type: string; status: string };

async function allConnected(agents: readonly Agent[]): Promise<void> {
  const missing = (): string[] => agents.filter((agent) => !agent.connected()).map((agent) => agent.name);
  await waitFor('all of them to be connected', () => (missing().length === 0 ? true : undefined), {
    timeoutMs: LIMIT_MS,
    everyMs: 200,
    describe: () => `missing: ${missing().slice(0, 10).join(', ')}`,
  });
}

async function revoke(world: RotationWorld, agents: readonly Agent[]): Promise<void> {
  const path = ({ device }: Agent): string => `/apis/${API_VERSION}/namespaces/${world.site}/devices/${device.name}`;
  for (const agent of agents)
    await world.admin.send('PATCH', path(agent), { spec: { lifecycle: 'Revoked' } }, 'application/merge-patch+json');
  await waitFor(
    'the revoked devices to be thrown out',
    async () => {
      const holders = new Set((await world.system.standIn().clients()).map(({ clientid }) => clientid));
      return agents.some((agent) => agent.connected() || holders.has(agent.name)) ? undefined : true;
    },
    { timeoutMs: 120_000 },
  );
}

/** From here on none of them may get in; they go on trying. Asked of the broker and of the devices themselves. */
function watchRevoked(world: RotationWorld, agents: readonly Agent[]): { stop(): Promise<number> } {
  const since = performance.now();
  const names = new Set(agents.map(({ name }) => name));
  const seen = new Set<string>();
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const clients = await world.system
        .standIn()
        .clients()
        .catch(() => []);
      for (const { clientid } of clients) if (names.has(clientid)) seen.add(clientid);
      await pause(200);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await watching;
      return seen.size + sum(agents.map((agent) => agent.accepted.filter((at) => at > since).length));
    },
  };
}

/** One victim every four to twelve seconds, until it is stopped; each at least once. The operator looks at confirmations every quarter of a minute: it must have time to. */
function killAtRandom(world: RotationWorld, random: () => number, say: RotationOptions['say']) {
  const kills: Record<string, number> = Object.fromEntries(VICTIMS.map((victim) => [victim, 0]));
  let stopped = false;
  const killing = (async () => {
    for (let first = 0; !stopped || first < VICTIMS.length; first++) {
      await pause(4_000 + random() * 8_000);
      const victim =
        VICTIMS[first < VICTIMS.length ? (first * 3 + 1) % VICTIMS.length : Math.floor(random() * VICTIMS.length)] ?? 'operator';
      say(`SIGKILL: ${victim}`);
      await world.kill(victim);
      kills[victim] = (kills[victim] ?? 0) + 1;
    }
  })();
  return {
    async stop(): Promise<Record<string, number>> {
      stopped = true;
      await killing;
      return kills;
    },
  };
}

/** Waits until operator and broker trust exactly these; what they trust at last. */
async function trusted(world: RotationWorld, wanted: readonly string[], timeoutMs = LIMIT_MS): Promise<string[]> {
  const text = (pems: readonly string[]): string => [...pems].sort().join('');
  return waitFor(
    `operator and broker to trust ${wanted.length} CAs`,
    async () => {
      const [bundle, broker] = [await world.bundle(), await world.brokerCas()];
      return text(bundle) === text(wanted) && text(broker) === text(wanted) ? broker : undefined;
    },
    { timeoutMs, everyMs: 500 },
  );
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
