// The CA of the broker's server certificate is rotated, on real cert-manager: new anchors reach devices first, the broker waits for whoever has not confirmed.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { ANCHORS_TOPIC, AnchorStore, confirmedTopic, followAnchors } from '../simulator/anchors.ts';
import { connectWith } from '../simulator/hostile.ts';
import { hedgerowCli } from './plugin.ts';
import { type Member, type Scene, segment, startScene } from './scene.ts';
import { type AnchorFolder, makeAnchorFolder, makeServerCas, type ServerCas } from './server-ca.ts';

const STATE = 'hedgerow-trust';
/** The operator looks each quarter of a minute; the machine may have other things to do. */
const PATIENT = { timeoutMs: 120_000, everyMs: 500 };

type Status = {
  phase: string;
  message: string;
  of: number;
  confirmed: number;
  digest: string;
  waiting: { count: number; first: string[] };
};
type Thing = Member & { store: AnchorStore; follow: ReturnType<typeof followAnchors> };

let scene: Scene;
let cas: ServerCas;
let folder: AnchorFolder;
let own: string;
let things: Thing[];

beforeAll(async () => {
  const cluster = await sharedCluster();
  own = await ownNamespace(cluster, 'server-ca');
  await cluster.kubectl(['delete', 'configmap', STATE, '-n', OPERATOR_NAMESPACE, '--ignore-not-found']);
  cas = await makeServerCas(cluster, own, ['servers-1', 'servers-2', 'servers-3']);
  folder = makeAnchorFolder(join(cluster.dir, own));
  folder.write('current.pem', cas.anchor('servers-1'));
  scene = await startScene('server-ca', {
    serverCertificate: await cas.first(),
    chartValues: { trust: { enabled: true, anchors: 'server-anchors', signerSecret: 'trust-signer' } },
    operatorArgs: [
      ...['--server-anchors', folder.dir, '--trust-key-file', folder.keyFile, '--trust-state', STATE],
      ...['--switch-share', '1', '--server-certificate', cas.certificateName],
    ],
  });
  await scene.system.apply([segment('office', scene.site)]);
  const members = await scene.enrol(['a', 'b', 'c', 'd']);
  const provisioned = await waitFor('the signed message', async () => (await state())['anchors.json'], PATIENT);
  things = members.map((member) => {
    const store = new AnchorStore();
    // Whoever installs a device gives it the message together with its certificate.
    expect(store.accept(provisioned, { now: Date.now(), trusted: true })).toBe('taken');
    return { ...member, store, follow: followAnchors(member.device, store) };
  });
});
afterAll(async () => {
  cas?.end();
  if (scene === undefined) return;
  await scene.stop();
  await scene.cluster.kubectl(['delete', 'configmap', STATE, '-n', OPERATOR_NAMESPACE, '--ignore-not-found']);
  await scene.cluster.kubectl(['delete', 'namespace', own, '--wait=false']);
});

async function state(): Promise<Record<string, string>> {
  const { data } = await scene.system.get<{ data?: Record<string, string> }>('configmap', STATE, '-n', OPERATOR_NAMESPACE);
  return data ?? {};
}
const status = async (): Promise<Status> => JSON.parse((await state())['status.json'] ?? '{}') as Status;

/** Waits until the status shows it. */
async function until(what: string, holds: (now: Status) => boolean): Promise<Status> {
  let seen: Status | undefined;
  return waitFor(
    what,
    async () => {
      seen = await status();
      return holds(seen) ? seen : undefined;
    },
    { ...PATIENT, describe: () => JSON.stringify(seen) },
  );
}

/** By its own anchors and nothing else. */
async function connect(thing: Thing): Promise<void> {
  await thing.device.connect({ ...scene.broker, caPem: thing.store.caPem() }, thing.certificatePem);
  await thing.follow.connected();
}
const reconnect = (list: readonly Thing[]): Promise<unknown> =>
  Promise.all(list.map((thing) => waitFor(`${thing.name} to be back`, () => connect(thing).then(() => true), PATIENT)));
const names = (...list: string[]): string[] => list.map((name) => `${name}.${scene.site}`);
const untilTaken = (list: readonly Thing[], anchors: number): Promise<unknown> =>
  waitFor('the devices to take the next anchor', () => list.every(({ store }) => store.anchors.length === anchors) || undefined, PATIENT);
const rotateTo = (issuer: string): void => {
  folder.write('next-issuer', `Issuer/${issuer}`);
  folder.write('next.pem', cas.anchor(issuer));
};
/** What kubelet and EMQX do with a new Secret. */
async function deploy(issuer: string): Promise<void> {
  scene.system.standIn().replaceCertificate(await cas.servedBy(issuer));
  await scene.system.standIn().restart();
}

describe('the rotation of the server CA', () => {
  const [a, b, c, d] = [0, 1, 2, 3].map((at) => (): Thing => things[at] as Thing) as [() => Thing, () => Thing, () => Thing, () => Thing];
  let before: string;

  it('devices know the broker by the anchors that they were given, and say so', async () => {
    await reconnect(things);
    expect(await until('all to have confirmed', (now) => now.phase === 'Steady' && now.of === 4)).toMatchObject({ phase: 'Steady', of: 4 });
    before = (await state())['anchors.json'] ?? '';
  });

  it('no device can say it for another, or tell others whom to trust', async () => {
    const { device } = a();
    expect(await device.publish(confirmedTopic(b().name), b().store.confirmation(), { retain: true })).toBe('refused');
    expect(await device.publish(ANCHORS_TOPIC, before, { retain: true })).toBe('refused');
    expect(await device.subscribe(confirmedTopic(b().name))).toBe('refused');
    expect(await device.subscribe('trust/v1/#')).toBe('refused');
    expect(await device.subscribe('trust/#')).toBe('refused');
  });

  it('waits for the one that is away and names it; operator and broker killed meanwhile change nothing', async () => {
    await d().device.close();
    rotateTo('servers-2');
    await untilTaken([a(), b(), c()], 2);
    const waiting = (now: Status): boolean => now.phase === 'Distributing' && now.confirmed === 3;
    expect((await until('three to have confirmed', waiting)).waiting).toEqual({ count: 1, first: names('d') });
    await scene.system.operator().kill();
    await scene.system.standIn().kill();
    await scene.system.standIn().restart();
    await scene.system.startOperator();
    await reconnect([a(), b(), c()]);
    await until('three to have confirmed again', waiting);
    // Some looks on, nothing has moved.
    await pause(15_000);
    expect(await status()).toMatchObject({ phase: 'Distributing', confirmed: 3, waiting: { first: names('d') } });
    expect(await cas.named()).toBe('servers-1');
    const said = await hedgerowCli(['trust', 'status', '--kubeconfig', scene.cluster.adminKubeconfig]);
    expect(said.stdout).toMatch(new RegExp(`Distributing[^]*not confirmed by:\n  ${names('d')[0]}\n`));
  });

  it('switches when the last one is back, which the old certificate lets in; then all know the broker by the new CA', async () => {
    await connect(d());
    await untilTaken([d()], 2);
    await until('the Certificate to be switched', (now) => now.phase === 'Switched');
    expect(await cas.named()).toBe('servers-2');
    await deploy('servers-2');
    await reconnect(things);
    const old = await connectWith({ ...scene.broker, caPem: cas.anchor('servers-1') }, d().device.key, d().certificatePem);
    expect(old.how).toMatch(/certificate/i);
  });

  it('the message of before is refused by every device, and the operator puts its own back', async () => {
    const now = (await state())['anchors.json'];
    const heard = things.map(({ follow }) => follow.verdicts.length);
    const { status: code } = await scene.system
      .standIn()
      .request('POST', '/publish', { body: { topic: ANCHORS_TOPIC, payload: before, qos: 1, retain: true } });
    expect([200, 202]).toContain(code);
    await waitFor(
      'all to have heard it',
      () => things.every(({ follow }, at) => follow.verdicts.length > (heard[at] ?? 0)) || undefined,
      PATIENT,
    );
    for (const [at, { follow, store }] of things.entries()) {
      expect(follow.verdicts[heard[at] ?? 0]).toBe('older than the last one');
      expect(store.anchors).toHaveLength(2);
    }
    await waitFor('the message to be back', async () => ((await retained()) === now ? true : undefined), PATIENT);
  });

  it('ends when the administrator takes the old anchor out', async () => {
    folder.write('current.pem', cas.anchor('servers-2'));
    folder.write('next.pem', undefined);
    folder.write('next-issuer', undefined);
    await untilTaken(things, 1);
    await until('all to have confirmed', (now) => now.phase === 'Steady');
    for (const { store } of things) expect(store.caPem()).toContain(cas.anchor('servers-2').trim());
  });

  it('is forced by a person; who was away is named, and comes back by the message that the EST server gives', async () => {
    await d().device.close();
    rotateTo('servers-3');
    await until('three to have confirmed', (now) => now.phase === 'Distributing' && now.confirmed === 3);
    const forced = await hedgerowCli(['trust', 'force', '--reason', 'a drill', '--kubeconfig', scene.cluster.adminKubeconfig]);
    expect(forced).toMatchObject({ code: 0, stderr: '' });
    expect((await until('the switch', (now) => now.phase === 'Switched')).waiting).toEqual({ count: 1, first: names('d') });
    await deploy('servers-3');
    await reconnect([a(), b(), c()]);
    await expect(connect(d())).rejects.toThrow(/certificate/i);
    expect(d().store.accept((await state())['anchors.json'] ?? '', { now: Date.now() })).toBe('taken');
    await reconnect([d()]);
    await until('nobody to be missing', (now) => now.waiting.count === 0);
  });
});

async function retained(): Promise<string> {
  const { body } = await scene.system.standIn().request('GET', `/mqtt/retainer/message/${encodeURIComponent(ANCHORS_TOPIC)}`);
  return Buffer.from((body as { payload?: string }).payload ?? '', 'base64').toString();
}
