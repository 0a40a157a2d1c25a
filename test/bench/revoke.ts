// Revoked means gone: from the API call to the closed socket, one at a time and a thousand at once, among thousands of clients that stay.
// The floor of both is the same at the broker alone: a ban and a kick by its REST API, without anybody who remembers them. Its rounds alternate with ours.
import { readFileSync } from 'node:fs';
import { parallel } from '../harness/parallel.ts';
import { waitFor } from '../harness/wait.ts';
import { connectWith } from '../simulator/hostile.ts';
import { type Bench, type Figure, percentile } from './figure.ts';
import { CONNECTIONS, enrol, type Member, SITE, startWorld, stopWorld, type World } from './revoke-world.ts';
import { type Crowd, gather } from './sockets/crowd.ts';

const CLIENTS = 10_000;
const SINGLE = 200;
const AT_ONCE = 1_000;
/** Two of each for the floor and for us, and as many that nobody touches. */
const PARTS = 6;
const GONE_WITHIN_MS = 120_000;
/** The broker reads the list again every minute at the most (EMQX: `crl_cache.refresh_interval`, profile: 60 s), and keeps the old one meanwhile. */
const REFRESHED_WITHIN_MS = 180_000;
const REFERENCE = 'floor: a ban and a kick by the REST API of the broker, without the operator';
const INTERVENTIONS = `/apis/hedgerow.dev/v1alpha1/namespaces/${SITE}/interventions`;
const YEAR_MS = 31_536_000_000;

type Say = (line: string) => void;
type Act = (member: Member) => Promise<void>;
/** Seconds from each call to its closed socket, in order of size; `last`: from the first call to the last socket. */
type Times = { seconds: number[]; last: number };

export const revokeBench: Bench = {
  name: 'revoke',
  about: `${CLIENTS} connected clients (--clients N), ${SINGLE} revocations one by one and ${AT_ONCE} at once: from apply to socket closed`,
  async *run({ clients = CLIENTS, progress }) {
    const single = Math.min(SINGLE, Math.floor(clients / PARTS));
    const atOnce = Math.min(AT_ONCE, Math.floor(clients / PARTS));
    if (single < 1) throw new Error(`--clients ${clients} is too few: ${PARTS} at the least`);
    const world = await startWorld(progress);
    let crowd: Crowd | undefined;
    try {
      const members = await enrol(world, clients, progress);
      crowd = await gather(
        members,
        { host: '127.0.0.1', port: world.system.standIn().mqttPort, caPem: world.system.brokerCaPem },
        progress,
      );
      if (crowd.failures().length > 0) progress(`${crowd.failures().length} clients were not let in, e.g. ${crowd.failures()[0]}`);
      yield* measure({ world, crowd, members, single, atOnce, progress });
    } finally {
      await crowd?.stop();
      await stopWorld(world);
    }
  },
};

type Run = { world: World; crowd: Crowd; members: Member[]; single: number; atOnce: number; progress: Say };

async function* measure({ world, crowd, members, single, atOnce, progress }: Run): AsyncIterable<Figure> {
  const failed = new Set(crowd.failures().map((line) => line.split(':')[0]));
  const present = members.filter(({ clientId }) => !failed.has(clientId));
  const connected = crowd.connected();
  if (connected !== present.length) throw new Error(`${present.length} clients were let in, ${connected} are connected`);
  yield { figure: 'clients-connected', value: connected, unit: 'clients', n: members.length };
  yield* memory(world, connected);
  // Far apart in the fleet: neighbours would share pages of the ledger.
  const stride = Math.floor(present.length / PARTS);
  const part = (at: number, count: number): Member[] => present.slice(at * stride, at * stride + count);
  const ours = { single: part(0, single), mass: part(1, atOnce) };
  const floor = { single: part(2, single), mass: part(3, atOnce) };
  const ban: Act = (member) => banAtBroker(world, member);
  const revoke: Act = (member) => intervene(world, member);

  progress(`${single} revocations one by one, in turn with the floor`);
  const singles = { ours: [] as number[], floor: [] as number[] };
  for (let at = 0; at < single; at += 1) {
    singles.floor.push(...(await timed(crowd, floor.single.slice(at, at + 1), ban)).seconds);
    singles.ours.push(...(await timed(crowd, ours.single.slice(at, at + 1), revoke)).seconds);
  }
  yield* percentiles('single', sorted(singles.ours), sorted(singles.floor), connected);

  progress(`${atOnce} at once`);
  const mass = { floor: await timed(crowd, floor.mass, ban), ours: await timed(crowd, ours.mass, revoke) };
  yield* percentiles(`of-${atOnce}-at-once`, mass.ours.seconds, mass.floor.seconds, connected);
  yield {
    ...{ figure: `last-of-${atOnce}-at-once`, value: mass.ours.last, unit: 's', n: connected },
    ...{ reference: REFERENCE, referenceValue: mass.floor.last },
  };
  yield* memory(world, crowd.connected());

  const wanted = new Set([...Object.values(ours), ...Object.values(floor)].flat().map(({ clientId }) => clientId));
  const others = crowd.closed().filter((clientId) => !wanted.has(clientId));
  yield { figure: 'others-disconnected', value: others.length, unit: 'clients', n: connected - wanted.size };
  yield* refusals(world, [...ours.single, ...ours.mass], present.at(-1), progress);
}

/** Acts on all of them at the same time, with as many calls in flight as the operator has, and waits for their sockets. */
async function timed(crowd: Crowd, members: readonly Member[], act: Act): Promise<Times> {
  const began = new Map<string, number>();
  await parallel(members, CONNECTIONS, async (member) => {
    began.set(member.clientId, Date.now());
    await act(member);
  });
  await waitFor(
    `the sockets of ${members.length} clients to close`,
    () => (members.every(({ clientId }) => crowd.closedAt(clientId) !== undefined) ? true : undefined),
    { timeoutMs: GONE_WITHIN_MS, everyMs: 5, describe: () => `${crowd.closed().length} are closed` },
  );
  const closedAt = members.map(({ clientId }) => crowd.closedAt(clientId) ?? Number.NaN);
  const seconds = members.map(({ clientId }, at) => ((closedAt[at] ?? Number.NaN) - (began.get(clientId) ?? Number.NaN)) / 1000);
  return { seconds: sorted(seconds), last: (Math.max(...closedAt) - Math.min(...began.values())) / 1000 };
}

async function intervene({ admin }: World, { device }: Member): Promise<void> {
  await admin.send('POST', INTERVENTIONS, {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'Intervention',
    metadata: { generateName: `${device.name}-revoke-`, namespace: SITE },
    spec: { target: { kind: 'Device', name: device.name }, action: 'Revoke', requestedBy: 'admin', reason: 'bench' },
  });
}

async function banAtBroker({ system }: World, { clientId }: Member): Promise<void> {
  const until = new Date(Date.now() + YEAR_MS).toISOString();
  const banned = await system
    .standIn()
    .request('POST', '/banned', { body: { as: 'clientid', who: clientId, until, by: 'bench', reason: 'floor' } });
  if (banned.status !== 200) throw new Error(`POST /banned: ${banned.status}`);
  const kicked = await system.standIn().request('DELETE', `/clients/${clientId}`);
  // 404: the ban was quicker.
  if (![204, 404].includes(kicked.status)) throw new Error(`DELETE /clients: ${kicked.status}`);
}

/** Every revoked one tries again: at once the broker refuses CONNECT, and once it has read the list again, the handshake. */
async function* refusals(world: World, revoked: readonly Member[], bystander: Member | undefined, progress: Say): AsyncIterable<Figure> {
  const address = { host: '127.0.0.1', port: world.system.standIn().mqttPort, caPem: world.system.brokerCaPem };
  const attempt = ({ device, certPem }: Member) => connectWith(address, device.key, certPem);
  const answers: string[] = [];
  const askAll = async (): Promise<void> => {
    answers.length = 0;
    await parallel(revoked, 8, async (member) => {
      const { refused, how } = await attempt(member);
      answers.push(refused ? how : `let in: ${how}`);
    });
  };
  progress(`${revoked.length} revoked clients try to connect again`);
  await askAll();
  const refused = answers.filter((how) => !how.startsWith('let in'));
  yield { figure: 'refused-after-revocation', value: refused.length, unit: 'clients', n: revoked.length };
  const startedAt = performance.now();
  await waitFor(
    'the broker to read the list again',
    async () => {
      const last = revoked.at(-1);
      return last === undefined || isHandshake((await attempt(last)).how) ? true : undefined;
    },
    { timeoutMs: REFRESHED_WITHIN_MS, everyMs: 2_000 },
  );
  progress(`its list named the last of them ${((performance.now() - startedAt) / 1000).toFixed(0)} s after that`);
  await askAll();
  yield { figure: 'refused-in-the-handshake', value: answers.filter(isHandshake).length, unit: 'clients', n: revoked.length };
  if (bystander === undefined) return;
  const { refused: wrongly, how } = await attempt(bystander);
  if (wrongly) throw new Error(`a client that nobody revoked is refused: ${how}`);
}

/** No CONNACK: TLS ended it. */
const isHandshake = (how: string): boolean => /before CONNACK|TLS alert/.test(how);

function* percentiles(name: string, ours: readonly number[], floor: readonly number[], connected: number): Iterable<Figure> {
  for (const p of [50, 99]) {
    const common = { unit: 's', n: connected, reference: REFERENCE };
    yield { figure: `${name}-p${p}`, value: percentile(ours, p), ...common, referenceValue: percentile(floor, p) };
  }
}

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

function* memory({ system }: World, n: number): Iterable<Figure> {
  for (const [name, pid] of [['operator', system.operator().pid] as const, ['broker', system.standIn().pid] as const]) {
    const value = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
    yield { figure: `rss-${name}`, value, unit: 'MiB', n };
  }
}
