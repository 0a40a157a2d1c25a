// The probe against the stand-in: what it proves, and a broker that gives back the right text and enforces another. No cluster is needed here.
import { createHash, createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Broker, CANARY } from '../../operator/broker/broker.ts';
import { createProbe, createProbeMetrics, type Probe } from '../../operator/probe/probe.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { createLog } from '../../operator/runtime/log.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { waitFor } from '../harness/wait.ts';
import { adoptRoomBroker, LAB, OFFICE, type RoomWorld, rightsOf, startRoomWorld } from './broker-fixture.ts';

let world: RoomWorld;
let room: Broker;
let stop: AbortController;
let probe: Probe;
let lines: string[];

beforeEach(async () => {
  world = await startRoomWorld();
  world.wish.verdicts.set(CANARY, 'unknown');
  room = world.start({ canary: true });
});
afterEach(async () => {
  stop?.abort(new Error('the test is over'));
  await world.stop();
});

/** As a new process of the operator. */
async function startProbe(port = world.standIn.mqttPort): Promise<void> {
  stop = new AbortController();
  lines = [];
  const identity = await world.identity(CANARY, CANARY);
  world.wish.verdicts.set(identity.md5, 'ok');
  const caFile = join(world.dir, 'probe-ca.pem');
  writeFileSync(caFile, world.broker.caPem);
  const metrics = createMetrics();
  probe = createProbe({
    ...{ target: { host: '127.0.0.1', port }, caFile, clock: systemClock, metrics, measured: createProbeMetrics(metrics.registry) },
    log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
    certificate: async () => ({
      certificate: identity.certPem,
      key: createPrivateKey(identity.keyPem),
      md5: identity.md5,
      notAfterMs: systemClock.now() + 86_400_000,
    }),
    text: () => room.textInForce(),
    rights: () => world.wish.segments,
  });
  room.onText(() => probe.textChanged());
  void probe.controller.run(stop.signal);
}

const until = (state: string, segment = OFFICE) =>
  waitFor(
    `the standing of ${segment} to be ${state}`,
    () => (probe.standing(segment).state === state ? probe.standing(segment) : undefined),
    {
      timeoutMs: 90_000,
      everyMs: 50,
      describe: () => `${JSON.stringify(probe.standing(segment))}\n${lines.slice(-5).join('')}`,
    },
  );
const text = async (): Promise<string> =>
  ((await world.standIn.request('GET', '/authorization/sources/file')).body as { rules: string }).rules;

describe('a broker that enforces its text', () => {
  it('passes for every segment, and after a change of the text again', async () => {
    await startProbe();
    expect(await until('passed')).toMatchObject({ reason: 'Probed' });
    expect(probe.standing(LAB)).toMatchObject({ state: 'passed' });
    world.wish.segments = [rightsOf(OFFICE), { ...rightsOf(LAB), publish: [{ topic: 'dt/{segment}/{device}/+/x' }] }];
    room.wake('a policy changed');
    await waitFor('the change to be seen', () => (probe.standing(LAB).state === 'pending' ? true : undefined), {
      timeoutMs: 30_000,
      everyMs: 5,
    });
    expect(probe.standing(OFFICE)).toMatchObject({ state: 'passed' });
    await until('passed', LAB);
  });

  it('is left as it was found: the canary goes, is in no list of devices, and its text has one more name', async () => {
    await startProbe();
    await until('passed');
    await waitFor('the canary to be gone', async () => ((await world.standIn.clients()).length === 0 ? true : undefined), {
      timeoutMs: 30_000,
    });
    const rules = (await text()).split('\n').filter((line) => line.includes('-probe[.]-hedgerow'));
    expect(rules).toHaveLength(2);
    expect(rules.every((line) => /\["probe\/[$][{]client_attrs[.]seg[}]\/[$][{]cert_common_name[}]\/[0-9a-f]{16}"/.test(line))).toBe(true);
    const { body } = await world.standIn.request('GET', '/mqtt/retainer/messages');
    expect((body as { data: { topic: string }[] }).data.filter(({ topic }) => topic.startsWith('probe/'))).toEqual([]);
    const { body: bans } = await world.standIn.request('GET', '/banned');
    expect((bans as { data: { who: string }[] }).data.map(({ who }) => who)).toEqual(['invalid-certificate']);
  });

  it('throws out a client that shows the name of the canary and is not the one of this process', async () => {
    await startProbe();
    await until('passed');
    const other = await world.ca.issue([
      [{ type: 'O', value: 'hedgerow' }],
      [{ type: 'OU', value: CANARY }],
      [{ type: 'CN', value: CANARY }],
    ]);
    const made = await world.attempt(other);
    if (!made.ok) throw new Error(made.error);
    room.wake('look');
    await waitFor('it to be thrown out', () => (made.device.closed ? true : undefined), { timeoutMs: 60_000 });
    const again = await world.attempt(other);
    expect(again).toMatchObject({ ok: false });
  });
});

describe('a broker that others use', () => {
  it('passes too: their rules stay, and the fence around ours holds for the canary', async () => {
    await world.halt();
    const rules = '{allow, all, subscribe, ["board/today"]}.\n{allow, all, publish, ["#"]}.\n{allow, all, subscribe, ["#"]}.\n';
    await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules } });
    room = world.start({ canary: true });
    await waitFor('it to be seen', () => (room.authorization('thermo-1.berlin', OFFICE).state === 'foreign' ? true : undefined), {
      timeoutMs: 30_000,
    });
    expect(room.textInForce()).toBeUndefined();
    await adoptRoomBroker(world, { segments: world.wish.segments, keep: 'all', yes: true });
    await startProbe();
    await until('passed');
    expect(await text()).toContain('board/today');
  });
});

describe('a broker that gives back the right text and enforces another', () => {
  it('is found open: what was allowed by mistake is named, for the segment that it concerns', async () => {
    await startProbe();
    await until('passed');
    stop.abort(new Error('a new process'));
    const right = await text();
    world.standIn.enforceInstead(`{allow, all, subscribe, ["dt/${OFFICE}/#"]}.\n${right}`);
    await startProbe();
    expect(await until('failed')).toMatchObject({
      reason: 'ProbeFailed',
      message: expect.stringMatching(/^HR-PRB-001 .*subscribe dt\/office[.]berlin/),
    });
    expect(probe.standing(LAB)).toMatchObject({ state: 'passed' });
    // The read-back sees nothing: it is still the text that was written.
    expect(await text()).toBe(right);
    expect(room.authorization('thermo-1.berlin', OFFICE).state).toBe('ok');
  });

  it('is found open for all when everything is allowed, and shut again when it is repaired', async () => {
    await until0();
    const right = await text();
    world.standIn.enforceInstead('{allow, all}.');
    await startProbe();
    for (const segment of [OFFICE, LAB]) expect(await until('failed', segment)).toMatchObject({ reason: 'ProbeFailed' });
    await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: right } });
    await until('passed');
  });

  it('is found shut when an older text decides, or none', async () => {
    await until0();
    world.standIn.enforceInstead((await text()).replaceAll(/\/[0-9a-f]{16}"/g, `/${createHash('md5').digest('hex').slice(0, 16)}"`));
    await startProbe();
    expect(await until('failed')).toMatchObject({ message: expect.stringMatching(/^HR-PRB-002 /) });
  });

  const until0 = () => waitFor('the text to be in force', () => room.textInForce(), { timeoutMs: 30_000 });
});

describe('a canary that cannot try', () => {
  it('says nothing of the fence', async () => {
    await startProbe(1);
    await waitFor('the try to end', () => (lines.some((line) => line.includes('HR-PRB-012')) ? true : undefined), { timeoutMs: 30_000 });
    expect(probe.standing(OFFICE)).toEqual({ state: 'pending' });
  });
});
