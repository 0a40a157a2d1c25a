// What a device and a stranger get of the EST server, over real TLS, with the operator's identity room behind it.
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { authority, type Identity, pemOf, startWorld, type World } from './world.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** For what another part of the world does by itself. */
const SOON = { timeout: 20_000 };

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => await world?.end());

const token = (name: string): [string, string] => [`${name}.berlin`, `token-of-${name}-0123456789`];
const certificatesOf = (name: string): number => world.ledger().filter((entry) => entry.device === `${name}.berlin`).length;
async function deviceWithToken(name: string, forMs?: number): Promise<void> {
  await world.addDevice(name);
  await world.giveToken(name, token(name)[1], forMs);
}

describe('what everybody may read', () => {
  it('/cacerts gives the CAs as PKCS#7 in base64', async () => {
    const answer = await world.ask('cacerts');
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/pkcs7-mime', 'content-transfer-encoding': 'base64' },
    });
    expect(new X509Certificate(pemOf(world.ssl, answer)).subject).toBe('CN=site root');
  });

  it('/csrattrs names a P-256 key and SHA-256', async () => {
    const answer = await world.ask('csrattrs');
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/csrattrs' } });
    const text = world.ssl.run(['asn1parse', '-inform', 'DER'], Buffer.from(answer.body, 'base64')).toString();
    expect(text).toMatch(/id-ecPublicKey[\s\S]*prime256v1[\s\S]*ecdsa-with-SHA256/);
  });

  it.each([
    ['another path', '/.well-known/est/serverkeygen', {}, 404, 'HR-EST-034'],
    ['a CA label', '/.well-known/est/label/cacerts', {}, 404, 'HR-EST-034'],
    ['a word that objects know', '/.well-known/est/toString', {}, 404, 'HR-EST-034'],
    ['POST to cacerts', 'cacerts', { method: 'POST', body: 'x' }, 405, 'HR-EST-035'],
    ['GET of simpleenroll', 'simpleenroll', {}, 405, 'HR-EST-035'],
  ])('%s is refused with code and cure', async (_name, path, ask, status, code) => {
    const answer = await world.ask(path, ask);
    expect(answer).toMatchObject({ status, headers: { 'content-type': 'text/plain; charset=utf-8' } });
    expect(answer.body).toMatch(new RegExp(`^${code}: .+ Cure: .+`));
  });

  it.each([
    ['TLSv1.2', undefined],
    ['TLSv1.3', 'TLSv1.3'],
  ] as const)('a client that speaks at most %s gets %s', async (most, spoken) => {
    const protocol = await new Promise<string | undefined>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: world.port, rejectUnauthorized: false, maxVersion: most }, () => {
        resolve(socket.getProtocol() ?? undefined);
        socket.destroy();
      });
      socket.on('error', () => resolve(undefined));
    });
    expect(protocol).toBe(spoken);
  });
});

describe('a one-time token', () => {
  it('is worth one certificate for exactly the dictated subject, and the Device shows it', async () => {
    await deviceWithToken('thermo-1');
    const { key, body } = world.makeRequest('thermo-1');
    const answer = await world.ask('simpleenroll', { body, token: token('thermo-1') });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/pkcs7-mime; smime-type=certs-only', 'content-transfer-encoding': 'base64' },
    });
    // At this moment, not some time later: nothing is handed out that the ledger does not have.
    const recorded = world.ledger().map((entry) => entry.sha256);
    const leaf = new X509Certificate(pemOf(world.ssl, answer));
    expect(recorded).toContain(leaf.fingerprint256.replaceAll(':', '').toLowerCase());
    expect(leaf.subject).toBe('O=hedgerow\nOU=office.berlin\nCN=thermo-1.berlin');
    expect(leaf.publicKey.export({ format: 'pem', type: 'spki' })).toBe(world.ssl.run(['pkey', '-in', key, '-pubout']).toString());
    await expect.poll(() => world.device('thermo-1')?.status?.certificate, SOON).toContain(leaf.toString().trim());
    expect(world.ledger().find((entry) => entry.device === 'thermo-1.berlin')).toMatchObject({ via: 'EST' });
  });

  it('is good for the same request again, when the answer was lost, and gives the same certificate', async () => {
    await deviceWithToken('thermo-2');
    const { body } = world.makeRequest('thermo-2');
    const first = await world.ask('simpleenroll', { body, token: token('thermo-2') });
    const again = await world.ask('simpleenroll', { body, token: token('thermo-2') });
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(certificatesOf('thermo-2')).toBe(1);
  });

  it('is good for no other request', async () => {
    await deviceWithToken('thermo-3');
    await world.ask('simpleenroll', { body: world.makeRequest('thermo-3').body, token: token('thermo-3') });
    const answer = await world.ask('simpleenroll', { body: world.makeRequest('thermo-3').body, token: token('thermo-3') });
    expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': expect.stringContaining('Basic') } });
    expect(answer.body).toContain('HR-EST-004');
    expect(certificatesOf('thermo-3')).toBe(1);
  });

  it('of 50 uses at once at two replicas, exactly one wins', async () => {
    await deviceWithToken('thermo-4');
    const second = await world.startEst();
    const asks = Array.from({ length: 50 }, (_, n) =>
      world.ask('simpleenroll', {
        port: n % 2 === 0 ? world.port : second,
        body: world.makeRequest('thermo-4').body,
        token: token('thermo-4'),
      }),
    );
    const statuses = (await Promise.all(asks)).map((answer) => answer.status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 401)).toHaveLength(49);
    expect(world.requests('thermo-4')).toHaveLength(1);
    expect(certificatesOf('thermo-4')).toBe(1);
  }, 60_000);

  it('that has expired gives nothing', async () => {
    await deviceWithToken('thermo-5', -1_000);
    const answer = await world.ask('simpleenroll', { body: world.makeRequest('thermo-5').body, token: token('thermo-5') });
    expect(answer.status).toBe(401);
    expect(answer.body).toContain('HR-EST-003');
    expect(world.requests('thermo-5')).toEqual([]);
  });

  it('is not burnt by a request that is refused', async () => {
    await deviceWithToken('thermo-6');
    const wrong = world.makeRequest('thermo-6', { segment: 'gateways' });
    const refused = await world.ask('simpleenroll', { body: wrong.body, token: token('thermo-6') });
    expect(refused.status).toBe(400);
    expect(refused.body).toContain('HR-ID-009');
    expect(refused.body).toContain('-subj /O=hedgerow/OU=office.berlin/CN=thermo-6.berlin');
    const right = await world.ask('simpleenroll', { body: world.makeRequest('thermo-6').body, token: token('thermo-6') });
    expect(right.status).toBe(200);
  });

  it.each([
    ['a wrong token', ['thermo-7.berlin', 'another-token-0123456789']],
    ['a Device that is not there', ['nobody.berlin', 'token-of-thermo-7-0123456789']],
    ['a name that is none', ['../thermo-7', 'token-of-thermo-7-0123456789']],
  ] as [string, [string, string]][])('%s is answered alike: 401 and no word of what exists', async (_name, credentials) => {
    if (world.device('thermo-7') === undefined) await deviceWithToken('thermo-7');
    const answer = await world.ask('simpleenroll', { body: world.makeRequest('thermo-7').body, token: credentials });
    expect(answer.status).toBe(401);
    expect(answer.body).toMatch(/^HR-EST-002/);
    expect(world.requests('thermo-7')).toEqual([]);
  });

  it('does not serve a revoked Device', async () => {
    await deviceWithToken('thermo-8');
    await world.patchDevice('thermo-8', { spec: { lifecycle: 'Revoked' } });
    const answer = await world.ask('simpleenroll', { body: world.makeRequest('thermo-8').body, token: token('thermo-8') });
    expect(answer.status).toBe(401);
    expect(certificatesOf('thermo-8')).toBe(0);
  });

  it('gets 202 with Retry-After while the certificate is not made, and the same request then gets it', async () => {
    await deviceWithToken('thermo-9');
    const hasty = await world.startEst({ waitMs: 0 });
    const ask = { port: hasty, body: world.makeRequest('thermo-9').body, token: token('thermo-9') };
    const first = await world.ask('simpleenroll', ask);
    expect(first).toMatchObject({ status: 202, headers: { 'retry-after': '5' } });
    await expect.poll(async () => (await world.ask('simpleenroll', ask)).status, SOON).toBe(200);
    expect(certificatesOf('thermo-9')).toBe(1);
  });

  it('that was burnt when the API server failed is good for the same request, and for no other', async () => {
    await deviceWithToken('thermo-13');
    const { body } = world.makeRequest('thermo-13');
    world.api.faults = ({ verb, plural, name }) =>
      verb === 'create' && plural === 'certificaterequests' && name.startsWith('thermo-13-') ? { when: 'before', status: 500 } : undefined;
    const failed = await world.ask('simpleenroll', { body, token: token('thermo-13') });
    world.api.faults = () => undefined;
    expect(failed).toMatchObject({ status: 503, headers: { 'retry-after': expect.any(String) } });
    expect(world.requests('thermo-13')).toEqual([]);
    const other = await world.ask('simpleenroll', { body: world.makeRequest('thermo-13').body, token: token('thermo-13') });
    expect(other.body).toContain('HR-EST-004');
    expect((await world.ask('simpleenroll', { body, token: token('thermo-13') })).status).toBe(200);
    expect(certificatesOf('thermo-13')).toBe(1);
  });

  it.each(['secrets', 'certificaterequests'])(
    'whose answer of the API server about %s was lost still gives one certificate',
    async (plural) => {
      const name = `thermo-lost-${plural}`;
      await deviceWithToken(name);
      const { body } = world.makeRequest(name);
      let lost = false;
      world.api.faults = (write) => {
        if (lost || write.plural !== plural || write.verb === 'delete') return undefined;
        lost = true;
        return { when: 'after' };
      };
      const first = await world.ask('simpleenroll', { body, token: token(name) });
      world.api.faults = () => undefined;
      expect(lost).toBe(true);
      expect([200, 503]).toContain(first.status);
      expect((await world.ask('simpleenroll', { body, token: token(name) })).status).toBe(200);
      expect(certificatesOf(name)).toBe(1);
    },
  );

  it('does not certify another key type than allowed', async () => {
    await deviceWithToken('thermo-10');
    const weak = world.makeRequest('thermo-10', { key: world.ssl.key('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048') });
    const answer = await world.ask('simpleenroll', { body: weak.body, token: token('thermo-10') });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('HR-ID-007');
  });

  it('is not burnt by a Device whose serial number another has', async () => {
    const spec = { hardware: { serial: 'S-1' }, identity: { enrollment: 'EST', est: { bootstrap: 'Token' } } };
    await world.enrolled('twin-1', spec);
    await world.addDevice('twin-2', spec);
    await world.giveToken('twin-2', token('twin-2')[1]);
    const { body } = world.makeRequest('twin-2');
    const answer = await world.ask('simpleenroll', { body, token: token('twin-2') });
    expect(answer.status).toBe(403);
    expect(answer.body).toMatch(/^HR-ID-030: [^\n]+ Cure: [^\n]+\n$/);
    expect(answer.body.split('Cure: ')).toHaveLength(2);
    await world.patchDevice('twin-2', { spec: { hardware: { serial: 'S-2' } } });
    await expect.poll(async () => (await world.ask('simpleenroll', { body, token: token('twin-2') })).status, SOON).toBe(200);
  });

  it('does not certify the key of another Device', async () => {
    const other = await world.enrolled('thermo-11');
    await deviceWithToken('thermo-12');
    const copied = world.makeRequest('thermo-12', { key: other.key });
    const answer = await world.ask('simpleenroll', { body: copied.body, token: token('thermo-12') });
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('HR-ID-031');
    expect(certificatesOf('thermo-12')).toBe(0);
  });
});

describe('re-enrolment with the current certificate', () => {
  const again = (name: string, as: Identity | undefined, request = world.makeRequest(name)) =>
    world.ask('simplereenroll', { body: request.body, ...(as === undefined ? {} : { as }) });

  it('gives a new certificate for a new key; the superseded one may do it too', async () => {
    const first = await world.enrolled('cam-1');
    const next = await again('cam-1', first);
    expect(next.status).toBe(200);
    expect((await again('cam-1', first)).status).toBe(200);
    expect(certificatesOf('cam-1')).toBe(3);
  });

  it('serves a Device whose manifest holds a CSR, and the manifest does not take it back', async () => {
    const key = world.ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
    const csr = world.ssl.request({ key, subject: '/O=hedgerow/OU=office.berlin/CN=cam-2.berlin' });
    await world.addDevice('cam-2', { identity: { enrollment: 'CSR', csr } });
    await expect.poll(() => world.device('cam-2')?.status?.certificate, SOON).toBeDefined();
    const first = { key, cert: world.ssl.write(world.device('cam-2')?.status?.certificate ?? '') };
    const answer = await again('cam-2', first);
    const renewed = new X509Certificate(pemOf(world.ssl, answer)).toString().trim();
    await expect.poll(() => world.device('cam-2')?.status?.certificate, SOON).toContain(renewed);
    await world.patchDevice('cam-2', { metadata: { labels: { touched: 'yes' } } });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(world.device('cam-2')?.status?.certificate).toContain(renewed);
    expect(world.device('cam-2')?.status?.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    expect(certificatesOf('cam-2')).toBe(2);
  });

  it('serves a Device under its new segment', async () => {
    const first = await world.enrolled('cam-3');
    await world.patchDevice('cam-3', { spec: { segment: 'lobby' } });
    const answer = await again('cam-3', first, world.makeRequest('cam-3', { segment: 'lobby' }));
    expect(new X509Certificate(pemOf(world.ssl, answer)).subject).toContain('OU=lobby.berlin');
  });

  it('with the same key waits for the renewal window', async () => {
    const first = await world.enrolled('cam-4');
    await world.patchDevice('cam-4', { spec: { segment: 'lobby' } });
    const answer = await again('cam-4', first, world.makeRequest('cam-4', { key: first.key, segment: 'lobby' }));
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('HR-ID-033');
  });

  it('with the same key is served at once when somebody asked for it, and once', async () => {
    const first = await world.enrolled('cam-30');
    const end = new X509Certificate(world.ssl.file(first.cert)).validToDate.getTime();
    await expect.poll(() => world.device('cam-30')?.status?.identity?.renewAt, SOON).toBeDefined();
    expect(Date.parse(world.device('cam-30')?.status?.identity?.renewAt ?? '')).toBeLessThanOrEqual(end - 240 * HOUR);
    world.rotate('cam-30');
    await expect.poll(() => Date.parse(world.device('cam-30')?.status?.identity?.renewAt ?? ''), SOON).toBeLessThanOrEqual(Date.now());
    // Times of objects are whole seconds: a request in the second of the Rotate would not count as later.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const request = world.makeRequest('cam-30', { key: first.key });
    await expect.poll(async () => (await again('cam-30', first, request)).status, SOON).toBe(200);
    expect(certificatesOf('cam-30')).toBe(2);
    await expect.poll(() => Date.parse(world.device('cam-30')?.status?.identity?.renewAt ?? ''), SOON).toBeGreaterThan(Date.now());
  });

  it('is refused when the key was given up, with the old key and with a new one; a new token and a new key are the way back', async () => {
    const first = await world.enrolled('cam-31');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    world.rotate('cam-31', true);
    await expect.poll(async () => (await again('cam-31', first)).body, SOON).toContain('HR-EST-012');
    await expect
      .poll(() => world.device('cam-31')?.status?.conditions, SOON)
      .toContainEqual(expect.objectContaining({ type: 'Certified', status: 'False', reason: 'NewKeyNeeded' }));
    expect(world.ledger().filter((entry) => entry.device === 'cam-31.berlin')).toMatchObject([
      { revoked: { reason: 'Compromised', by: 'Intervention r1 of alice' } },
    ]);
    const token = 'another-token-0123456789';
    await world.giveToken('cam-31', token);
    const byToken = { token: ['cam-31.berlin', token] as [string, string] };
    const old = await world.ask('simpleenroll', { body: world.makeRequest('cam-31', { key: first.key }).body, ...byToken });
    expect(old.body).toContain('HR-ID-032');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const answer = await world.ask('simpleenroll', { body: world.makeRequest('cam-31').body, ...byToken });
    expect(answer.status).toBe(200);
    expect(world.ledger().filter((entry) => entry.device === 'cam-31.berlin' && entry.revoked === undefined)).toHaveLength(1);
  });

  it('is refused with a revoked certificate', async () => {
    const first = await world.enrolled('cam-5');
    await world.revoke('cam-5');
    await expect.poll(async () => (await again('cam-5', first)).body, SOON).toContain('HR-EST-012');
    expect(certificatesOf('cam-5')).toBe(1);
  });

  it('works with one that expired within the offlineBudget', async () => {
    const recently = await expired('cam-6', 2 * HOUR, '72h');
    expect((await again('cam-6', recently)).status).toBe(200);
  });

  it.each([
    ['longer ago than the offlineBudget', 'cam-7', 80 * HOUR, '72h'],
    ['at all, when there is no budget', 'cam-8', 2_000, undefined],
  ])('is refused with one that expired %s', async (_name, device, agoMs, budget) => {
    const answer = await again(device, await expired(device, agoMs, budget));
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('HR-EST-013');
    expect(certificatesOf(device)).toBe(1);
  });

  it.each([
    ['expired', -30 * DAY, -HOUR],
    ['valid', -HOUR, 30 * DAY],
  ])('is refused with an %s certificate of a foreign CA with the name of ours', async (word, from, to) => {
    const name = `cam-foreign-${word}`;
    await world.addDevice(name, { offlineBudget: '72h', identity: { enrollment: 'EST' } });
    const request = world.makeRequest(name);
    const foreign = world.signedBy(authority(world.ssl, '/CN=site root'), request, Date.now() + from, Date.now() + to);
    await world.record(name, foreign);
    const answer = await again(name, foreign);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('HR-EST-010');
    expect(world.requests(name)).toEqual([]);
  });

  it('is refused with a certificate of our CA that Hedgerow did not issue', async () => {
    await world.addDevice('cam-9');
    const stolen = world.signedBy(world.ca, world.makeRequest('cam-9'), Date.now() - HOUR, Date.now() + DAY);
    const answer = await again('cam-9', stolen);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('HR-EST-011');
  });

  it('is refused without a certificate, for another Device’s name, and after the Device was replaced', async () => {
    expect((await again('cam-10', undefined)).status).toBe(401);
    const first = await world.enrolled('cam-10');
    expect((await again('cam-10', first, world.makeRequest('cam-1'))).body).toContain('HR-ID-009');
    await world.api.delete(
      { group: '', version: '', plural: 'devices', kind: 'Device', namespaced: true },
      { name: 'cam-10', namespace: 'berlin' },
    );
    await world.addDevice('cam-10');
    await expect.poll(async () => (await again('cam-10', first)).body, SOON).toMatch(/HR-EST-01[12]/);
  });

  async function expired(name: string, agoMs: number, offlineBudget: string | undefined): Promise<Identity> {
    await world.addDevice(name, { ...(offlineBudget === undefined ? {} : { offlineBudget }), identity: { enrollment: 'EST' } });
    const end = Date.now() - agoMs;
    const identity = world.signedBy(world.ca, world.makeRequest(name), end - 30 * DAY, end);
    await world.record(name, identity, { keepUntil: end + 100 * HOUR });
    return identity;
  }
});

describe('a factory certificate', () => {
  const moduleName = (serial: string): string =>
    `subjectAltName=otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw\n[hw]\ntype=OID:1.3.6.1.4.1.99999.1\nserial=FORMAT:ASCII,OCT:${serial}\n`;
  const manufacturer = { identity: { enrollment: 'EST', est: { bootstrap: 'Manufacturer' } } };
  const CA_LINES = 'basicConstraints=critical,CA:true\n';
  let maker: Identity;
  beforeAll(async () => {
    maker = authority(world.ssl, '/O=Maker/CN=Maker root');
    await world.nameManufacturer('factory', maker);
    await world.nameManufacturer('unreadable', undefined);
  });
  const factory = (by: Identity, subjectSerial: string, moduleSerial: string | undefined, end = '2049-12-31T00:00:00Z'): Identity => {
    const request = world.makeRequest('x', { subject: `/O=Maker/serialNumber=${subjectSerial}` });
    const more = moduleSerial === undefined ? '' : moduleName(moduleSerial);
    return world.signedBy(by, request, Date.parse('2026-01-01T00:00:00Z'), Date.parse(end), more);
  };
  const ask = async (name: string, as: Identity, spec: object = {}) => {
    await world.addDevice(name, { segment: 'factory', hardware: { serial: 'A1B2' }, ...manufacturer, ...spec });
    const segment = (spec as { segment?: string }).segment ?? 'factory';
    return await world.ask('simpleenroll', { body: world.makeRequest(name, { segment }).body, as });
  };

  it('of the maker that the segment names, with the serial number of the Device, gets a certificate', async () => {
    const answer = await ask('gate-1', factory(maker, 'A1B2', 'A1B2'));
    expect(answer.body.startsWith('HR')).toBe(false);
    expect(answer.status).toBe(200);
    expect(new X509Certificate(pemOf(world.ssl, answer)).subject).toBe('O=hedgerow\nOU=factory.berlin\nCN=gate-1.berlin');
  });

  it('may lead to the maker over an intermediate CA that the device sends', async () => {
    const request = world.makeRequest('x', { subject: '/O=Maker/CN=Maker line 7' });
    const line = world.signedBy(maker, request, Date.now() - HOUR, Date.now() + DAY, CA_LINES);
    const leaf = factory(line, 'C3D4', 'C3D4');
    const alone = await ask('gate-10', leaf, { hardware: { serial: 'C3D4' } });
    expect(alone.body).toContain('HR-EST-021');
    const chain = { key: leaf.key, cert: world.ssl.write(world.ssl.file(leaf.cert) + world.ssl.file(line.cert)) };
    const { body } = world.makeRequest('gate-10', { segment: 'factory' });
    const whole = await world.ask('simpleenroll', { body, as: chain });
    expect(whole.body).not.toContain('HR-EST');
    expect(whole.status).toBe(200);
  });

  it.each<[string, string, string, () => Identity, object]>([
    [
      'of another CA with the name of the maker’s',
      'HR-EST-021',
      'gate-2',
      () => factory(authority(world.ssl, '/O=Maker/CN=Maker root'), 'A1B2', 'A1B2'),
      {},
    ],
    ['that has expired', 'HR-EST-021', 'gate-11', () => factory(maker, 'A1B2', 'A1B2', '2026-02-01T00:00:00Z'), {}],
    ['with another serial number than the Device', 'HR-EST-023', 'gate-3', () => factory(maker, 'ZZZZ', 'ZZZZ'), {}],
    ['whose two serial numbers differ', 'HR-EST-022', 'gate-4', () => factory(maker, 'A1B2', 'ZZZZ'), {}],
    ['without a HardwareModuleName', 'HR-EST-022', 'gate-5', () => factory(maker, 'A1B2', undefined), {}],
    ['for a Device without a serial number', 'HR-EST-023', 'gate-6', () => factory(maker, 'A1B2', 'A1B2'), { hardware: {} }],
    [
      'for a Device that enrols by token',
      'HR-EST-005',
      'gate-7',
      () => factory(maker, 'A1B2', 'A1B2'),
      { identity: { enrollment: 'EST', est: { bootstrap: 'Token' } } },
    ],
    ['where the segment names no maker', 'HR-EST-020', 'gate-8', () => factory(maker, 'A1B2', 'A1B2'), { segment: 'office' }],
    ['where the Secret cannot be read', 'HR-EST-020', 'gate-9', () => factory(maker, 'A1B2', 'A1B2'), { segment: 'unreadable' }],
  ])('%s is refused (%s)', async (_name, code, device, as, spec) => {
    const answer = await ask(device, as(), spec);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain(code);
    expect(world.requests(device)).toEqual([]);
    expect(certificatesOf(device)).toBe(0);
  });
});

describe('limits', () => {
  it('tell an address that asks too often when to come again', async () => {
    const port = await world.startEst({ perAddress: 2 });
    const answers = [];
    for (let n = 0; n < 4; n++) answers.push(await world.ask('cacerts', { port }));
    expect(answers.map((answer) => answer.status).slice(0, 3)).toEqual([200, 200, 429]);
    expect(answers[2]?.headers['retry-after']).toMatch(/^\d+$/);
  });

  it('tell a Device that proved itself and asks too often when to come again, and no other Device', async () => {
    const port = await world.startEst({ perDevice: 1 });
    const busy = await world.enrolled('busy');
    const calm = await world.enrolled('calm');
    const ask = (name: string, as: Identity) => world.ask('simplereenroll', { port, body: world.makeRequest(name).body, as });
    const statuses = [(await ask('busy', busy)).status, (await ask('busy', busy)).status];
    expect(statuses[0]).toBe(200);
    expect([200, 429]).toContain(statuses[1]);
    const many = await Promise.all(Array.from({ length: 6 }, () => ask('busy', busy)));
    expect(many.filter(({ status }) => status === 429).length).toBeGreaterThan(0);
    expect((await ask('calm', calm)).status).toBe(200);
  });

  it.each([
    ['a body of 9 kB', 'A'.repeat(9_000), 'application/pkcs10', 413, 'HR-EST-031'],
    ['a body of no base64', '<xml/>', 'application/pkcs10', 400, 'HR-EST-030'],
    ['an empty body', '', 'application/pkcs10', 400, 'HR-EST-030'],
    ['another content type', 'AAAA', 'application/json', 415, 'HR-EST-032'],
  ])('%s is refused', async (_name, body, type, status, code) => {
    const answer = await world.ask('simpleenroll', { method: 'POST', body, type, token: token('thermo-1') });
    expect(answer.status).toBe(status);
    expect(answer.body).toContain(code);
  });
});
