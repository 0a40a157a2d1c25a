// Devices that come with a certificate of another CA: they enrol with it over real TLS, once, and are like any other from then on.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { DEVICES } from '../../operator/api/resources.ts';
import { waitFor } from '../harness/wait.ts';
import { authority, type Identity, pemOf, startWorld, type World } from './world.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let world: World;
let acme: Identity;
beforeAll(async () => {
  world = await startWorld();
  acme = authority(world.ssl, '/O=Acme/CN=Acme devices');
});
afterAll(() => world?.end());

const HOUR_MS = 3_600_000;

/** Of Acme's CA, with a subject of Acme's. */
function acmeCertificate(serial: string, until = Date.now() + 1_000 * HOUR_MS): Identity {
  const request = world.makeRequest('none', { subject: `/O=Acme/CN=sensor ${serial}` });
  return world.signedBy(acme, request, Date.now() - HOUR_MS, until);
}

const existing = (identity: Identity): object => ({
  identity: { enrollment: 'Existing', existing: { certificate: world.ssl.file(identity.cert) } },
});
const certified = (name: string, reason: string): Promise<true> =>
  waitFor(`${name} to be Certified: ${reason}`, () =>
    world.device(name)?.status?.conditions?.find(({ type }) => type === 'Certified')?.reason === reason ? true : undefined,
  );
const entries = (name: string) => world.ledger().filter(({ device }) => device === `${name}.berlin`);

async function comesWith(name: string, identity: Identity): Promise<void> {
  await world.addDevice(name, existing(identity));
  await certified(name, 'Existing');
}

describe('a device with a certificate of another CA', () => {
  it.each(['simpleenroll', 'simplereenroll'])('gets one of ours with it at /%s, and then renews with ours', async (path) => {
    const name = `old-${path}`;
    const old = acmeCertificate(path);
    await comesWith(name, old);
    expect(entries(name)).toMatchObject([{ via: 'Existing', issuer: 'External//Acme-devices', segment: 'office.berlin' }]);
    const { key, body } = world.makeRequest(name);
    const answer = await world.ask(path, { body, as: old });
    expect([answer.status, answer.body.slice(0, 10)]).toEqual([200, expect.stringMatching(/^MII/)]);
    const cert = world.ssl.write(pemOf(world.ssl, answer));
    expect(new X509Certificate(world.ssl.file(cert)).subject).toBe(`O=hedgerow\nOU=office.berlin\nCN=${name}.berlin`);
    await certified(name, 'Issued');
    expect(world.device(name)?.status?.certificate).toContain(new X509Certificate(world.ssl.file(cert)).toString().trim());
    const next = await world.ask('simplereenroll', { body: world.makeRequest(name).body, as: { key, cert } });
    expect(next.status).toBe(200);
    expect(
      entries(name)
        .map(({ via }) => via)
        .sort(),
    ).toEqual(['EST', 'EST', 'Existing']);
  });

  it('may keep its key', async () => {
    const old = acmeCertificate('same-key');
    await comesWith('old-key', old);
    const answer = await world.ask('simpleenroll', { body: world.makeRequest('old-key', { key: old.key }).body, as: old });
    expect(answer.status).toBe(200);
    expect(new Set(entries('old-key').map(({ spki }) => spki)).size).toBe(1);
  });

  it('gets nothing under another name, nor with another certificate of that CA, nor with a copy of the certificate alone', async () => {
    const old = acmeCertificate('proper');
    await comesWith('old-1', old);
    await world.addDevice('old-2');
    const other = await world.ask('simpleenroll', { body: world.makeRequest('old-2').body, as: old });
    expect(other.body).toContain('HR-ID-009');
    const stranger = await world.ask('simpleenroll', { body: world.makeRequest('old-1').body, as: acmeCertificate('stranger') });
    expect(stranger.body).toContain('HR-EST-005');
    const again = await world.ask('simplereenroll', { body: world.makeRequest('old-1').body, as: acmeCertificate('stranger') });
    expect(again.body).toContain('HR-EST-010');
    const token = await world.ask('simpleenroll', {
      body: world.makeRequest('old-1').body,
      token: ['old-1.berlin', 'token-of-old-1-0123456789'],
    });
    expect(token.status).toBe(401);
    const thief = { key: acmeCertificate('thief').key, cert: old.cert };
    await expect(world.ask('simpleenroll', { body: world.makeRequest('old-1').body, as: thief })).rejects.toThrow();
    expect(entries('old-1')).toHaveLength(1);
  });

  it('gets nothing once it is revoked, with the old certificate or with ours', async () => {
    const old = acmeCertificate('revoked');
    await comesWith('old-3', old);
    const { key, body } = world.makeRequest('old-3');
    const cert = world.ssl.write(pemOf(world.ssl, await world.ask('simpleenroll', { body, as: old })));
    await world.patchDevice('old-3', { spec: { lifecycle: 'Revoked' } });
    await waitFor('all of its certificates to be revoked', () =>
      entries('old-3').length === 2 && entries('old-3').every(({ revoked }) => revoked?.reason === 'Revoked') ? true : undefined,
    );
    for (const as of [old, { key, cert }])
      expect((await world.ask('simplereenroll', { body: world.makeRequest('old-3').body, as })).body).toMatch(/HR-EST-(012|006)/);
    await certified('old-3', 'Revoked');
    // Back to life it needs a new key: the old one is burnt.
    await world.patchDevice('old-3', { spec: { lifecycle: 'Active' } });
    await certified('old-3', 'KeyRevoked');
  });

  it('two that name the same certificate: the newcomer is stalled, the first is not touched', async () => {
    const old = acmeCertificate('twice');
    await comesWith('old-4', old);
    await world.addDevice('old-5', existing(old));
    await certified('old-5', 'DuplicateKey');
    await certified('old-4', 'Existing');
    expect(world.ledger().filter(({ sha256 }) => sha256 === entries('old-4')[0]?.sha256)).toHaveLength(1);
    expect(entries('old-5')).toEqual([]);
    // What went with its Device is revoked, and burns the key for whoever comes after it.
    await world.api.delete(DEVICES, { name: 'old-4', namespace: 'berlin' });
    await certified('old-5', 'KeyRevoked');
  });

  it('many that name the same certificate at once: one has it', async () => {
    const old = acmeCertificate('crowd');
    const names = Array.from({ length: 6 }, (_, n) => `crowd-${n}`);
    await Promise.all(names.map((name) => world.addDevice(name, existing(old))));
    const reasons = await waitFor('all to be judged', () => {
      const seen = names.map((name) => world.device(name)?.status?.conditions?.find(({ type }) => type === 'Certified')?.reason);
      return seen.includes(undefined) ? undefined : seen;
    });
    expect(reasons.sort()).toEqual(['DuplicateKey', 'DuplicateKey', 'DuplicateKey', 'DuplicateKey', 'DuplicateKey', 'Existing']);
  });
});
