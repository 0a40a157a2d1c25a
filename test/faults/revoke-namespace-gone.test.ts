// 200 revoked Devices and their whole namespace are deleted, then the broker loses everything it knew and the operator its memory: none of the 200 returns.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parallel } from '../harness/parallel.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { devicesOf, type Fixture, type Member, startFixture } from './fixture.ts';

const COUNT = 200;
const LIMIT_MS = 120_000;

describe(`${COUNT} revoked Devices whose namespace is gone`, () => {
  let fixture: Fixture;
  let revoked: Member[];
  let bystander: Member;

  beforeAll(async () => {
    fixture = await startFixture('revoke-gone');
    const [doomed, other] = fixture.sites;
    // Tries of 200 devices are TLS handshakes: one in two seconds each is as much as the test needs.
    revoked = await fixture.enrol(COUNT, { site: doomed, prefix: 'doomed', againAfterMs: 2_000 });
    [bystander] = (await fixture.enrol(1, { site: other, prefix: 'bystander' })) as [Member];
  });
  afterAll(() => fixture?.stop());

  it('are thrown out', async () => {
    const [doomed] = fixture.sites;
    await parallel(revoked, 24, async ({ device }) => {
      const path = `${devicesOf(doomed)}/${device.name}`;
      await fixture.admin.send('PATCH', path, { spec: { lifecycle: 'Revoked' } }, 'application/merge-patch+json');
    });
    await waitFor('all of them to be disconnected', () => revoked.every(({ connection }) => !connection.connected()) || undefined, {
      timeoutMs: LIMIT_MS,
      describe: () => `${revoked.filter(({ connection }) => connection.connected()).length} are connected`,
    });
    expect(bystander.connection.connected()).toBe(true);
  });

  it('stay out when Devices, namespace, the memory of the broker and of the operator are gone', async () => {
    const [doomed] = fixture.sites;
    const { system } = fixture;
    await system.kubectl('delete', 'namespace', doomed, '--wait=true', `--timeout=${LIMIT_MS / 1000}s`);
    const accepted = revoked.map(({ connection }) => connection.accepted());
    const told = revoked.map((member) => member.told());
    await system.operator().kill();
    await system.standIn().kill();
    await system.standIn().restart({ wipe: true });
    await system.startOperator();

    const heard = bystander.told();
    await waitFor('the broker to be as it was: the bystander is heard again', () => bystander.told() > heard || undefined, {
      timeoutMs: LIMIT_MS,
    });
    // By CONNACK, or in the handshake where the broker trusts a CA no more of which every certificate is revoked.
    const ended = revoked.map(({ connection }) => connection.ended());
    await waitFor(
      'each of them to be refused again',
      () => revoked.every(({ connection }, index) => connection.ended() > (ended[index] ?? 0) + 1 && !connection.connected()) || undefined,
      { timeoutMs: LIMIT_MS, describe: () => `${revoked.filter(({ connection }) => connection.connected()).length} are connected` },
    );
    const afterRepair = revoked.map(({ connection }) => connection.accepted());
    await pause(5_000);
    expect(revoked.map(({ connection }) => connection.accepted())).toEqual(afterRepair);
    expect((await system.standIn().clients()).map(({ clientid }) => clientid)).toEqual([bystander.connection.name]);
    // In the second before the bans were back EMQX lets in whoever has a certificate, and denies them everything.
    expect(revoked.map((member) => member.told())).toEqual(told);
    const between = revoked.filter(({ connection }, index) => connection.accepted() > (accepted[index] ?? 0)).length;
    console.log(`${between} of ${COUNT} were connected for a moment before the bans were back; none was heard`);
  });
});
