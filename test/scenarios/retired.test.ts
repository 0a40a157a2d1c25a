// A Device that is deleted is shut out for good, whatever is down at that moment, and people can see how far that has come (docs/adr/0005-no-finalizer.md).
import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../harness/wait.ts';
import { hedgerowCli } from './plugin.ts';
import { type Member, type Scene, segment, startScene } from './scene.ts';

const PATIENT_MS = 120_000;

let scene: Scene;
let members: Member[];

beforeAll(async () => {
  scene = await startScene('retired', { siteCount: 2 });
  const [first = '', second = ''] = scene.sites;
  await scene.system.apply([segment('office', first), segment('office', second)]);
  members = [...(await scene.enrol(['plain', 'unseen', 'offline', 'bystander'])), ...(await scene.enrol(['whole'], { namespace: second }))];
});
afterAll(() => scene?.stop());

const member = (name: string): Member => members.find(({ ref }) => ref.name === name) ?? expect.fail(name);
const md5Of = ({ certificatePem }: Member): string => createHash('md5').update(new X509Certificate(certificatePem).raw).digest('hex');
const remove = ({ ref }: Member): Promise<string> => scene.system.kubectl('delete', 'device', ref.name, '-n', ref.namespace, '--wait=true');

async function isBanned(one: Member): Promise<boolean> {
  const { status, body } = await scene.system.standIn().request('GET', '/banned?limit=1000');
  if (status !== 200) throw new Error(`the broker answered ${status}`);
  return (body as { data: { as: string; who: string }[] }).data.some(({ as, who }) => as === 'username' && who === md5Of(one));
}
const untilBanned = (one: Member): Promise<boolean> =>
  waitFor(
    `${one.ref.name} to be banned`,
    () =>
      isBanned(one).then(
        (banned) => banned || undefined,
        () => undefined,
      ),
    {
      timeoutMs: PATIENT_MS,
    },
  );

const retainedOf = ({ ref: { name, namespace } }: Member): string[] => [
  `dt/office.${namespace}/${name}.${namespace}/climate`,
  `ota/v1/d/${name}.${namespace}/state`,
];
async function retain(topic: string): Promise<void> {
  const { status } = await scene.system.standIn().request('POST', '/publish', { body: { topic, payload: '{}', qos: 1, retain: true } });
  if (status >= 300) throw new Error(`the broker answered ${status}`);
}
async function retainedAmong(topics: readonly string[]): Promise<string[]> {
  const ask = (topic: string) => scene.system.standIn().request('GET', `/mqtt/retainer/message/${encodeURIComponent(topic)}`);
  const found = await Promise.all(topics.map(async (topic) => ({ topic, status: (await ask(topic)).status })));
  return found.filter(({ status }) => status === 200).map(({ topic }) => topic);
}

async function reasonsOf({ ref }: Member): Promise<string[]> {
  const { items } = await scene.system.get<{ items: { reason: string; regarding?: { name?: string } }[] }>(
    'events.events.k8s.io',
    ...['-n', ref.namespace],
  );
  return items.filter(({ regarding }) => regarding?.name === ref.name).map(({ reason }) => reason);
}
const untilTold = (one: Member, reason: string): Promise<boolean> =>
  waitFor(`the Event ${reason} of ${one.ref.name}`, async () => (await reasonsOf(one)).includes(reason) || undefined, {
    timeoutMs: PATIENT_MS,
  });

describe('a Device that is deleted', () => {
  it('goes at once, is banned, and is told of by an Event that outlives it; what it has left at the broker goes too, and nothing of others', async () => {
    const topics = ['plain', 'bystander'].flatMap((name) => retainedOf(member(name)));
    for (const topic of topics) await retain(topic);
    await remove(member('plain'));
    await untilBanned(member('plain'));
    await untilTold(member('plain'), 'Retired');
    await waitFor('its retained messages to go', async () => (await retainedAmong(retainedOf(member('plain')))).length === 0 || undefined, {
      timeoutMs: PATIENT_MS,
    });
    expect(await retainedAmong(topics)).toEqual(retainedOf(member('bystander')));
  });

  it('is still known to the plugin, with what became of its certificate', async () => {
    const { ref } = member('plain');
    const { stdout, code } = await hedgerowCli(['identity', ref.name, '-n', ref.namespace, '--kubeconfig', scene.cluster.adminKubeconfig]);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/does not exist any more[\s\S]*Retired by hedgerow; banned at the broker until/),
    ]);
  });

  it('while the operator is down is retired when it is back', async () => {
    await scene.system.operator().kill();
    await remove(member('unseen'));
    expect(await isBanned(member('unseen'))).toBe(false);
    await scene.system.startOperator();
    await untilBanned(member('unseen'));
    await untilTold(member('unseen'), 'Retired');
  });

  it('while the broker is down says what it waits for, and is banned when it is back, although the broker has lost everything', async () => {
    await scene.system.standIn().kill();
    await remove(member('offline'));
    await untilTold(member('offline'), 'Retiring');
    await scene.system.standIn().restart({ wipe: true });
    for (const name of ['offline', 'plain', 'unseen']) await untilBanned(member(name));
    await untilTold(member('offline'), 'Retired');
  });

  it('with its whole namespace is banned, and nothing keeps the namespace', async () => {
    const whole = member('whole');
    await scene.system.kubectl('delete', 'namespace', whole.ref.namespace, '--wait=true', `--timeout=${PATIENT_MS / 1000}s`);
    await untilBanned(whole);
    expect(await isBanned(member('bystander'))).toBe(false);
  });
});
