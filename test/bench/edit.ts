// A policy loses a topic while its devices are connected and their sessions last: how soon the right is gone from each of them, and what the others notice of it.
// The floor is the same at the broker alone: the text, and an unsubscription of each client, by the REST API, without anybody who finds out whom it concerns.
import { parallel } from '../harness/parallel.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { type Bench, type Figure, percentile } from './figure.ts';
import { CONNECTIONS, enrol, type Member, SITE, startWorld, stopWorld, type World } from './revoke-world.ts';
import { type Crowd, gather } from './sockets/crowd.ts';

const CLIENTS = 1_000;
const TIGHTENED = 'tightened';
const OTHERS = 'others';
const WITHIN_MS = 60_000;
const LOOK_MS = 10;
/** Each message goes to half of the fleet. */
const TALK_MS = 500;
const REFERENCE = 'floor: the text and an unsubscription of each client by the REST API of the broker, without the operator';

type Say = (line: string) => void;
type Run = { world: World; crowd: Crowd; clients: number; progress: Say };
/** Seconds from the beginning until each client had lost it, in order. */
type Times = number[];

export const editBench: Bench = {
  name: 'edit',
  about: `a topic less for half of ${CLIENTS} connected clients (--clients N): when it is gone from each, and what the others notice`,
  async *run({ clients = CLIENTS, progress }) {
    const half = Math.floor(clients / 2);
    if (half < 2) throw new Error(`--clients ${clients} is too few: 4 at the least`);
    const world = await startWorld(progress);
    let crowd: Crowd | undefined;
    try {
      await world.system.apply([TIGHTENED, OTHERS].map((name) => policy(name, true)));
      const members: Member[] = [];
      for (const segment of [TIGHTENED, OTHERS]) members.push(...(await enrol(world, half, progress, { segment, prefix: segment })));
      const lasting = members.map((member) => ({ ...member, filters: [notice(member.device.segment)] }));
      const address = { host: '127.0.0.1', port: world.system.standIn().mqttPort, caPem: world.system.brokerCaPem };
      crowd = await gather(lasting, address, progress);
      if (crowd.connected() !== members.length) throw new Error(`${crowd.connected()} of ${members.length} are in: ${crowd.failures()[0]}`);
      yield* measure({ world, crowd, clients: half, progress });
    } finally {
      await crowd?.stop();
      await stopWorld(world);
    }
  },
};

const notice = (segment: string): string => `notice/${segment}.${SITE}/all`;
const nameOf = (segment: string, number: number): string => `${segment}-${number}.${SITE}`;

function policy(name: string, withNotice: boolean): object {
  const subscribe = [{ topic: 'cmd/{segment}/{device}/#' }, ...(withNotice ? [{ topic: 'notice/{segment}/all' }] : [])];
  const topics = { publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }], subscribe };
  return {
    ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'SegmentPolicy', metadata: { name, namespace: SITE } },
    spec: { function: 'sensor', trust: 2, topics },
  };
}

async function* measure(run: Run): AsyncIterable<Figure> {
  const { world, clients, progress } = run;
  await subscribeAll(run);
  progress('the floor');
  const operator = world.system.operator().pid;
  process.kill(operator, 'SIGSTOP');
  const floor = await lose(run, () => takeAwayAtBroker(run)).finally(() => process.kill(operator, 'SIGCONT'));
  await subscribeAll(run);

  progress(`a topic less for ${clients} clients`);
  const talk = startTalk(world);
  await pause(2 * TALK_MS);
  const [ours, refused] = await edit(run);
  await pause(2 * TALK_MS);
  const sent = await talk.stop();
  const n = 2 * clients;
  for (const p of [50, 99, 100]) {
    const figure = p === 100 ? 'right-gone-last' : `right-gone-p${p}`;
    yield { figure, value: percentile(ours, p), unit: 's', n, reference: REFERENCE, referenceValue: percentile(floor, p) };
  }
  yield { figure: 'right-refused', value: refused, unit: 's', n };
  yield* noticed(run, sent);
}

async function subscribeAll({ crowd, clients }: Run): Promise<void> {
  const granted = await crowd.ask();
  if (granted.size !== 2 * clients) throw new Error(`${granted.size} of ${2 * clients} may subscribe`);
}

/** The edit, as an administrator makes it; and when a client that tries again and again is refused. */
async function edit(run: Run): Promise<[Times, refusedAfterSeconds: number]> {
  const { world, crowd } = run;
  const path = `/apis/hedgerow.dev/v1alpha1/namespaces/${SITE}/segmentpolicies/${TIGHTENED}`;
  const probe = nameOf(TIGHTENED, 1);
  let refusedAt: number | undefined;
  const startedAt = performance.now();
  const asking = waitFor(
    'a subscription to be refused',
    async () => {
      if ((await crowd.ask(probe)).has(probe)) return undefined;
      refusedAt = performance.now();
      return true;
    },
    { timeoutMs: WITHIN_MS, everyMs: LOOK_MS },
  );
  const shrink = () => world.admin.send('PATCH', path, policy(TIGHTENED, false), 'application/merge-patch+json');
  const [times] = await Promise.all([lose(run, shrink), asking]);
  return [times, ((refusedAt ?? Number.NaN) - startedAt) / 1000];
}

/** By the broker's own count of those who still have the subscription, looked at every few milliseconds. */
async function lose({ world, clients }: Run, act: () => Promise<unknown>): Promise<Times> {
  const seconds: Times = [];
  const startedAt = performance.now();
  const gone = waitFor(
    'the subscriptions to be gone',
    async () => {
      const count = clients - (await subscribers(world, TIGHTENED));
      while (seconds.length < count) seconds.push((performance.now() - startedAt) / 1000);
      return count === clients ? true : undefined;
    },
    { timeoutMs: WITHIN_MS, everyMs: LOOK_MS, describe: () => `${seconds.length} of ${clients} are` },
  );
  await Promise.all([act(), gone]);
  return seconds;
}

async function subscribers({ system }: World, segment: string): Promise<number> {
  const { body } = await system.standIn().request('GET', `/subscriptions?limit=1&topic=${encodeURIComponent(notice(segment))}`);
  return (body as { meta: { count: number } }).meta.count;
}

async function takeAwayAtBroker({ world: { system }, clients }: Run): Promise<void> {
  const { body } = await system.standIn().request('GET', '/authorization/sources/file');
  const put = await system.standIn().request('PUT', '/authorization/sources/file', { body });
  if (put.status !== 204) throw new Error(`PUT of the text: ${put.status}`);
  const numbers = Array.from({ length: clients }, (_, at) => at + 1);
  await parallel(numbers, CONNECTIONS, async (number) => {
    const path = `/clients/${nameOf(TIGHTENED, number)}/unsubscribe/bulk`;
    const { status } = await system.standIn().request('POST', path, { body: [{ topic: notice(TIGHTENED) }] });
    if (status !== 204) throw new Error(`POST ${path}: ${status}`);
  });
}

/** Numbered messages to the devices of both segments, as a service sends them, until it is stopped: then how many there were for each. */
function startTalk({ system }: World): { stop(): Promise<number> } {
  let [stopped, number] = [false, 0];
  const talk = (async () => {
    while (!stopped) {
      number += 1;
      for (const segment of [TIGHTENED, OTHERS]) {
        const body = { topic: notice(segment), payload: String(number), qos: 1 };
        await system.standIn().request('POST', '/publish', { body });
      }
      await pause(TALK_MS);
    }
    return number;
  })();
  return {
    stop: () => {
      stopped = true;
      return talk;
    },
  };
}

/** Of those whom the edit did not concern: who was disconnected, what they did not hear. Of those whom it did: what they hear afterwards, who may still subscribe. */
async function* noticed({ world, crowd, clients }: Run, sent: number): AsyncIterable<Figure> {
  const isOther = (clientId: string): boolean => clientId.startsWith(`${OTHERS}-`);
  const due = sent * clients;
  let before = await crowd.tally();
  const heardBy = (tally: ReadonlyMap<string, number>, others: boolean): number =>
    [...tally].reduce((sum, [clientId, messages]) => sum + (isOther(clientId) === others ? messages : 0), 0);
  const until = performance.now() + WITHIN_MS;
  while (heardBy(before, true) < due && performance.now() < until) {
    await pause(LOOK_MS);
    before = await crowd.tally();
  }
  yield { figure: 'others-disconnected', value: crowd.closed().filter(isOther).length, unit: 'clients', n: clients };
  yield { figure: 'others-messages-lost', value: due - heardBy(before, true), unit: 'messages', n: due };
  yield { figure: 'concerned-disconnected', value: crowd.closed().filter((one) => !isOther(one)).length, unit: 'clients', n: clients };

  await world.system.standIn().request('POST', '/publish', { body: { topic: notice(TIGHTENED), payload: 'afterwards', qos: 1 } });
  const granted = await crowd.ask();
  const after = await crowd.tally();
  yield { figure: 'heard-afterwards', value: heardBy(after, false) - heardBy(before, false), unit: 'messages', n: clients };
  yield { figure: 'subscribed-afterwards', value: [...granted].filter((one) => !isOther(one)).length, unit: 'clients', n: clients };
  const lost = clients - [...granted].filter(isOther).length;
  yield { figure: 'others-refused', value: lost, unit: 'clients', n: clients };
}
