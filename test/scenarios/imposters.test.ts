// Whoever holds another certificate of the site's own CA than the one Hedgerow recorded: turned away by its form, thrown out by the ledger, and never in the
// way of the genuine device.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Rdn } from '../broker/testing/subject-der.ts';
import { waitFor } from '../harness/wait.ts';
import { createDevice } from '../simulator/device.ts';
import { connectWith, forge, refusalOf } from '../simulator/hostile.ts';
import { deviceManifest, type Member, type Scene, segment, startScene, untilDevice } from './scene.ts';
import { type Forged, siteCa } from './site-ca.ts';

let scene: Scene;
let site: string;
let thermo: Member;
let spare: Member;
let locked: Member;
let sign: (subject: readonly Rdn[]) => Promise<Forged>;

beforeAll(async () => {
  scene = await startScene('imposters');
  ({ site } = scene);
  await scene.system.apply([segment('office', site)]);
  [thermo, spare, locked] = (await scene.enrol(['thermo', 'spare', 'locked'])) as [Member, Member, Member];
  sign = await siteCa(scene, site);
  await thermo.connect();
});
afterAll(() => scene?.stop());

const o = (value = 'hedgerow'): Rdn => [{ type: 'O', value }];
const ou = (value = `office.${site}`): Rdn => [{ type: 'OU', value }];
const cn = (value = `thermo.${site}`): Rdn => [{ type: 'CN', value }];
const attempt = (forged: Forged) => connectWith(scene.broker, forged, forged.certificatePem, { clientId: thermo.name });

/** Holds a connection with it for as long as the broker lets it, until the broker refuses it. */
async function untilThrownOut(forged: Forged): Promise<void> {
  const intruder = await createDevice({ device: 'intruder', segment: 'office', namespace: site }, 0);
  const look = async (): Promise<true | undefined> => {
    if (intruder.connected()) return undefined;
    try {
      await intruder.connect(scene.broker, forged.certificatePem, { key: forged.privateKeyPem });
      return undefined;
    } catch (error) {
      return refusalOf(error).refused ? true : undefined;
    }
  };
  await waitFor('the intruder to be refused', look, { timeoutMs: 90_000 });
}

type HeldBan = { as: string; who: string; by: string; until: string };
async function bansOf(who: string): Promise<HeldBan[]> {
  const { body } = await scene.system.standIn().request('GET', '/banned?limit=10000');
  return (body as { data: HeldBan[] }).data.filter((ban) => ban.who === who);
}

describe("a certificate of the site's CA whose subject has another form", () => {
  it.each<[what: string, subject: () => Rdn[]]>([
    ['no organizational unit', () => [o(), cn()]],
    ['no common name: it could choose any client id', () => [o(), ou()]],
    ['no subject but a common name', () => [cn()]],
    ['another organization', () => [o('acme'), ou(), cn()]],
    ['the organization in capitals', () => [o('Hedgerow'), ou(), cn()]],
    ['the parts in another order', () => [cn(), ou(), o()]],
    ['a segment of another namespace', () => [o(), ou('office.elsewhere'), cn()]],
    ['two common names', () => [o(), ou(), cn(), cn(`spare.${site}`)]],
    ['two organizational units', () => [o(), ou(), ou(`doors.${site}`), cn()]],
    ['one more attribute', () => [o(), ou(), cn(), [{ type: 'C', value: 'DE' }]]],
    ['a common name with a wildcard', () => [o(), ou(), cn(`+.${site}`)]],
    ['a common name that is everything', () => [o(), ou(), cn('#')]],
    ['a common name with a level', () => [o(), ou(), cn(`thermo/x.${site}`)]],
    ['a common name with a comma', () => [o(), ou(), cn(`thermo.${site},OU=office.${site}`)]],
    ['a common name in capitals', () => [o(), ou(), cn(`THERMO.${site}`)]],
    ['a common name with a dot too many', () => [o(), ou(), cn(`a.thermo.${site}`)]],
    ['a common name without a dot', () => [o(), ou(), cn('thermo')]],
    ['an organizational unit with a wildcard', () => [o(), ou(`+.${site}`), cn()]],
  ])('is refused: %s', async (_what, subject) => {
    expect(await attempt(await sign(subject()))).toMatchObject({ refused: true });
    expect(thermo.device.endedAt()).toBeUndefined();
  });

  it('the genuine device was not disturbed by any of them', async () => {
    expect(await thermo.tell()).toBe('accepted');
  });
});

describe('what the form does not tell', () => {
  let ghost: Promise<void>;
  let double: Promise<void>;

  // All at once: who is connected is compared with the ledger four times a minute.
  beforeAll(async () => {
    const [unknown, twin] = await Promise.all([sign([o(), ou(), cn(`ghost.${site}`)]), sign([o(), ou(), cn()])]);
    // They get in: what follows is the ledger's doing, not their form's. The twin takes the genuine device's session over once.
    expect(await attempt(unknown)).toMatchObject({ refused: false });
    expect(await attempt(twin)).toMatchObject({ refused: false });
    await flapping(locked.name);
    [ghost, double] = [untilThrownOut(unknown), untilThrownOut(twin)];
    await Promise.allSettled([ghost, double]);
  });

  it('a certificate that the ledger does not know is thrown out and banned', () => expect(ghost).resolves.toBeUndefined());

  it('so is one in the name of a device that exists; the genuine device comes back and stays', async () => {
    await expect(double).resolves.toBeUndefined();
    await waitFor('the genuine device to be let in', async () => {
      if (!thermo.device.connected()) await thermo.connect();
      return (await thermo.tell()) === 'accepted' ? true : undefined;
    });
    await untilDevice(scene, thermo.ref, { type: 'Ready', status: 'True' });
  });

  it("a ban by EMQX's flapping detector that locks a genuine device out is taken away", async () => {
    await waitFor('the record to be gone', async () => ((await bansOf(locked.name)).length === 0 ? true : undefined));
    await locked.connect();
    expect(await locked.tell()).toBe('accepted');
  });

  it('such a ban is never taken for ours: the ban of a revoked device replaces it and lasts', async () => {
    await flapping(spare.name);
    await scene.system.apply([deviceManifest(spare.device, 'office', { lifecycle: 'Revoked' })]);
    await untilDevice(scene, spare.ref, { type: 'Revoked', status: 'True' });
    expect(await bansOf(spare.name)).toEqual([
      expect.objectContaining({ as: 'clientid', until: 'infinity', by: `hedgerow/${spare.name}` }),
    ]);
  });

  it('a certificate of the right form that another CA signed does not pass the handshake', async () => {
    const { how } = await attempt(await forge(thermo.device.who));
    // An alert or a closed connection, as the broker likes; never an answer of MQTT.
    expect(how).not.toMatch(/^connected$|^CONNACK /);
    expect(thermo.device.endedAt()).toBeUndefined();
  });
});

/** A record as EMQX's detector writes it: by client id, for five minutes (emqx_flapping). */
async function flapping(who: string): Promise<void> {
  const until = new Date(Date.now() + 300_000).toISOString();
  const body = { as: 'clientid', who, by: 'flapping detector', reason: 'flapping is detected', until };
  const { status } = await scene.system.standIn().request('POST', '/banned', { body });
  expect(status).toBe(200);
}
