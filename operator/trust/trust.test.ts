// The room as a whole: what devices get, who counts, when the broker switches. The devices are the simulator's, which shares no code with the room.
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { AnchorStore, confirmedTopic } from '../../test/simulator/anchors.ts';
import { certificate, signingKey } from './testing/authority.ts';
import { startTrust, type TrustScene } from './testing/scene.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 120_000 });

const key = signingKey();
let old: string;
let coming: string;
let scene: TrustScene;

beforeAll(() => {
  [old, coming] = [certificate('servers 1'), certificate('servers 2')];
});
afterEach(() => scene.end());

async function start(files: Record<string, string> = { 'current.pem': old }, o: { named?: boolean; withoutState?: boolean } = {}) {
  scene = await startTrust({ files, key: key.privateKey, ...o });
  await scene.turn();
}
const rotation = (): Record<string, string> => ({ 'current.pem': old, 'next.pem': coming, 'next-issuer': 'Issuer/servers-2' });

/** A device that was provisioned with the message that is out now. */
function device(name: string): { store: AnchorStore; confirm(): void; hear(): string } {
  scene.fleet.add(name);
  const store = new AnchorStore();
  const now = scene.clock.now();
  expect(store.accept(scene.published() ?? '', { now, trusted: true })).toBe('taken');
  return {
    store,
    confirm: () => scene.retained.publish(confirmedTopic(name), store.confirmation(), name),
    hear: () => store.accept(scene.published() ?? '', { now: scene.clock.now() }),
  };
}

describe('the message', () => {
  it('is signed, retained at the broker, written down first, and stays the same while nothing changes', async () => {
    await start();
    const first = scene.published();
    expect(scene.data()['anchors.json']).toBe(first);
    device('a.berlin');
    for (let i = 0; i < 5; i++) await scene.turn();
    expect(scene.published()).toBe(first);
    expect(scene.retained.writes).toEqual(['trust/v1/anchors']);
  });

  it('comes back when the broker has lost it, or when somebody has put another in its place', async () => {
    await start();
    const first = scene.published();
    scene.retained.messages.clear();
    await scene.turn();
    expect(scene.published()).toBe(first);
    scene.retained.publish('trust/v1/anchors', '{"payload":""}', 'x.paris');
    await scene.turn();
    expect(scene.published()).toBe(first);
  });

  it('with a next anchor is a later one, which devices take and which the old one cannot undo', async () => {
    await start();
    const before = scene.published() ?? '';
    const one = device('a.berlin');
    scene.write('next.pem', coming);
    await scene.turn();
    expect(one.hear()).toBe('taken');
    expect(one.store.anchors).toHaveLength(2);
    expect(one.store.accept(before, { now: scene.clock.now() })).toBe('older than the last one');
    expect(one.store.anchors).toHaveLength(2);
  });

  it('is signed anew in time, with a later sequence, and nobody has to confirm the same set again', async () => {
    await start();
    const one = device('a.berlin');
    one.confirm();
    await scene.turn();
    const before = one.store.sequence;
    await scene.clock.advance(16 * 24 * 3_600_000);
    // The look that was under way meanwhile, and the next.
    for (let i = 0; i < 3; i++) await scene.turn();
    expect(one.hear()).toBe('taken');
    expect(one.store.sequence).toBeGreaterThan(before);
    for (let i = 0; i < 3; i++) await scene.turn();
    expect(scene.status()).toMatchObject({ phase: 'Steady', confirmed: 1, of: 1 });
  });

  it('has a later sequence also when the ConfigMap was emptied: devices are not lost', async () => {
    await start();
    const one = device('a.berlin');
    await scene.patchState({ 'anchors.json': null, 'status.json': null });
    await scene.turn();
    expect(one.hear()).toBe('taken');
  });

  it('is not made from files that do not read: the last one stays in force, and it is said', async () => {
    await start();
    const first = scene.published();
    device('a.berlin');
    scene.write('next.pem', 'hello');
    scene.retained.messages.clear();
    await scene.turn();
    expect(scene.published()).toBe(first);
    expect(scene.status()).toMatchObject({ phase: 'Stalled', message: expect.stringContaining('HR-TRU-001') });
    expect(scene.events).toContainEqual(expect.objectContaining({ type: 'Warning', reason: 'AnchorsUnreadable' }));
    scene.write('next.pem', coming);
    await scene.turn();
    expect(scene.status().phase).toBe('Distributing');
  });

  it('is not signed by a key that devices were not told of', async () => {
    await start();
    const first = scene.published();
    scene.write('tls.key', signingKey().privateKey);
    scene.write('next.pem', coming);
    await scene.turn();
    expect(scene.status()).toMatchObject({ phase: 'Stalled', message: expect.stringContaining('HR-TRU-012') });
    expect(scene.published()).toBe(first);
  });

  it('announces the next signing key, which takes over when devices have it', async () => {
    await start();
    const one = device('a.berlin');
    const next = signingKey();
    scene.write('next-keys.pem', next.publicKey);
    await scene.turn();
    expect(one.hear()).toBe('taken');
    scene.write('tls.key', next.privateKey);
    scene.write('next-keys.pem', key.publicKey);
    scene.write('next.pem', coming);
    await scene.turn();
    expect(one.hear()).toBe('taken');
    expect(one.store.anchors).toHaveLength(2);
  });

  it('needs the ConfigMap, and says so', async () => {
    await start(undefined, { withoutState: true });
    expect(scene.published()).toBeUndefined();
    expect(scene.events).toContainEqual(
      expect.objectContaining({ reason: 'StateMissing', message: expect.stringContaining('HR-TRU-020') }),
    );
  });
});

describe('a rotation', () => {
  async function rotating(names: readonly string[], o: { named?: boolean } = { named: true }) {
    await start(undefined, o);
    const devices = names.map(device);
    for (const [name, text] of Object.entries(rotation())) scene.write(name, text);
    await scene.turn();
    for (const one of devices) expect(one.hear()).toBe('taken');
    return devices;
  }

  it('waits, names who is missing, and switches when the share has confirmed', async () => {
    const devices = await rotating(['a.berlin', 'b.berlin', 'c.berlin', 'd.berlin']);
    for (const one of devices.slice(0, 2)) one.confirm();
    for (let i = 0; i < 4; i++) await scene.turn();
    expect(scene.status()).toMatchObject({
      phase: 'Distributing',
      confirmed: 2,
      of: 4,
      waiting: { count: 2, first: ['c.berlin', 'd.berlin'] },
    });
    expect(scene.status().message).toContain('1 more are needed for a share of 0.75: c.berlin, d.berlin');
    expect(scene.issuer()).toBe('servers-1');
    devices[2]?.confirm();
    await scene.turn();
    expect(scene.issuer()).toBe('servers-2');
    expect(scene.status()).toMatchObject({ phase: 'Switching', waiting: { count: 1, first: ['d.berlin'] } });
    await scene.patchCertificate({
      metadata: { generation: 2 },
      status: { conditions: [{ type: 'Ready', status: 'True', observedGeneration: 2 }] },
    });
    await scene.turn();
    expect(scene.status().phase).toBe('Switched');
    expect(scene.events.map(({ reason }) => reason)).toEqual(['Steady', 'Distributing', 'Switching', 'Switched']);
  });

  it('counts nobody by what another wrote, by garbage, or by what belongs to an earlier set', async () => {
    const devices = await rotating(['a.berlin', 'b.berlin', 'c.berlin', 'd.berlin']);
    const good = devices[0]?.store.confirmation() ?? '';
    const stale = JSON.stringify({ v: 1, sequence: 1, digest: devices[0]?.store.digest });
    scene.retained.publish(confirmedTopic('a.berlin'), good, 'd.berlin');
    scene.retained.publish(confirmedTopic('b.berlin'), Buffer.from([0xff, 0x00]), 'b.berlin');
    scene.retained.publish(confirmedTopic('c.berlin'), stale, 'c.berlin');
    scene.retained.publish(confirmedTopic('x.paris'), good, 'x.paris');
    scene.retained.publish('trust/v1/d/a.berlin/x/confirmed', good, 'a.berlin');
    for (let i = 0; i < 4; i++) await scene.turn();
    expect(scene.status()).toMatchObject({ phase: 'Distributing', confirmed: 0, of: 4 });
  });

  it('reads each confirmation once, however often it looks', async () => {
    const devices = await rotating(['a.berlin', 'b.berlin']);
    devices[0]?.confirm();
    for (let i = 0; i < 5; i++) await scene.turn();
    expect(scene.retained.reads.filter((topic) => topic === confirmedTopic('a.berlin'))).toHaveLength(1);
  });

  it('does not lose its count with the memory of the broker', async () => {
    const devices = await rotating(['a.berlin', 'b.berlin', 'c.berlin', 'd.berlin']);
    for (const one of devices.slice(0, 2)) one.confirm();
    await scene.turn();
    scene.retained.messages.clear();
    devices[2]?.confirm();
    await scene.turn();
    expect(scene.issuer()).toBe('servers-2');
  });

  it('goes on after the operator was killed: devices say it again, and what was sent stays sent', async () => {
    const devices = await rotating(['a.berlin', 'b.berlin', 'c.berlin', 'd.berlin']);
    const sent = scene.published();
    for (const one of devices.slice(0, 2)) one.confirm();
    await scene.turn();
    scene.kill();
    devices[2]?.confirm();
    scene.start();
    await scene.turn();
    expect(scene.published()).toBe(sent);
    expect(scene.issuer()).toBe('servers-2');
  });

  it('switches once, also when the answer to the switch was lost', async () => {
    const devices = await rotating(['a.berlin']);
    devices[0]?.confirm();
    let faults = 1;
    scene.api.faults = ({ plural }) => (plural === 'certificates' && faults-- > 0 ? { when: 'after' } : undefined);
    for (let i = 0; i < 3; i++) await scene.turn();
    expect(scene.issuer()).toBe('servers-2');
    expect(scene.api.writes.filter(({ verb, plural }) => verb === 'patch' && plural === 'certificates')).toHaveLength(1);
  });

  it('is not fought over when somebody sets the Certificate back', async () => {
    const devices = await rotating(['a.berlin']);
    devices[0]?.confirm();
    await scene.turn();
    expect(scene.issuer()).toBe('servers-2');
    await scene.patchCertificate({ spec: { issuerRef: { name: 'servers-1' } } });
    for (let i = 0; i < 3; i++) await scene.turn();
    expect(scene.issuer()).toBe('servers-1');
    expect(scene.status()).toMatchObject({ phase: 'SwitchUndone', message: expect.stringContaining('HR-TRU-022') });
  });

  it('is forced by a person for this set only', async () => {
    await rotating(['a.berlin', 'b.berlin']);
    await scene.patchState({ force: 'f'.repeat(64) });
    for (let i = 0; i < 3; i++) await scene.turn();
    expect(scene.issuer()).toBe('servers-1');
    await scene.patchState({ force: scene.status().digest });
    await scene.turn();
    expect(scene.issuer()).toBe('servers-2');
    expect(scene.status().message).toContain('2 did not confirm: a.berlin, b.berlin');
  });

  it('waits for nobody who is out of touch, and names who will be left behind', async () => {
    const devices = await rotating(['a.berlin', 'b.berlin']);
    devices[0]?.confirm();
    for (let i = 0; i < 2; i++) await scene.turn();
    expect(scene.issuer()).toBe('servers-1');
    scene.away.add('b.berlin');
    await scene.turn();
    expect(scene.issuer()).toBe('servers-2');
    expect(scene.status()).toMatchObject({ of: 1, confirmed: 1, leftBehind: { count: 1, first: ['b.berlin'] } });
  });

  it('without a Certificate of its own tells a person when', async () => {
    const devices = await rotating(['a.berlin'], {});
    devices[0]?.confirm();
    await scene.turn();
    expect(scene.status()).toMatchObject({ phase: 'ReadyToSwitch', message: expect.stringContaining('switch the certificate') });
    expect(scene.issuer()).toBe('servers-1');
  });

  it('ends when the next anchor is the current one; the same set is not sent and not confirmed anew', async () => {
    const devices = await rotating(['a.berlin']);
    devices[0]?.confirm();
    await scene.turn();
    const sent = scene.published();
    scene.write('current.pem', coming);
    scene.write('previous.pem', old);
    scene.write('next.pem', undefined);
    scene.write('next-issuer', undefined);
    await scene.turn();
    expect(scene.published()).toBe(sent);
    expect(scene.status()).toMatchObject({ phase: 'Steady', confirmed: 1 });
    scene.write('previous.pem', undefined);
    await scene.turn();
    expect(devices[0]?.hear()).toBe('taken');
    expect(devices[0]?.store.anchors.map(({ subject }) => subject)).toEqual(['CN=servers 2']);
  });

  it('waits while the broker is away, and no status says otherwise', async () => {
    const devices = await rotating(['a.berlin']);
    scene.retained.away = true;
    devices[0]?.confirm();
    for (let i = 0; i < 3; i++) await scene.turn();
    expect(scene.issuer()).toBe('servers-1');
    expect(scene.status().phase).toBe('Distributing');
    scene.retained.away = false;
    await scene.turn();
    expect(scene.issuer()).toBe('servers-2');
  });
});

it('no key is in any log, Event, status or message', async () => {
  await start(rotation(), { named: true });
  scene.write('tls.key', `${key.privateKey.slice(0, 80)}`);
  await scene.turn();
  const secret = key.privateKey.split('\n')[1] ?? '';
  const everything = JSON.stringify([scene.log.said, scene.events, scene.data(), [...scene.retained.messages.values()]]);
  expect(secret.length).toBeGreaterThan(40);
  expect(everything).not.toContain(secret.slice(0, 40));
});
