// The CAs of devices at the broker: given in time, seen, given again after a loss, left alone where the broker is not ours.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RoomScene } from './testing/room.ts';

const PUT = 'PUT /listeners/ssl:default';
const [old, fresh] = [
  { cas: ['old'], pem: 'OLD' },
  { cas: ['new', 'old'], pem: 'NEW OLD' },
];

let scene: RoomScene;
beforeEach(() => {
  scene = new RoomScene();
});
afterEach(() => scene.stop());
const trusted = (): string => ['old', 'new'].filter((ca) => scene.room.trustsCa(ca)).join(' ');

describe('a broker of ours', () => {
  it('gets the bundle, says so when it has it, and is not asked again while nothing changes', async () => {
    scene.trust = old;
    expect(trusted()).toBe('');
    await scene.start();
    expect([scene.emqx.cas, trusted()]).toEqual(['OLD', 'old']);
    expect(await scene.writesOf(() => scene.clock.advance(60_000))).toEqual([]);
  });

  it('gets a new CA at once, and its listener nothing else', async () => {
    scene.trust = old;
    await scene.start();
    scene.trust = fresh;
    scene.room.wake('the CAs of devices changed');
    const writes = await scene.writesOf(() => scene.clock.advance(1_000));
    expect([writes, trusted()]).toEqual([[PUT], 'old new']);
  });

  it('that lost everything gets it again, and is not believed to have it meanwhile', async () => {
    scene.trust = fresh;
    await scene.start();
    await scene.clock.advance(5_000);
    scene.emqx.restart({ wipe: true });
    await scene.clock.advance(2_000);
    expect([scene.emqx.cas, trusted()]).toEqual(['NEW OLD', 'old new']);
  });

  it('whose listener somebody gave another file gets it back', async () => {
    scene.trust = fresh;
    await scene.start();
    scene.emqx.cas = 'SOMETHING ELSE';
    await scene.clock.advance(20_000);
    expect(scene.emqx.cas).toBe('NEW OLD');
  });

  it('is left as it is while nobody knows what it should trust', async () => {
    await scene.start();
    expect(await scene.writesOf(() => scene.clock.advance(60_000))).not.toContain(PUT);
  });

  it.each([
    ['refuses them', (s: RoomScene) => Object.assign(s.emqx, { refusesCas: true }), 'HR-BRK-022'],
    [
      'does not let the key do it',
      (s: RoomScene) => {
        s.emqx.fault = ({ method, path }) =>
          method === 'PUT' && path.startsWith('/listeners') ? { status: 403, body: { code: 'UNAUTHORIZED_ROLE' } } : undefined;
      },
      'HR-BRK-022',
    ],
  ])('that %s is true in everything else, keeps what it had, and the log says it once', async (_, arrange, code) => {
    scene.trust = old;
    await scene.start();
    arrange(scene);
    scene.trust = fresh;
    scene.room.wake('the CAs of devices changed');
    await scene.clock.advance(60_000);
    expect([scene.emqx.cas, trusted(), scene.state()]).toEqual(['OLD', 'old', 'ok']);
    expect(scene.lines.filter((line) => line.includes(code))).toHaveLength(1);
  });
});

it.each([
  ['adopted', '%% hedgerow:begin mode=guest x\n%% hedgerow:end\n{allow, all}.\n'],
  ['of others', '{allow, all}.\n'],
])('a broker that is %s keeps its listener, and no device waits for it', async (_, text) => {
  scene.emqx.text = text;
  scene.trust = fresh;
  await scene.start();
  expect(await scene.writesOf(() => scene.clock.advance(60_000))).not.toContain(PUT);
  expect(trusted()).toBe('old new');
});

it('a broker that gives no answer is not believed to trust anything', async () => {
  scene.emqx.fault = () => ({ status: 503, body: {} });
  scene.trust = old;
  await scene.start();
  expect(trusted()).toBe('');
});
