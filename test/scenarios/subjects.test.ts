// Certificates that the site's own CA signed and whose subject is not exactly O=hedgerow, OU=<segment>.<namespace>, CN=<device>.<namespace>: each is refused at
// CONNECT, in both versions of MQTT, and none touches a session, neither the one of a device that is connected nor the one that waits for a device that is away.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Rdn, StringKind } from '../broker/testing/subject-der.ts';
import { waitFor } from '../harness/wait.ts';
import { connectWith } from '../simulator/hostile.ts';
import { keepSession, type LastingSession } from './lasting-session.ts';
import { type Member, type Scene, segment, startScene } from './scene.ts';
import { siteCa } from './site-ca.ts';

/** The same for all names of the table: the site is `subjects-<pid>-1`. */
const SITE = '<site>';
const o = (value = 'hedgerow'): Rdn => [{ type: 'O', value }];
const ou = (value = `office.${SITE}`): Rdn => [{ type: 'OU', value }];
const cn = (value = `thermo.${SITE}`): Rdn => [{ type: 'CN', value }];
const asOne = (...rdns: Rdn[]): Rdn => rdns.flat();

type IllFormed = [what: string, subject: readonly Rdn[], kind?: StringKind];

const ILL_FORMED: readonly IllFormed[] = [
  // Parts that are missing.
  ['no common name: it could choose any client id', [o(), ou()]],
  ['no organizational unit', [o(), cn()]],
  ['no organization', [ou(), cn()]],
  ['only a common name', [cn()]],
  ['only an organizational unit', [ou()]],
  ['an empty common name', [o(), ou(), cn('')]],
  ['an empty organizational unit', [o(), ou(''), cn()]],
  // Parts too many.
  ['two common names, the genuine one first', [o(), ou(), cn(), cn(`spare.${SITE}`)]],
  ['two common names, the genuine one last', [o(), ou(), cn(`spare.${SITE}`), cn()]],
  ['the same common name twice', [o(), ou(), cn(), cn()]],
  ['two organizational units, the genuine one first', [o(), ou(), ou(`doors.${SITE}`), cn()]],
  ['two organizational units, the genuine one last', [o(), ou(`doors.${SITE}`), ou(), cn()]],
  ['two organizations', [o(), o(), ou(), cn()]],
  ['a serial number behind', [o(), ou(), cn(), [{ type: 'serialNumber', value: '4711' }]]],
  ['a country in front', [[{ type: 'C', value: 'DE' }], o(), ou(), cn()]],
  ['a country behind', [o(), ou(), cn(), [{ type: 'C', value: 'DE' }]]],
  // Several attributes in one relative name.
  ['common name and unit in one', [o(), asOne(ou(), cn())]],
  ['unit and organization in one', [asOne(o(), ou()), cn()]],
  ['all three in one', [asOne(o(), ou(), cn())]],
  ['common name and serial number in one', [o(), ou(), asOne(cn(), [{ type: 'serialNumber', value: '1' }])]],
  ['two units in one', [o(), asOne(ou(), ou(`doors.${SITE}`)), cn()]],
  // Another order.
  ['the order turned round', [cn(), ou(), o()]],
  ['the unit in front', [ou(), o(), cn()]],
  ['the unit behind', [o(), cn(), ou()]],
  // Another organization.
  ['another organization', [o('acme'), ou(), cn()]],
  ['the organization in capitals', [o('Hedgerow'), ou(), cn()]],
  ['an organization that begins like ours', [o('hedgerow2'), ou(), cn()]],
  ['an organization with a space behind', [o('hedgerow '), ou(), cn()]],
  // Names of two places.
  ['a unit of another namespace', [o(), ou('office.elsewhere'), cn()]],
  ['a device of another namespace', [o(), ou(), cn('thermo.elsewhere')]],
  // Control characters.
  ['a NUL behind the common name', [o(), ou(), cn(`thermo.${SITE}\0`)]],
  ['a NUL within the common name', [o(), ou(), cn(`thermo\0.${SITE}`)]],
  ['a NUL behind the unit', [o(), ou(`office.${SITE}\0`), cn()]],
  ['a line break behind the common name', [o(), ou(), cn(`thermo.${SITE}\n`)]],
  ['a line break within the unit', [o(), ou(`office\n.${SITE}`), cn()]],
  ['a carriage return', [o(), ou(), cn(`\rthermo.${SITE}`)]],
  ['a tabulator', [o(), ou(), cn(`thermo.${SITE}\t`)]],
  ['an escape character', [o(), ou(), cn(`\u001b[31mthermo.${SITE}`)]],
  ['a NUL, in a BMPString', [o(), ou(), cn(`thermo.${SITE}\0`)], 'bmp'],
  ['a line break, in a T61String', [o(), ou(), cn(`thermo.${SITE}\n`)], 't61'],
  // What a topic, a subject or a pattern would read in another way.
  ['a wildcard for the device', [o(), ou(), cn(`+.${SITE}`)]],
  ['everything', [o(), ou(), cn('#')]],
  ['a level more', [o(), ou(), cn(`thermo/x.${SITE}`)]],
  ['a wildcard for the segment', [o(), ou(`+.${SITE}`), cn()]],
  ['a comma and what looks like a unit', [o(), ou(), cn(`thermo.${SITE},OU=office.${SITE}`)]],
  ['a plus and what looks like a unit', [o(), ou(), cn(`thermo.${SITE}+OU=office.${SITE}`)]],
  ['the whole subject in the common name', [cn(`thermo.${SITE},OU=office.${SITE},O=hedgerow`)]],
  ['a share of a topic', [o(), ou(), cn(`$share.${SITE}`)]],
  ['a placeholder of the broker', [o(), ou(), cn(`\${clientid}.${SITE}`)]],
  // Names out of their grammar.
  ['capitals', [o(), ou(), cn(`THERMO.${SITE}`)]],
  ['a dot too many', [o(), ou(), cn(`a.thermo.${SITE}`)]],
  ['no dot', [o(), ou(), cn('thermo')]],
  ['a dot behind', [o(), ou(), cn(`thermo.${SITE}.`)]],
  ['a dot in front', [o(), ou(), cn(`.thermo.${SITE}`)]],
  ['a space in front', [o(), ou(), cn(` thermo.${SITE}`)]],
  ['a space behind', [o(), ou(), cn(`thermo.${SITE} `)]],
  ['an underscore', [o(), ou(), cn(`thermo_1.${SITE}`)]],
  ['a unit without a dot', [o(), ou('office'), cn()]],
  ['a label of 63 characters', [o(), ou(), cn(`${'a'.repeat(63)}.${SITE}`)]],
  ['a common name of 200 characters', [o(), ou(), cn(`${'a'.repeat(200)}.${SITE}`)]],
  // What looks like it, to a person.
  ['a Cyrillic letter', [o(), ou(), cn(`th\u0435rmo.${SITE}`)]],
  ['a Cyrillic letter, in a BMPString', [o(), ou(), cn(`th\u0435rmo.${SITE}`)], 'bmp'],
  ['a full-width dot', [o(), ou(), cn(`thermo\uff0e${SITE}`)]],
  ['a character of no width', [o(), ou(), cn(`ther\u200bmo.${SITE}`)]],
  ['a character that turns the direction', [o(), ou(), cn(`\u202ethermo.${SITE}`)]],
];
/** MQTT 5 §3.2.2.2 Banned; MQTT 3.1.1 §3.2.2.3 return code 5. */
const ANSWERS = [
  [5, /^CONNACK 0x8A/],
  [4, /^Connection refused: Not authorized$/],
] as const;

let scene: Scene;
let site: string;
let sign: Awaited<ReturnType<typeof siteCa>>;
let live: Member;
let away: Member;
let session: LastingSession;
let waiting: LastingSession;
let refusals = 0;

const commands = (member: Member): string => `cmd/office.${site}/${member.name}/#`;
const rowOf = async (member: Member): Promise<{ connected?: boolean; mqueue_len?: number; username?: string; created_at?: string }> =>
  (await scene.system.standIn().request('GET', `/clients/${member.name}`)).body as object;
const publish = (member: Member, payload: string) =>
  scene.system.standIn().request('POST', '/publish', { body: { topic: `cmd/office.${site}/${member.name}/x`, payload, qos: 1 } });
const worn = (member: Member) => ({ privateKeyPem: member.device.key.privateKeyPem, certificatePem: member.certificatePem });

beforeAll(async () => {
  scene = await startScene('subjects');
  ({ site } = scene);
  await scene.system.apply([segment('office', site)]);
  [live, away] = (await scene.enrol(['thermo', 'away'])) as [Member, Member];
  sign = await siteCa(scene, site);
  [session, waiting] = [live, away].map((member) =>
    keepSession({ address: scene.broker, name: member.name, worn: worn(member), filters: [commands(member)] }),
  ) as [LastingSession, LastingSession];
  await waitFor('both to hear their commands', async () => {
    await Promise.all([publish(live, 'first'), publish(away, 'first')]);
    return session.arrivals.length > 0 && waiting.arrivals.length > 0 ? true : undefined;
  });
  await waiting.goOffline();
  await waitFor('its session to wait', async () => ((await rowOf(away)).connected === false ? true : undefined));
  for (let number = 1; number <= 5; number++) await publish(away, `kept ${number}`);
});
afterAll(async () => {
  await Promise.all([session?.stop(), waiting?.stop()]);
  await scene?.stop();
  process.stderr.write(`${ILL_FORMED.length} ill-formed subjects, ${refusals} of ${2 * 2 * ILL_FORMED.length} CONNECTs refused\n`);
});

/** The subject at this site, in the name of this device. */
const at = (subject: readonly Rdn[], name: string): Rdn[] =>
  subject.map((rdn) => rdn.map(({ type, value }) => ({ type, value: value.replaceAll(SITE, site).replaceAll('thermo', name) })));

describe("a certificate of the site's CA whose subject has another form is refused at CONNECT", () => {
  it('there are forty and more of them, all different', () => {
    const subjects = new Set(ILL_FORMED.map(([, subject, kind]) => JSON.stringify([subject, kind])));
    expect(subjects.size).toBe(ILL_FORMED.length);
    expect(subjects.size).toBeGreaterThanOrEqual(40);
  });

  it.each<IllFormed>(ILL_FORMED)('%s', async (_what, subject, kind) => {
    for (const member of [live, away]) {
      const forged = await sign(at(subject, member.device.who.device), kind);
      for (const [protocolVersion, answer] of ANSWERS) {
        const options = { protocolVersion, clientId: member.name, clean: false };
        expect((await connectWith(scene.broker, forged, forged.certificatePem, options)).how).toMatch(answer);
        refusals += 1;
      }
    }
  });
});

describe('the sessions of the genuine devices', () => {
  it('the connected one was never disturbed', async () => {
    expect([session.connected(), session.counts]).toEqual([true, { accepted: 1, refused: 0 }]);
    const heard = session.arrivals.length;
    await publish(live, 'still there');
    await waitFor('a command to arrive', () => session.arrivals.slice(heard).find(({ payload }) => payload === 'still there'));
  });

  it('the one that waits still holds everything, and gives it to its device and to nobody else', async () => {
    expect(await rowOf(away)).toMatchObject({ connected: false, mqueue_len: 5 });
    const before = waiting.arrivals.length;
    waiting.comeBack();
    await waitFor('what was kept to arrive', () => (waiting.arrivals.length >= before + 5 ? true : undefined));
    expect(waiting.arrivals.slice(before).map(({ payload }) => payload)).toEqual([1, 2, 3, 4, 5].map((number) => `kept ${number}`));
  });

  it('a certificate of the right form for the same key and CA gets in: the table can fail', async () => {
    const good = await sign(at([o(), ou(), cn()], 'fresh'));
    expect(await connectWith(scene.broker, good, good.certificatePem)).toMatchObject({ how: 'connected' });
  });
});
