import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDeviceCa, SERVER_AUTH, subject } from '../../test/broker/testing/pki.ts';
import { waitFor } from '../../test/harness/wait.ts';
import { makeSite, type Site } from './testing/site.ts';

const bytes = randomBytes(300_000);
const roots = [Buffer.from('{"root":1}'), Buffer.from('{"root":2}')];
const pinned = createHash('sha256')
  .update(roots[0] ?? '')
  .digest('hex');
let site: Site;
let path: string;

beforeAll(async () => {
  site = await makeSite({
    bounds: { connectionsEach: 3, transfersEach: 2, idleMs: 2_000, pace: { everyMs: 1_000, leastBytes: 1_000_000 } },
  });
  const pushed = site.origin.push('fw/cam', bytes);
  site.name([pushed], roots);
  path = `/fw/sha256/${pushed.hex}`;
});
afterAll(() => site.close());

describe('what a device gets', () => {
  it('the whole file, with a strong ETag and the digest of RFC 9530', async () => {
    const { status, headers, body } = await site.get(path);
    expect({ status, right: body.equals(bytes) }).toEqual({ status: 200, right: true });
    const digest = createHash('sha256').update(bytes).digest();
    expect(headers).toMatchObject({
      ...{ etag: `"${digest.toString('hex')}"`, 'accept-ranges': 'bytes', 'content-length': '300000' },
      'repr-digest': `sha-256=:${digest.toString('base64')}:`,
    });
  });

  it.each([
    ['from a place on', 'bytes=299000-', 299_000, 299_999],
    ['from one place to another', 'bytes=10-19', 10, 19],
    ['the last bytes', 'bytes=-5', 299_995, 299_999],
    ['beyond the end, cut there', 'bytes=299990-999999', 299_990, 299_999],
  ])('a range: %s', async (_name, range, from, to) => {
    const { status, headers, body } = await site.get(path, { headers: { range } });
    expect({ status, range: headers['content-range'] }).toEqual({ status: 206, range: `bytes ${from}-${to}/300000` });
    expect(body.equals(bytes.subarray(from, to + 1))).toBe(true);
  });

  it('a range behind the end is refused with the size', async () => {
    const { status, headers, body } = await site.get(path, { headers: { range: 'bytes=300000-' } });
    expect({ status, range: headers['content-range'] }).toEqual({ status: 416, range: 'bytes */300000' });
    expect(body.toString()).toContain('HR-FW-407');
  });

  it('a range of another file is answered with the whole (If-Range)', async () => {
    const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
    expect((await site.get(path, { headers: { range: 'bytes=5-', 'if-range': '"other"' } })).status).toBe(200);
    expect((await site.get(path, { headers: { range: 'bytes=5-', 'if-range': etag } })).status).toBe(206);
    expect((await site.get(path, { headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  it('HEAD says what GET would, without bytes', async () => {
    const { status, headers, body } = await site.get(path, { method: 'HEAD', headers: { range: 'bytes=5-' } });
    expect({ status, length: headers['content-length'], bytes: body.length }).toEqual({ status: 200, length: '300000', bytes: 0 });
  });

  it('the envelope by the digest of its payload, roots by the first and their number', async () => {
    const payload = Buffer.from(JSON.stringify([site.origin.push('fw/cam', bytes)]));
    const envelope = await site.get(`/fw/releases/${createHash('sha256').update(payload).digest('hex')}`);
    expect(Buffer.from(JSON.parse(envelope.body.toString()).payload, 'base64')).toEqual(payload);
    expect((await site.get(`/fw/roots/${pinned}/2.root.json`, { headers: { range: 'bytes=1-' } })).body.toString()).toBe('"root":2}');
    expect((await site.get(`/fw/roots/${pinned}/3.root.json`)).status).toBe(404);
  });

  it.each([
    ['a digest that no catalog names', `/fw/sha256/${'0'.repeat(64)}`, 'GET', 404, 'HR-FW-402'],
    ['another path', '/fw/sha256/../../etc/passwd', 'GET', 404, 'HR-FW-401'],
    ['a digest in capitals', `/fw/sha256/${'A'.repeat(64)}`, 'GET', 404, 'HR-FW-401'],
    ['another method', '/', 'DELETE', 404, 'HR-FW-401'],
  ])('%s is refused with its code', async (_name, asked, method, status, code) => {
    const answer = await site.get(asked, { method });
    expect({ status: answer.status, code: answer.body.toString().slice(0, 9) }).toEqual({ status, code });
  });
});

describe('who is let in', () => {
  it('nobody without a certificate, with one of another CA, or one for servers', async () => {
    const others = await (await makeDeviceCa('devices')).issue(subject('hedgerow', 'app.berlin', 'cam-1.berlin'));
    const server = await site.ca.issue(subject('hedgerow', 'app.berlin', 'cam-1.berlin'), { usages: [SERVER_AUTH] });
    const expired = await site.ca.issue(subject('hedgerow', 'app.berlin', 'cam-1.berlin'), { expired: true });
    for (const client of [others, server, expired]) await expect(site.get(path, { client })).rejects.toThrow();
    await expect(withoutCertificate()).rejects.toThrow();
  });

  it.each([
    ['a driver of rollouts', 'hedgerow', '-rollout.-hedgerow', '-rollout-0123456789ab.-hedgerow'],
    ['another organisation', 'acme', 'app.berlin', 'cam-1.berlin'],
    ['a segment of another site', 'hedgerow', 'app.paris', 'cam-1.berlin'],
    ['a name without a site', 'hedgerow', 'app', 'cam-1'],
    ['a name with a line in it', 'hedgerow\nOU=app.berlin', 'app.berlin', 'cam-1.berlin'],
  ])('not %s', async (_name, organization, unit, name) => {
    const answer = await site.get(path, { client: await site.ca.issue(subject(organization, unit, name)) });
    expect({ status: answer.status, code: answer.body.toString().slice(0, 9) }).toEqual({ status: 403, code: 'HR-FW-403' });
  });

  it('a device on the revocation list no more, also by a connection that is open, though the list is old; its neighbour still', async () => {
    const [bad, good] = [await site.device('bad'), await site.device('good')];
    const open = await connection(site, bad);
    const status = async (): Promise<string> => {
      open.socket.write(`HEAD /fw/sha256/${'0'.repeat(64)} HTTP/1.1\r\nHost: fw\r\n\r\n`);
      const [head] = (await once(open.socket, 'data')) as [Buffer];
      return head.toString().split('\r\n', 1)[0] ?? '';
    };
    expect(await status()).toBe('HTTP/1.1 404 Not Found');
    await writeFile(join(site.home, 'list.pem'), await site.ca.crl([bad], -1000));
    site.paths.crlFiles.push(join(site.home, 'list.pem'));
    await site.reread();
    expect(await status()).toBe('HTTP/1.1 403 Forbidden');
    open.socket.destroy();
    const refused = await site.get(path, { client: bad });
    expect({ status: refused.status, code: refused.body.toString().slice(0, 9) }).toEqual({ status: 403, code: 'HR-FW-404' });
    expect((await site.get(path, { client: good })).status).toBe(200);
  });

  it('a list of another CA revokes nobody', async () => {
    const client = await site.device('stranger');
    const foreign = await makeDeviceCa('devices');
    await writeFile(join(site.home, 'list.pem'), await foreign.crl([client]));
    await site.reread();
    expect((await site.get(path, { client })).status).toBe(200);
  });
});

describe('what one client may hold', () => {
  it('so many connections of one device, while others are served', async () => {
    const held = await Promise.all([1, 2, 3].map(() => connection(site)));
    const fourth = await connection(site);
    await fourth.closed;
    expect((await site.get(path, { client: await site.device('other') })).status).toBe(200);
    for (const one of held) one.socket.destroy();
    await waitFor('the place to be free', async () => (await site.get(path)).status === 200 || undefined);
  });

  it('who reads too slowly is cut off', async () => {
    const big = site.origin.push('fw/big', randomBytes(24_000_000));
    site.name([big], [], 'big');
    const client = await connection(site, await site.device('slow'));
    client.socket.write(`GET /fw/sha256/${big.hex} HTTP/1.1\r\nHost: fw\r\n\r\n`);
    client.socket.pause();
    await waitFor('the transfer to begin', () => site.server.transfers === 1 || undefined);
    await waitFor('the transfer to be cut off', () => site.server.transfers === 0 || undefined);
    client.socket.resume();
    await client.closed;
  });
});

async function connection(to: Site, client = to.camera) {
  const socket = tlsConnect({ host: 'localhost', port: to.port, ca: to.serverCaPem, key: client.keyPem, cert: client.certPem });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return { socket, closed };
}

async function withoutCertificate(): Promise<void> {
  const socket = tlsConnect({ host: 'localhost', port: site.port, ca: site.serverCaPem });
  // With TLS 1.3 the client's handshake is over before the server has looked.
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => resolve());
    socket.write('GET / HTTP/1.1\r\nHost: fw\r\n\r\n');
  });
}
