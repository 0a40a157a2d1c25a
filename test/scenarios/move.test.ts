// A Device changes its segment while its session lasts (MQTT 5, clean start off, expiry one day): from the moment that its status reports the step, not one message
// of the old segment reaches it, by any of its certificates; and it comes back by itself. The old segment keeps talking to it all the while.
import { X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import { API_VERSION, DEVICES, SECRETS } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { seededRandom } from '../../operator/runtime/random.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { connectWith } from '../simulator/hostile.ts';
import { makeDeviceKey } from '../simulator/key.ts';
import { keepSession, type LastingOptions, type LastingSession, type Worn } from './lasting-session.ts';
import { conditionOf, deviceManifest, type Member, type Scene, segment, startScene, untilDevice, untilSegment } from './scene.ts';

const READY = { type: 'Ready', status: 'True' } as const;
const PATIENCE_MS = 120_000;
const SEED = 20_261_125;

let scene: Scene;
let site: string;
const open: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  scene = await startScene('move', { operatorArgs: ['--leader-elect', 'false'] });
  ({ site } = scene);
  await scene.system.apply([segment('office', site), segment('lab', site), segment('doors', site)]);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.stop()));
});
afterAll(() => scene?.stop());

/** A device of the office with a session that lasts, and the services of all segments that talk to it without a pause. */
type Actor = { member: Member; session: LastingSession; services: Services; heard(of: string, since?: number): number; worn: Worn };

async function enrol(names: readonly string[], options: Partial<Pick<LastingOptions, 'hangs'>> = {}): Promise<Actor[]> {
  const members = await scene.enrol(names);
  const actors = members.map((member) => {
    const worn = { privateKeyPem: member.device.key.privateKeyPem, certificatePem: member.certificatePem };
    const filters = ['office', 'lab', 'doors'].map((one) => `cmd/${one}.${site}/${member.name}/#`);
    const session = keepSession({ address: scene.broker, name: member.name, worn, filters, ...options });
    const services = talkTo(member);
    open.push(session, services);
    const heard = (of: string, since = 0): number =>
      session.arrivals.filter(({ topic, at }) => topic.startsWith(`cmd/${of}.`) && at > since).length;
    return { member, session, services, heard, worn };
  });
  for (const actor of actors) await hears(actor, 'office');
  return actors;
}

type Services = { sent(since: number): number; stop(): Promise<void> };

/** Through the broker's own API, which asks no ACL: as a service that is trusted by all. */
function talkTo({ name }: Member): Services {
  const times: number[] = [];
  let on = true;
  const loop = (async () => {
    for (let number = 1; on; number++) {
      for (const one of ['office', 'lab', 'doors']) {
        const body = { topic: `cmd/${one}.${site}/${name}/n`, payload: String(number), qos: 1 };
        const sent = await scene.system
          .standIn()
          .request('POST', '/publish', { body })
          .catch(() => undefined);
        if (sent !== undefined && sent.status < 300 && one === 'office') times.push(performance.now());
      }
      await pause(25);
    }
  })();
  return {
    sent: (since) => times.filter((at) => at > since).length,
    async stop() {
      on = false;
      await loop;
    },
  };
}

const hears = ({ session, heard, member }: Actor, of: string, since = performance.now()): Promise<true> =>
  waitFor(
    `${member.name} to hear ${of}`,
    () => {
      session.ask();
      return heard(of, since) > 2 ? true : undefined;
    },
    { timeoutMs: PATIENCE_MS, everyMs: 300 },
  );

const move = (actor: Actor, to: string, spec: object = {}): Promise<void> =>
  scene.system.apply([deviceManifest(actor.member.device, to, spec)]);

/** The device makes a new key, its request goes into the manifest, and what comes back is on the device. */
async function rekey({ member }: Actor, to: string, spec: object = {}): Promise<Worn> {
  const key = await makeDeviceKey({ ...member.device.who, segment: to });
  await scene.system.apply([deviceManifest({ who: member.device.who, key }, to, spec)]);
  const certificatePem = await waitFor(
    `the certificate of ${to} for ${member.name}`,
    async () => {
      const pem = (await deviceOf(member))?.status?.certificate;
      return pem !== undefined && new X509Certificate(pem).subject.includes(`OU=${to}.`) ? pem : undefined;
    },
    { timeoutMs: PATIENCE_MS },
  );
  return { privateKeyPem: key.privateKeyPem, certificatePem };
}

const deviceOf = (member: Member): Promise<Device | undefined> => scene.api.get<Device>(DEVICES, member.ref);
const stepsOf = (device: Device | undefined): string[] => (device?.status?.move?.steps ?? []).map(({ step }) => step);

/** Gives the time, after the status was seen to report the step of a move to this segment. */
async function untilStep(actor: Actor, to: string, step: string): Promise<number> {
  let last: Device | undefined;
  return waitFor(
    `${actor.member.name} to report ${step} on its way to ${to}`,
    async () => {
      last = await deviceOf(actor.member);
      return last?.status?.move?.to === `${to}.${site}` && stepsOf(last).includes(step) ? performance.now() : undefined;
    },
    { timeoutMs: PATIENCE_MS, describe: () => JSON.stringify(last?.status ?? 'no status') },
  );
}

async function expectOver(actor: Actor, to: string): Promise<void> {
  await untilStep(actor, to, 'Done');
  const device = await untilDevice(scene, actor.member.ref, READY, PATIENCE_MS);
  expect(conditionOf(device, 'SegmentInCertificate')).toBeUndefined();
  const { status } = await scene.system
    .standIn()
    .request('GET', `/authorization/sources/built_in_database/rules/clients/${actor.member.name}`);
  expect(status).toBe(404);
}

async function expectRefused({ member }: Actor, { privateKeyPem, certificatePem }: Worn): Promise<void> {
  for (const [protocolVersion, answer] of BANNED) {
    const options = { clientId: member.name, clean: false, protocolVersion };
    expect((await connectWith(scene.broker, { privateKeyPem }, certificatePem, options)).how).toMatch(answer);
  }
}

/** What CONNACK says of a ban: MQTT 5 reason code 0x8A, MQTT 3.1.1 return code 5. */
const BANNED = [
  [5, /^CONNACK 0x8A/],
  [4, /^Connection refused: Not authorized$/],
] as const;

/** The old segment talked on, and was not heard. */
async function expectDeaf(actor: Actor, since: number, segments: readonly string[] = ['office']): Promise<void> {
  await waitFor('the services to have talked on', () => (actor.services.sent(since) > 20 ? true : undefined));
  for (const one of segments) expect([actor.member.name, one, actor.heard(one, since)]).toEqual([actor.member.name, one, 0]);
}

const clientRow = async (member: Member): Promise<{ connected?: boolean; mqueue_len?: number; inflight_cnt?: number }> =>
  (await scene.system.standIn().request('GET', `/clients/${member.name}`)).body as object;

async function goOffline(actor: Actor): Promise<void> {
  await actor.session.goOffline();
  await waitFor('its session to hold messages while it is away', async () => {
    const row = await clientRow(actor.member);
    return row.connected === false && (row.mqueue_len ?? 0) > 3 ? true : undefined;
  });
}

describe('a device is moved to another segment', () => {
  it('online, offline, or hanging: nothing of the old segment after the step is reported, with the old certificate and with the new', {
    timeout: 400_000,
  }, async () => {
    const [online, offline] = (await enrol(['online', 'offline'])) as [Actor, Actor];
    const [hanging] = (await enrol(['hanging'], { hangs: true })) as [Actor];
    const all = [online, offline, hanging];
    await goOffline(offline);
    await waitFor('messages to wait for the one that hangs', async () =>
      ((await clientRow(hanging.member)).mqueue_len ?? 0) > 3 ? true : undefined,
    );
    const connections = online.session.counts.accepted;

    for (const actor of all) await move(actor, 'lab');
    const moved = new Map<Actor, number>();
    for (const actor of all) moved.set(actor, await untilStep(actor, 'lab', 'RightsMoved'));
    const waiting = await untilDevice(scene, online.member.ref, {
      type: 'SegmentInCertificate',
      status: 'False',
      reason: 'CertificateAwaited',
    });
    expect(conditionOf(waiting, 'SegmentInCertificate')?.message).toContain(`OU=lab.${site}`);
    expect(conditionOf(waiting, 'Ready')?.status).toBe('True');
    offline.session.comeBack();
    for (const actor of [online, offline]) await hears(actor, 'lab');
    // Without downtime: who was well keeps its connection.
    expect(online.session.counts.accepted).toBe(connections);
    for (const actor of all) await expectDeaf(actor, moved.get(actor) ?? 0);

    const [worn] = await Promise.all(
      all.map(async (actor) => {
        const next = await rekey(actor, 'lab');
        actor.session.wear(next);
        return next;
      }),
    );
    for (const actor of all) await expectOver(actor, 'lab');
    const device = await deviceOf(online.member);
    expect(stepsOf(device)).toEqual(['RightsMoved', 'CertificateIssued', 'CertificateInUse', 'OldCertificatesOver', 'Done']);
    expect(device?.status?.certificate).toBe(worn?.certificatePem);
    for (const actor of all) await expectRefused(actor, actor.worn);
    for (const actor of [online, offline]) await hears(actor, 'lab');
    for (const actor of all) await expectDeaf(actor, moved.get(actor) ?? 0);
    process.stderr.write(
      `moved online, offline, hanging: ${all.map((actor) => `${actor.services.sent(moved.get(actor) ?? 0)} messages of the old segment sent, ${actor.heard('office', moved.get(actor))} heard`).join('; ')}\n`,
    );
  });

  it('and back before it got another certificate: as if nothing had been', async () => {
    const [actor] = (await enrol(['boomerang'])) as [Actor];
    await move(actor, 'lab');
    const away = await untilStep(actor, 'lab', 'RightsMoved');
    await hears(actor, 'lab');
    await expectDeaf(actor, away);
    await move(actor, 'office');
    await expectOver(actor, 'office');
    const back = performance.now();
    await hears(actor, 'office');
    await expectDeaf(actor, back, ['lab']);
    await untilDevice(scene, actor.member.ref, READY);
    expect((await deviceOf(actor.member))?.status?.certificate).toBe(actor.worn.certificatePem);
  });

  it('on and on, faster than anybody can follow: only the last one counts', async () => {
    const [actor] = (await enrol(['nomad'])) as [Actor];
    for (const to of ['lab', 'doors', 'office', 'doors', 'lab', 'doors']) await move(actor, to);
    const moved = await untilStep(actor, 'doors', 'RightsMoved');
    await hears(actor, 'doors');
    await expectDeaf(actor, moved, ['office', 'lab']);
    actor.session.wear(await rekey(actor, 'doors'));
    await expectOver(actor, 'doors');
    await expectRefused(actor, actor.worn);
    await expectDeaf(actor, moved, ['office', 'lab']);
  });

  it('and back after it, with the request that it had before: the revert of the commit is enough', async () => {
    const [actor] = (await enrol(['reverted'])) as [Actor];
    await move(actor, 'lab');
    actor.session.wear(await rekey(actor, 'lab'));
    await expectOver(actor, 'lab');
    await move(actor, 'office');
    const moved = await untilStep(actor, 'office', 'CertificateIssued');
    const certificatePem = (await deviceOf(actor.member))?.status?.certificate ?? '';
    actor.session.wear({ privateKeyPem: actor.worn.privateKeyPem, certificatePem });
    await expectOver(actor, 'office');
    await hears(actor, 'office');
    await expectDeaf(actor, moved, ['lab']);
    await expectRefused(actor, actor.worn);
  });

  it('whose key cert-manager makes: the next Secret names the new segment', async () => {
    const name = 'software';
    const manifest = (to: string): object => ({
      ...{ apiVersion: API_VERSION, kind: 'Device', metadata: { name, namespace: site } },
      spec: { segment: to, hardware: { serial: 'SN-software' }, identity: { enrollment: 'Managed', secretName: `${name}-tls` } },
    });
    const secret = async (to: string): Promise<Worn> =>
      waitFor(
        `a Secret of ${to}`,
        async () => {
          const { data } =
            (await scene.api.get<KubeObject & { data: Record<string, string> }>(SECRETS, { name: `${name}-tls`, namespace: site })) ?? {};
          const text = (key: string): string => Buffer.from(data?.[key] ?? '', 'base64').toString();
          const certificatePem = text('tls.crt');
          return certificatePem !== '' && new X509Certificate(certificatePem).subject.includes(`OU=${to}.`)
            ? { certificatePem, privateKeyPem: text('tls.key') }
            : undefined;
        },
        { timeoutMs: PATIENCE_MS },
      );
    await scene.system.apply([manifest('office')]);
    const ref = { name, namespace: site };
    await untilDevice(scene, ref, READY, PATIENCE_MS);
    const member = { name: `${name}.${site}`, ref } as Member;
    const worn = await secret('office');
    const filters = ['office', 'lab'].map((one) => `cmd/${one}.${site}/${member.name}/#`);
    const session = keepSession({ address: scene.broker, name: member.name, worn, filters });
    const services = talkTo(member);
    open.push(session, services);
    const heard = (of: string, since = 0): number =>
      session.arrivals.filter(({ topic, at }) => topic.startsWith(`cmd/${of}.`) && at > since).length;
    const actor: Actor = { member, session, services, heard, worn };
    await hears(actor, 'office');
    await scene.system.apply([manifest('lab')]);
    const moved = await untilStep(actor, 'lab', 'RightsMoved');
    session.wear(await secret('lab'));
    await expectOver(actor, 'lab');
    await hears(actor, 'lab');
    await expectRefused(actor, worn);
    await expectDeaf(actor, moved);
  });
});

describe('something else happens in the middle of a move', () => {
  it('quarantine: nothing of either segment is heard; released, it is on its way to where it was going', async () => {
    const [actor] = (await enrol(['ill'])) as [Actor];
    await move(actor, 'lab');
    const moved = await untilStep(actor, 'lab', 'RightsMoved');
    await move(actor, 'lab', { lifecycle: 'Quarantined' });
    await untilDevice(scene, actor.member.ref, { type: 'Quarantined', status: 'True' }, PATIENCE_MS);
    const shut = performance.now();
    actor.session.wear(await rekey(actor, 'lab', { lifecycle: 'Quarantined' }));
    await untilStep(actor, 'lab', 'OldCertificatesOver');
    await expectRefused(actor, actor.worn);
    await pause(1_000);
    await expectDeaf(actor, shut, ['office', 'lab']);
    const spec = (await deviceOf(actor.member))?.spec;
    await scene.api.mergePatch(DEVICES, actor.member.ref, { spec: { ...spec, lifecycle: 'Active' } });
    await expectOver(actor, 'lab');
    await hears(actor, 'lab');
    await expectDeaf(actor, moved);
  });

  it('revocation: it is out with all of its certificates', async () => {
    const [actor] = (await enrol(['stolen'])) as [Actor];
    await move(actor, 'lab');
    const moved = await untilStep(actor, 'lab', 'RightsMoved');
    const next = await rekey(actor, 'lab');
    await scene.api.mergePatch(DEVICES, actor.member.ref, { spec: { lifecycle: 'Revoked' } });
    await untilDevice(scene, actor.member.ref, { type: 'Revoked', status: 'True' }, PATIENCE_MS);
    actor.session.wear(next);
    for (const worn of [actor.worn, next]) await expectRefused(actor, worn);
    await pause(1_000);
    expect(actor.session.connected()).toBe(false);
    await expectDeaf(actor, moved);
  });

  it('the policy of the new segment is deleted: the device hears nothing; when it returns, the move goes on', async () => {
    const [actor] = (await enrol(['homeless'])) as [Actor];
    await scene.system.apply([segment('attic', site)]);
    await untilSegment(scene, 'attic');
    await move(actor, 'attic');
    const moved = await untilStep(actor, 'attic', 'RightsMoved');
    await scene.system.kubectl('delete', 'segmentpolicy', 'attic', '-n', site);
    await untilDevice(scene, actor.member.ref, { type: 'Segmented', status: 'False' }, PATIENCE_MS);
    actor.session.wear(await rekey(actor, 'attic'));
    await untilStep(actor, 'attic', 'Done');
    await expectDeaf(actor, moved);
    await scene.system.apply([segment('attic', site)]);
    await expectOver(actor, 'attic');
    await expectDeaf(actor, moved);
  });

  it('the policy of the old segment is deleted and returns: nothing of it comes back', async () => {
    await scene.system.apply([segment('cellar', site)]);
    const [member] = (await scene.enrol(['miner'], { segment: 'cellar' })) as [Member];
    const worn = { privateKeyPem: member.device.key.privateKeyPem, certificatePem: member.certificatePem };
    await member.connect();
    expect(await member.device.subscribe(`cmd/cellar.${site}/${member.name}/#`)).toBe('granted');
    await scene.system.apply([deviceManifest(member.device, 'lab')]);
    const actor = { member } as Actor;
    await untilStep(actor, 'lab', 'RightsMoved');
    await scene.system.kubectl('delete', 'segmentpolicy', 'cellar', '-n', site);
    await pause(500);
    await scene.system.apply([segment('cellar', site)]);
    await untilSegment(scene, 'cellar');
    if (!member.device.connected()) await member.device.connect(scene.broker, worn.certificatePem);
    expect(await member.device.subscribe(`cmd/cellar.${site}/${member.name}/#`)).toBe('refused');
    expect(await member.device.subscribe(`cmd/lab.${site}/${member.name}/#`)).toBe('granted');
  });
});

describe('operator and broker are killed between the steps', () => {
  const random = seededRandom(SEED);
  const FAULTS = ['none', 'operator', 'broker', 'broker forgets', 'both', 'both, and the broker forgets'] as const;
  const drawn = (): (typeof FAULTS)[number][] => Array.from({ length: 4 }, () => FAULTS[Math.floor(random() * FAULTS.length)] ?? 'none');

  async function strike(fault: (typeof FAULTS)[number]): Promise<void> {
    const { system } = scene;
    const [atOperator, atBroker] = [/operator|both/.test(fault), /broker|both/.test(fault)];
    await Promise.all([atOperator ? system.operator().kill() : undefined, atBroker ? system.standIn().kill() : undefined]);
    if (atBroker) await system.standIn().restart({ wipe: fault.endsWith('forgets') });
    if (atOperator) await system.startOperator();
  }

  it.each(Array.from({ length: 3 }, (_, at) => [at + 1, drawn()] as const))('round %i: %j', async (round, faults) => {
    const [online, offline] = (await enrol([`online-${round}`, `offline-${round}`])) as [Actor, Actor];
    const both = [online, offline];
    await goOffline(offline);
    for (const actor of both) await move(actor, 'lab');
    await strike(faults[0] ?? 'none');
    const moved = new Map<Actor, number>();
    for (const actor of both) moved.set(actor, await untilStep(actor, 'lab', 'RightsMoved'));
    await strike(faults[1] ?? 'none');
    offline.session.comeBack();
    const next = new Map<Actor, Worn>();
    for (const actor of both) next.set(actor, await rekey(actor, 'lab'));
    await strike(faults[2] ?? 'none');
    for (const [actor, worn] of next) actor.session.wear(worn);
    for (const actor of both) await untilStep(actor, 'lab', 'CertificateInUse');
    await strike(faults[3] ?? 'none');
    for (const actor of both) {
      await expectOver(actor, 'lab');
      await hears(actor, 'lab');
      await expectRefused(actor, actor.worn);
      await expectDeaf(actor, moved.get(actor) ?? 0);
    }
  });
});
