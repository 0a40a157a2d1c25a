// What becomes of the fleet when EMQX is down, forgets everything, or is opened by somebody's configuration: rights come back in the right order, and nobody
// who was thrown out gets a word in meanwhile.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NETWORK_POLICIES } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import type { Json } from '../broker/config.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { conditionOf, deviceManifest, type Member, type Scene, segment, startScene, telemetry, untilDevice } from './scene.ts';

const READY = { type: 'Ready', status: 'True' } as const;
const WORKLOAD = { workloads: [{ podSelector: { matchLabels: { app: 'late' } } }] };
/** The posture is polled. */
const PATIENCE_MS = 90_000;

let scene: Scene;
let site: string;
let thermo: Member;
let quarantined: Member;
let revoked: Member;

beforeAll(async () => {
  scene = await startScene('fate');
  ({ site } = scene);
  await scene.system.apply([segment('office', site)]);
  [thermo, quarantined, revoked] = (await scene.enrol(['thermo', 'quarantined', 'revoked'])) as [Member, Member, Member];
  await Promise.all([thermo, quarantined, revoked].map((member) => member.connect()));
  await scene.system.apply([
    deviceManifest(quarantined.device, 'office', { lifecycle: 'Quarantined' }),
    deviceManifest(revoked.device, 'office', { lifecycle: 'Revoked' }),
  ]);
  await untilDevice(scene, quarantined.ref, { type: 'Quarantined', status: 'True' });
  await untilDevice(scene, revoked.ref, { type: 'Revoked', status: 'True' });
});
afterAll(() => scene?.stop());

const accepts = (member: Member): Promise<true> =>
  waitFor(
    `telemetry of ${member.name} to be accepted`,
    async () => {
      if (!member.device.connected()) await member.connect();
      return (await member.tell()) === 'accepted' ? true : undefined;
    },
    { timeoutMs: PATIENCE_MS },
  );

/** Somebody who was thrown out tries again and again. `accepted` counts the publishes on its telemetry topic that the broker took. */
function persist(member: Member): { attempts: number; connects: number; accepted: number; stop(): Promise<void> } {
  const tally = { attempts: 0, connects: 0, accepted: 0 };
  let on = true;
  const trying = (async () => {
    while (on) {
      tally.attempts += 1;
      try {
        if (!member.device.connected()) {
          await member.device.connect(scene.broker, member.certificatePem, { connectTimeout: 2_000 });
          tally.connects += 1;
        }
        if ((await member.device.publish(telemetry(member), '{"v":1}')) === 'accepted') tally.accepted += 1;
      } catch {
        // Refused, or nobody there: the next try.
      }
      await pause(5);
    }
  })();
  return Object.assign(tally, {
    async stop() {
      on = false;
      await trying;
      await member.device.close();
    },
  });
}

describe('EMQX is down', () => {
  beforeAll(async () => {
    await scene.system.standIn().stop();
    await untilDevice(scene, thermo.ref, { type: 'Authorized', status: 'Unknown', reason: 'BrokerUnreachable' }, PATIENCE_MS);
  });

  it('every Device says so, and that nothing else is wrong', async () => {
    const device = await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'Unknown', reason: 'BrokerUnreachable' });
    expect(['Certified', 'Segmented'].map((type) => conditionOf(device, type)?.status)).toEqual(['True', 'True']);
  });

  it('certificates and NetworkPolicies go on', async () => {
    await scene.system.apply([segment('late', site, WORKLOAD)]);
    const [late] = (await scene.enrol(['late'], { segment: 'late', until: { type: 'Certified', status: 'True' } })) as [Member];
    expect(late.certificatePem).toContain('BEGIN CERTIFICATE');
    await waitFor('the NetworkPolicies of the new segment', async () => {
      const policies = await scene.api.list<KubeObject>(NETWORK_POLICIES, { namespace: site });
      return policies.some(({ metadata }) => metadata.name?.endsWith('-deny')) ? true : undefined;
    });
    await untilDevice(scene, late.ref, { type: 'Authorized', status: 'Unknown', reason: 'BrokerUnreachable' });
  });

  it('when it is back, all is as declared, what was applied meanwhile included', async () => {
    await scene.system.standIn().restart();
    for (const name of ['thermo', 'late']) await untilDevice(scene, { name, namespace: site }, READY, PATIENCE_MS);
    await accepts(thermo);
  });
});

describe('EMQX forgets everything', () => {
  it.each([1, 2])('rights come back and nobody who was thrown out gets a word in (round %i)', async () => {
    const broker = scene.system.standIn();
    const watched = [persist(quarantined), persist(revoked)];
    await pause(300);
    await broker.kill();
    await broker.restart({ wipe: true });
    await accepts(thermo);
    await untilDevice(scene, thermo.ref, READY, PATIENCE_MS);
    await pause(1_000);
    await Promise.all(watched.map((one) => one.stop()));
    expect(watched.map(({ accepted }) => accepted)).toEqual([0, 0]);
    // They did try, and the quarantined one did get in: it is refused by its rights, not by its absence.
    for (const { attempts } of watched) expect(attempts).toBeGreaterThan(20);
    expect(watched[0]?.connects).toBeGreaterThan(0);

    const { body } = await broker.request('GET', `/banned?who=${revoked.name}`);
    expect(
      (body as { data: { who: string; by: string }[] }).data.some(({ who, by }) => who === revoked.name && by.startsWith('hedgerow/')),
    ).toBe(true);
    for (const [member, type] of [
      [quarantined, 'Quarantined'],
      [revoked, 'Revoked'],
    ] as const)
      await untilDevice(scene, member.ref, { type, status: 'True' }, PATIENCE_MS);
  });

  it('the same watch sees a publish of a device that may: it can fail', async () => {
    const watched = persist(thermo);
    await waitFor('an accepted publish', () => (watched.accepted > 0 ? true : undefined));
    await watched.stop();
  });
});

type Change = (now: Record<string, Json>) => Record<string, Json>;

/** Changes one thing of EMQX's configuration as an administrator would; gives the way back. */
async function reconfigure(path: string, change: Change): Promise<() => Promise<void>> {
  const broker = scene.system.standIn();
  const put = async (body: Json): Promise<void> => {
    const { status, text } = await broker.request('PUT', path, { body });
    if (status >= 300) throw new Error(`PUT ${path}: ${status} ${text}`);
  };
  const { body } = await broker.request('GET', path);
  await put(change(structuredClone(body) as Record<string, Json>));
  return () => put(body);
}

const mqtt =
  (key: string, value: Json): Change =>
  (zone) => ({ ...zone, mqtt: { ...(zone.mqtt as object), [key]: value } });
const ssl =
  (key: string, value: Json): Change =>
  (listener) => ({ ...listener, ssl_options: { ...(listener.ssl_options as object), [key]: value } });

describe('somebody opens EMQX', () => {
  const changes: readonly (readonly [what: string, code: string, path: string, change: Change])[] = [
    ['a listener without TLS is switched on', 'HR-BRK-010', '/listeners/tcp:default', (listener) => ({ ...listener, enable: true })],
    ['certificates are not verified any more', 'HR-BRK-011', '/listeners/ssl:default', ssl('verify', 'verify_none')],
    [
      'the client id is not taken from the certificate',
      'peer_cert_as_clientid',
      '/configs/global_zone',
      mqtt('peer_cert_as_clientid', 'disabled'),
    ],
    [
      'the user name is not taken from the certificate',
      'peer_cert_as_username',
      '/configs/global_zone',
      mqtt('peer_cert_as_username', 'disabled'),
    ],
    ['the segment is not taken from the certificate', 'HR-BRK-014', '/configs/global_zone', mqtt('client_attrs_init', [])],
    ['certificates of any form are let in', 'HR-BRK-015', '/configs/global_zone', mqtt('clientid_override', 'disabled')],
    ['what no rule mentions is allowed', 'HR-BRK-016', '/authorization/settings', (settings) => ({ ...settings, no_match: 'allow' })],
    ['messages can be parked', 'HR-BRK-018', '/mqtt/delayed', (delayed) => ({ ...delayed, enable: true })],
  ];
  const undo: (() => Promise<void>)[] = [];
  let message = '';

  // All at once: the posture is read four times a minute.
  beforeAll(async () => {
    for (const [, , path, change] of changes) undo.unshift(await reconfigure(path, change));
    const all = async (): Promise<string | undefined> => {
      const device = await untilDevice(scene, thermo.ref, { type: 'Authorized', status: 'False', reason: 'BrokerUnsafe' }, PATIENCE_MS);
      const said = conditionOf(device, 'Authorized')?.message ?? '';
      // The first look may have come between two of the changes.
      return changes.every(([, code]) => said.includes(code)) ? said : undefined;
    };
    message = await waitFor('everything unsafe to be named', all, { timeoutMs: PATIENCE_MS, everyMs: 500 }).catch(
      () => 'not everything was named',
    );
  });

  it.each(changes)('%s: the Device says so with %s', (_what, code) => {
    expect(message).toContain(code);
  });

  it('no Device is Ready meanwhile', async () => {
    await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'False', reason: 'BrokerUnsafe' });
  });

  it('the operator changed none of it, and all is Ready again when it is undone', async () => {
    const { body } = await scene.system.standIn().request('GET', '/authorization/settings');
    expect(body).toMatchObject({ no_match: 'allow' });
    for (const one of undo) await one();
    await untilDevice(scene, thermo.ref, READY, PATIENCE_MS);
    await accepts(thermo);
  });
});
