// The broker room against the stand-in: what it makes true, what it repairs, whom it throws out, and what it leaves alone. No cluster is needed here.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Broker } from '../../operator/broker/broker.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { adoptRoomBroker, LAB, OFFICE, quarantined, type RoomWorld, revoked, rightsOf, startRoomWorld } from './broker-fixture.ts';

const THERMO = 'thermo-1.berlin';
const OWN = `dt/${OFFICE}/${THERMO}/t`;
const COMMANDS = `cmd/${OFFICE}/${THERMO}/#`;

let world: RoomWorld;
beforeEach(async () => {
  world = await startRoomWorld();
});
afterEach(() => world.stop());

const soon = { timeoutMs: 15_000, everyMs: 10 };
const authorized = (room: Broker, client = THERMO, segment = OFFICE) =>
  waitFor(`${client} to be authorized`, () => (room.authorization(client, segment).state === 'ok' ? true : undefined), {
    ...soon,
    describe: () => JSON.stringify(room.authorization(client, segment)),
  });
const closed = (device: { closed: boolean }) => waitFor('the connection to be closed', () => (device.closed ? true : undefined), soon);
const refused = (name: string, segment = OFFICE) => expect(world.connect(name, segment)).rejects.toThrow('could not connect');
const subscriptions = async (name: string): Promise<string[]> => {
  const { body } = await world.standIn.request('GET', `/clients/${name}/subscriptions`);
  return (body as { topic: string }[]).map((one) => one.topic).sort();
};
const text = async (): Promise<string> =>
  ((await world.standIn.request('GET', '/authorization/sources/file')).body as { rules: string }).rules;
const putText = (rules: string) =>
  world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules } });

describe('a broker that is ours', () => {
  it('gets the rights of all segments, and a device may do exactly what its segment grants', async () => {
    const room = world.start();
    await authorized(room);
    const device = await world.connect(THERMO, OFFICE);
    expect(await device.publish(OWN)).toBe('accepted');
    expect(await device.publish(OWN, { retain: true })).toBe('refused 135');
    expect(await device.publish(OWN, { qos: 2 })).toBe('refused 135');
    expect(await device.publish(`dt/${OFFICE}/thermo-2.berlin/t`)).toBe('refused 135');
    expect(await device.publish(`dt/${LAB}/${THERMO}/t`)).toBe('refused 135');
    expect(await device.subscribe(COMMANDS)).toMatch(/^granted/);
    for (const filter of ['#', `cmd/${OFFICE}/+/#`, `cmd/${OFFICE}/#`, '+/#', '$SYS/#', '$share/g/#', `recovery/+/#`])
      expect([filter, await device.subscribe(filter)]).toEqual([filter, 'refused 135']);
    expect(await device.publish(`ota/v1/d/${THERMO}/state`, { retain: true })).toBe('accepted');
    expect(await device.publish('ota/v1/d/thermo-2.berlin/state')).toBe('refused 135');
  });

  it('a topic of another segment is read as far as it was granted, and taken back without a connection lost', async () => {
    const reads = { ...rightsOf(LAB), subscribe: [...rightsOf(LAB).subscribe, { topic: `dt/${OFFICE}/+/t`, qosMax: 1 as const }] };
    world.wish.segments = [rightsOf(OFFICE), reads];
    const room = world.start();
    await authorized(room);
    await authorized(room, 'reader-1.berlin', LAB);
    const [device, reader] = [await world.connect(THERMO, OFFICE), await world.connect('reader-1.berlin', LAB)];
    for (const filter of ['dt/#', 'dt/+/+/t', `dt/${OFFICE}/#`, `dt/${OFFICE}/+/#`, `dt/${OFFICE}/+/+`, `$share/g/dt/${OFFICE}/#`])
      expect([filter, await reader.subscribe(filter)]).toEqual([filter, 'refused 135']);
    expect(await reader.subscribe(`dt/${OFFICE}/+/t`)).toMatch(/^granted/);
    expect(await reader.publish(OWN)).toBe('refused 135');
    expect(await device.publish(OWN)).toBe('accepted');
    await reader.waitMessages(1);
    world.wish.segments = [rightsOf(OFFICE), rightsOf(LAB)];
    room.wake('a policy');
    await waitFor('the subscription to be gone', async () => (await subscriptions('reader-1.berlin')).length === 0 || undefined, soon);
    expect(await reader.subscribe(`dt/${OFFICE}/+/t`)).toBe('refused 135');
    expect([device.closed, reader.closed]).toEqual([false, false]);
  });

  it('throws a revoked device out and refuses it from then on', async () => {
    const room = world.start();
    await authorized(room);
    const device = await world.connect(THERMO, OFFICE);
    world.wish.bans = [revoked(THERMO)];
    room.wake('revoked', true, THERMO);
    await closed(device);
    await waitFor('the ban to be seen', () => (room.banned(THERMO) ? true : undefined), soon);
    await refused(THERMO);
  });

  it('quarantine: the session is gone at once, and then only ota/ and recovery/ are left; its end gives all back', async () => {
    const room = world.start();
    await authorized(room);
    const before = await world.connect(THERMO, OFFICE);
    expect(await before.publish(OWN)).toBe('accepted');
    expect(await before.subscribe(COMMANDS)).toMatch(/^granted/);
    world.wish.overrides = [quarantined(THERMO)];
    room.wake('quarantine', true, THERMO);
    expect(room.authorization(THERMO, OFFICE).state).toBe('pending');
    await closed(before);
    await authorized(room);
    const device = await world.connect(THERMO, OFFICE);
    expect(await device.publish(OWN)).toBe('refused 135');
    expect(await device.subscribe(COMMANDS)).toBe('refused 135');
    expect(await device.subscribe(`recovery/${THERMO}/#`)).toMatch(/^granted/);
    expect(await device.publish(`recovery/${THERMO}/hello`)).toBe('accepted');
    expect(await subscriptions(THERMO)).toEqual([`recovery/${THERMO}/#`]);
    world.wish.overrides = [];
    room.wake('released', true, THERMO);
    await closed(device);
    await authorized(room);
    const again = await world.connect(THERMO, OFFICE);
    expect(await again.publish(OWN)).toBe('accepted');
    expect(await again.subscribe(COMMANDS)).toMatch(/^granted/);
  });

  it('a device that moved loses what its old segment granted, without losing its connection; away, it loses its session', async () => {
    const room = world.start();
    await authorized(room);
    const device = await world.connect(THERMO, OFFICE);
    const away = await world.connect('thermo-2.berlin', OFFICE, { clean: false, expirySeconds: 600 });
    expect(await device.subscribe(COMMANDS)).toMatch(/^granted/);
    expect(await away.subscribe(`cmd/${OFFICE}/thermo-2.berlin/#`)).toMatch(/^granted/);
    away.client.end(true);
    await waitFor(
      'its session to be without a client',
      async () =>
        ((await world.standIn.request('GET', '/clients/thermo-2.berlin')).body as { connected?: boolean }).connected === false || undefined,
      soon,
    );
    world.wish.overrides = [THERMO, 'thermo-2.berlin'].map((client) => ({
      client,
      kind: 'moved' as const,
      rules: [{ topic: `cmd/${LAB}/${client}/#`, permission: 'allow' as const, action: 'subscribe' as const }],
    }));
    room.wake('moved', true, THERMO);
    room.wake('moved', true, 'thermo-2.berlin');
    await authorized(room, THERMO, LAB);
    await authorized(room, 'thermo-2.berlin', LAB);
    expect(await subscriptions(THERMO)).toEqual([]);
    expect(device.closed).toBe(false);
    expect(await device.subscribe(`cmd/${LAB}/${THERMO}/#`)).toMatch(/^granted/);
    expect((await world.standIn.request('GET', '/clients/thermo-2.berlin')).status).toBe(404);
  });

  it('a policy that is deleted ends the sessions of its segment, disturbs no other, and opens nothing', async () => {
    const room = world.start();
    await authorized(room);
    const device = await world.connect(THERMO, OFFICE);
    const other = await world.connect('probe-1.berlin', LAB);
    world.wish.segments = [rightsOf(LAB)];
    room.wake('a policy');
    await closed(device);
    const again = await world.connect(THERMO, OFFICE);
    expect(await again.publish(OWN)).toBe('refused 135');
    expect(await again.publish(`ota/v1/d/${THERMO}/hello`)).toBe('accepted');
    expect(other.closed).toBe(false);
    expect(await other.publish(`dt/${LAB}/probe-1.berlin/t`)).toBe('accepted');
  });
});

describe('the broker dies', () => {
  it.each([0, 200, 1000])(
    '%i ms after a revocation, and forgets it: the device is refused again within seconds of its start',
    async (ms) => {
      const room = world.start();
      await authorized(room);
      world.wish.bans = [revoked(THERMO)];
      room.wake('revoked', true, THERMO);
      await waitFor('the ban to be seen', () => (room.banned(THERMO) ? true : undefined), soon);
      await pause(ms);
      await world.standIn.kill();
      await world.standIn.restart();
      await waitFor(
        'the ban to be there again',
        async () => {
          const { body } = await world.standIn.request('GET', `/banned?clientid=${THERMO}`);
          return (body as { data: unknown[] }).data.length === 1 ? true : undefined;
        },
        { timeoutMs: 8000, everyMs: 50 },
      );
      await refused(THERMO);
    },
  );

  it('and comes back without anything: who was thrown out never gets a word in, everybody else gets everything back', async () => {
    world.wish.bans = [revoked('gone.berlin')];
    world.wish.overrides = [quarantined('ill.berlin')];
    const room = world.start();
    await authorized(room);
    await world.standIn.restart({ wipe: true });
    const ill = await world.connect('ill.berlin', OFFICE);
    const answers: string[] = [];
    await waitFor(
      'a device to be allowed again',
      async () => {
        const device = await world.connect(THERMO, OFFICE);
        if (!ill.closed) answers.push(await ill.publish(`dt/${OFFICE}/ill.berlin/t`));
        return (await device.publish(OWN)) === 'accepted' ? true : undefined;
      },
      { timeoutMs: 15_000, everyMs: 20 },
    );
    await authorized(room);
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.filter((answer) => answer === 'accepted')).toEqual([]);
    await refused('gone.berlin');
    const again = await world.connect('ill.berlin', OFFICE);
    expect(await again.publish(`dt/${OFFICE}/ill.berlin/t`)).toBe('refused 135');
  });

  it('and the operator too: a new one repairs what changed meanwhile', async () => {
    await authorized(world.start());
    await world.halt();
    await putText('{allow, all}.\n%% hedgerow:begin mode=owned\n');
    const device = await world.connect(THERMO, OFFICE);
    expect(await device.subscribe('#')).toMatch(/^granted/);
    world.wish.bans = [revoked('gone.berlin')];
    await authorized(world.start());
    expect(await text()).not.toContain('{allow, all}');
    expect(device.closed || (await subscriptions(THERMO)).length === 0).toBe(true);
    await refused('gone.berlin');
  });
});

describe('who is connected', () => {
  it('a certificate in no ledger is thrown out and does not come back, until it is known', async () => {
    const { md5 } = await world.identity(THERMO, OFFICE);
    const room = world.start();
    await authorized(room);
    world.wish.verdicts.set(md5, 'unknown');
    const device = await world.connect(THERMO, OFFICE);
    await waitFor('the connection to be closed', () => (device.closed ? true : undefined), { timeoutMs: 30_000 });
    await refused(THERMO);
    world.wish.verdicts.delete(md5);
    room.wake('the ledger changed');
    await waitFor('it to be let in', () => world.connect(THERMO, OFFICE), soon);
  });

  it('200 devices revoked at once are gone in seconds', async () => {
    const room = world.start();
    await authorized(room);
    const names = Array.from({ length: 200 }, (_, i) => `d${i}.berlin`);
    const identities = await Promise.all(names.map((name) => world.identity(name, OFFICE)));
    const devices = [];
    for (const name of names.slice(0, 40)) devices.push(await world.connect(name, OFFICE));
    world.wish.bans = [...names.map((name) => revoked(name)), ...identities.map(({ md5 }) => revoked(md5, 'username'))];
    const startedAt = performance.now();
    room.wake('an incident', true);
    await waitFor('all bans', () => (names.every((name) => room.banned(name)) ? true : undefined), { timeoutMs: 30_000, everyMs: 5 });
    const tookMs = performance.now() - startedAt;
    for (const device of devices) await closed(device);
    process.stderr.write(`400 bans of 200 devices, 40 of them connected: ${Math.round(tookMs)} ms\n`);
    await refused(names[199] ?? '');
  });
});

describe('an EMQX that others use', () => {
  const FOREIGN = '{allow, {clientid,"visitor.plant"}, all, ["plant/#"]}.\n{deny, all, subscribe, ["$SYS/#"]}.\n{allow, all}.\n';

  it('is read only; adopted, our devices are fenced in and the others notice nothing', async () => {
    await putText(FOREIGN);
    const visitor = await world.connect('visitor.plant', 'visitors.plant');
    expect(await visitor.subscribe('plant/#')).toMatch(/^granted/);
    const room = world.start();
    await waitFor('Devices to say so', () => (room.authorization(THERMO, OFFICE).state === 'foreign' ? true : undefined), soon);
    expect(await text()).toBe(FOREIGN);

    const asked = await adoptRoomBroker(world, { segments: world.wish.segments, keep: 'all', yes: false });
    expect(asked).toMatchObject({
      written: false,
      plan: { state: 'foreign', fenced: 1, losses: [{ client: 'visitor.plant', subscription: 'plant/#' }] },
    });
    expect(await text()).toBe(FOREIGN);

    const done = await adoptRoomBroker(world, { segments: world.wish.segments, keep: 'all', yes: true });
    expect(done.written).toBe(true);
    await authorized(room);
    expect(await text()).toContain(FOREIGN.trimEnd());
    const device = await world.connect(THERMO, OFFICE);
    expect(await device.publish(OWN)).toBe('accepted');
    expect(await device.publish('plant/x')).toBe('refused 135');
    expect(await device.subscribe('#')).toBe('refused 135');
    expect((await adoptRoomBroker(world, { segments: [], keep: 'all', yes: true })).plan.state).toBe('adopted');
  });
});

describe('posture', () => {
  it('a record for all clients makes every Device unsafe, until it is gone', async () => {
    const room = world.start();
    await authorized(room);
    const path = '/authorization/sources/built_in_database/rules/all';
    await world.standIn.request('POST', path, { body: { rules: [{ topic: 'all/#', permission: 'allow', action: 'all' }] } });
    await waitFor('Devices to say so', () => (room.authorization(THERMO, OFFICE).reason === 'BrokerUnsafe' ? true : undefined), {
      timeoutMs: 30_000,
    });
    expect(room.authorization(THERMO, OFFICE).message).toContain('HR-BRK-017');
    await world.standIn.request('DELETE', path);
    await waitFor('Devices to be well again', () => (room.authorization(THERMO, OFFICE).state === 'ok' ? true : undefined), {
      timeoutMs: 30_000,
    });
  });
});

it('no secret is in any line of the log', async () => {
  const room = world.start();
  await authorized(room);
  await world.standIn.kill();
  const said = (word: string) => waitFor(`the log to say ${word}`, () => (world.lines.join('\n').includes(word) ? true : undefined), soon);
  await said('cannot be brought up to date');
  await world.standIn.restart();
  await said('EMQX has restarted');
  await authorized(room);
  const { key, secret } = world.standIn.apiKey;
  for (const part of [secret, Buffer.from(`${key}:${secret}`).toString('base64')]) expect(world.lines.join('\n')).not.toContain(part);
});
