// What comes from registries that lie, break off or never end: never a wrong byte to a device, never more on the disk than the size that was signed.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { Misbehaviour, Pushed } from '../../test/harness/oci-origin.ts';
import { waitFor } from '../../test/harness/wait.ts';
import { makeSite, type Named, type Site } from './testing/site.ts';

const SIZE = 400_000;
const bytes = randomBytes(SIZE);
let site: Site;
afterEach(() => site.close());

const forBlobs =
  (how: Misbehaviour): Misbehaviour =>
  (seen, ...rest) =>
    seen.kind === 'blob' && how(seen, ...rest);

/** Each answers for the blob in its own wrong way, with the code that the server gives for it. */
const LIES: Record<string, [code: string, how: Misbehaviour]> = {
  'other bytes of the same size': ['HR-FW-413', forBlobs((_seen, response) => answered(response.writeHead(200).end(randomBytes(SIZE))))],
  'endless bytes': ['HR-FW-414', forBlobs((_seen, response) => answered(endless(response.writeHead(200))))],
  'one byte more': [
    'HR-FW-414',
    forBlobs((_seen, response) => answered(response.writeHead(200).end(Buffer.concat([bytes, Buffer.from('x')])))),
  ],
  'another size announced': [
    'HR-FW-414',
    forBlobs((_seen, response) => answered(response.writeHead(200, { 'content-length': 5 }).end('short'))),
  ],
  'an end before the end': ['HR-FW-410', forBlobs((_seen, response) => answered(response.writeHead(200).end(bytes.subarray(0, 1000))))],
  'a connection that breaks': [
    'HR-FW-410',
    forBlobs((_seen, response) =>
      answered(response.writeHead(200, { 'content-length': SIZE }).write(bytes.subarray(0, 1000), () => response.destroy())),
    ),
  ],
  gzip: [
    'HR-FW-417',
    forBlobs((_seen, response) => answered(response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(bytes)))),
  ],
  'a redirect to itself': ['HR-FW-415', forBlobs((seen, response) => answered(response.writeHead(307, { location: seen.url }).end()))],
  'a redirect to http': [
    'HR-FW-415',
    forBlobs((_seen, response) => answered(response.writeHead(307, { location: 'http://localhost/blob' }).end())),
  ],
  'a redirect to a file': [
    'HR-FW-415',
    forBlobs((_seen, response) => answered(response.writeHead(307, { location: 'file:///etc/passwd' }).end())),
  ],
  'a redirect to nowhere': ['HR-FW-415', forBlobs((_seen, response) => answered(response.writeHead(307).end()))],
  '429': ['HR-FW-418', forBlobs((_seen, response) => answered(response.writeHead(429).end()))],
  '500': ['HR-FW-418', forBlobs((_seen, response) => answered(response.writeHead(500).end('panic: secret')))],
  '404': ['HR-FW-412', forBlobs((_seen, response) => answered(response.writeHead(404).end()))],
  '403': ['HR-FW-411', forBlobs((_seen, response) => answered(response.writeHead(403).end()))],
  '401 without a challenge': ['HR-FW-411', forBlobs((_seen, response) => answered(response.writeHead(401).end()))],
  'a token server without TLS': [
    'HR-FW-411',
    forBlobs((_seen, response) => answered(response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://localhost/token"' }).end())),
  ],
  'no HTTP': ['HR-FW-410', forBlobs((_seen, response) => answered(response.socket?.end('220 smtp.example.com ESMTP\r\n')))],
  'headers without end': [
    'HR-FW-410',
    forBlobs((_seen, response) => answered(response.socket?.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`))),
  ],
  'another manifest': ['HR-FW-413', ({ kind }, response) => kind === 'manifest' && answered(response.writeHead(200).end('{"layers":[]}'))],
  'an endless manifest': ['HR-FW-416', ({ kind }, response) => kind === 'manifest' && answered(endless(response.writeHead(200)))],
};

describe('a registry that gives', () => {
  it.each(Object.entries(LIES))(
    '%s: the device is told to come back, the disk holds nothing of it, and the right answer helps',
    async (_name, [code, how]) => {
      site = await makeSite();
      const pushed = named(site);
      site.origin.misbehave(how);
      const answer = await site.get(`/fw/sha256/${pushed.hex}`);
      expect({ status: answer.status, retry: Number(answer.headers['retry-after']) > 0 }).toEqual({ status: 503, retry: true });
      expect(answer.body.toString()).toContain(code);
      expect(site.results).toEqual([code]);
      expect(await onDisk(site)).toBeLessThanOrEqual(SIZE);
      expect(await readdir(join(site.home, 'cache', 'sha256'))).toEqual([]);
      // A catalog that names another way is tried at once.
      site.origin.misbehave();
      const again = site.origin.push('fw/again', bytes);
      site.name([again], [], 'again');
      expect((await site.get(`/fw/sha256/${pushed.hex}`)).body.equals(bytes)).toBe(true);
    },
  );

  it('no answer at all: a request is answered before the registry is', async () => {
    site = await makeSite({ bounds: { waitMs: 200 } });
    const pushed = named(site);
    site.origin.misbehave(() => true);
    const answer = await site.get(`/fw/sha256/${pushed.hex}`);
    expect({ status: answer.status, code: answer.body.toString().slice(0, 9) }).toEqual({ status: 503, code: 'HR-FW-406' });
    site.origin.misbehave();
  });
});

describe('a file at an https URL', () => {
  it('is fetched whole, without a manifest', async () => {
    site = await makeSite();
    const file = asFile(site);
    expect((await site.get(`/fw/sha256/${file.hex}`)).body.equals(bytes)).toBe(true);
    expect(site.origin.seen.map(({ kind }) => kind)).toEqual(['blob']);
  });

  it('goes on from where it broke off', async () => {
    site = await makeSite();
    const file = asFile(site);
    breakAfter(site, 150_000);
    expect((await site.get(`/fw/sha256/${file.hex}`)).status).toBe(503);
    site.origin.misbehave();
    site.name([{ ...file, url: `${file.url}` }, site.origin.push('fw/again', bytes)], [], 'again');
    expect((await site.get(`/fw/sha256/${file.hex}`)).body.equals(bytes)).toBe(true);
    expect(site.origin.seen.findLast(({ kind }) => kind === 'blob')?.range).toMatch(/^bytes=[1-9][0-9]*-$/);
  });

  it.each(Object.entries(LIES).filter(([name]) => !name.includes('manifest')))(
    'from a server that gives %s: never a wrong byte, and the code says why',
    async (_name, [code, how]) => {
      site = await makeSite();
      const file = asFile(site);
      site.origin.misbehave(how);
      const answer = await site.get(`/fw/sha256/${file.hex}`);
      expect({ status: answer.status, results: site.results }).toEqual({ status: 503, results: [code] });
      expect(await onDisk(site)).toBeLessThanOrEqual(SIZE);
      expect(await readdir(join(site.home, 'cache', 'sha256'))).toEqual([]);
    },
  );

  it('behind a password is fetched with the one of its host, and never by a token', async () => {
    const home = await mkdtemp(join(tmpdir(), 'hedgerow-auth-'));
    const authFile = join(home, 'config.json');
    site = await makeSite({ authFile });
    await writeFile(authFile, JSON.stringify({ auths: { [site.origin.registry]: { username: 'edge', password: 's3cret' } } }));
    const file = asFile(site);
    const wanted = `Basic ${Buffer.from('edge:s3cret').toString('base64')}`;
    const challenge = { 'www-authenticate': 'Basic realm="files"' };
    site.origin.misbehave(({ authorization }, response) => authorization !== wanted && answered(response.writeHead(401, challenge).end()));
    expect((await site.get(`/fw/sha256/${file.hex}`)).body.equals(bytes)).toBe(true);
    await rm(home, { recursive: true });
  });
});

describe('a download that was interrupted', () => {
  it('goes on from there, and asks for nothing twice', async () => {
    site = await makeSite();
    const pushed = named(site);
    breakAfter(site, 150_000);
    expect((await site.get(`/fw/sha256/${pushed.hex}`)).status).toBe(503);
    site.origin.misbehave();
    site.name([site.origin.push('fw/again', bytes)], [], 'again');
    expect((await site.get(`/fw/sha256/${pushed.hex}`)).body.equals(bytes)).toBe(true);
    const from = Number(/^bytes=(\d+)-$/.exec(site.origin.seen.findLast(({ kind }) => kind === 'blob')?.range ?? '')?.[1]);
    expect(from).toBeGreaterThan(0);
    expect(from).toBeLessThanOrEqual(150_000);
  });

  it.each<[string, Misbehaviour]>([
    ['without Range', forBlobs((_seen, response, blob) => answered(response.writeHead(200, { 'content-length': SIZE }).end(blob)))],
    [
      'by another range',
      forBlobs(
        ({ range }, response) =>
          range !== undefined && answered(response.writeHead(206, { 'content-range': `bytes 0-9/${SIZE}` }).end('0123456789')),
      ),
    ],
    ['by 416', forBlobs(({ range }, response) => range !== undefined && answered(response.writeHead(416).end()))],
  ])('is right also where the registry answers %s', async (_name, how) => {
    site = await makeSite();
    const pushed = named(site);
    breakAfter(site, 150_000);
    await site.get(`/fw/sha256/${pushed.hex}`);
    site.origin.misbehave(how);
    site.name([site.origin.push('fw/again', bytes)], [], 'again');
    expect((await site.get(`/fw/sha256/${pushed.hex}`)).body.equals(bytes)).toBe(true);
  });

  it('is right also where the file was changed in between', async () => {
    site = await makeSite();
    const pushed = named(site);
    const other = randomBytes(SIZE);
    site.origin.misbehave(
      forBlobs((_seen, response) => answered(response.writeHead(200).write(other.subarray(0, 150_000), () => response.destroy()))),
    );
    await site.get(`/fw/sha256/${pushed.hex}`);
    site.origin.misbehave();
    site.name([site.origin.push('fw/again', bytes)], [], 'again');
    expect((await site.get(`/fw/sha256/${pushed.hex}`)).body.equals(bytes)).toBe(true);
  });
});

it('what twenty devices ask for at once is fetched once', async () => {
  site = await makeSite();
  const pushed = named(site);
  const clients = await Promise.all(Array.from({ length: 20 }, (_, at) => site.device(`cam-${at}`)));
  const answers = await Promise.all(clients.map((client) => site.get(`/fw/sha256/${pushed.hex}`, { client })));
  expect(answers.every(({ body }) => body.equals(bytes))).toBe(true);
  expect(site.origin.seen.filter(({ kind }) => kind === 'blob')).toHaveLength(1);
});

describe('credentials', () => {
  it('go to the token server only, and never to where a redirect leads', async () => {
    const home = await mkdtemp(join(tmpdir(), 'hedgerow-auth-'));
    const authFile = join(home, 'config.json');
    site = await makeSite({ user: 'edge', password: 's3cret', authFile });
    await writeFile(
      authFile,
      JSON.stringify({ auths: { [site.origin.registry]: { auth: Buffer.from('edge:s3cret').toString('base64') } } }),
    );
    const pushed = named(site);
    // The same server under another name is another host.
    const elsewhere = site.origin.registry.replace('localhost', '127.0.0.1');
    const direct = (url: string): boolean => !url.includes('elsewhere');
    site.origin.misbehave((seen, response, blob) => {
      if (seen.kind === 'blob' && direct(seen.url) && seen.authorization?.startsWith('Bearer ') === true)
        return answered(response.writeHead(307, { location: `https://${elsewhere}/elsewhere` }).end());
      return seen.url === '/elsewhere' && answered(response.writeHead(200).end(blob ?? bytes));
    });
    expect((await site.get(`/fw/sha256/${pushed.hex}`)).body.equals(bytes)).toBe(true);
    const { seen } = site.origin;
    expect(seen.filter(({ authorization }) => authorization?.startsWith('Basic ') === true).map(({ kind }) => kind)).toEqual(['token']);
    expect(seen.find(({ url }) => url === '/elsewhere')?.authorization).toBeUndefined();
    await rm(home, { recursive: true });
  });

  it('that are wrong are said to be so, without them', async () => {
    const home = await mkdtemp(join(tmpdir(), 'hedgerow-auth-'));
    const authFile = join(home, 'config.json');
    site = await makeSite({ user: 'edge', password: 's3cret', authFile });
    await writeFile(authFile, JSON.stringify({ auths: { [site.origin.registry]: { username: 'edge', password: 'wr0ng' } } }));
    const answer = await site.get(`/fw/sha256/${named(site).hex}`);
    expect(answer.body.toString()).toContain('HR-FW-411');
    expect(answer.body.toString()).not.toMatch(/wr0ng|s3cret/);
    await rm(home, { recursive: true });
  });
});

describe('the disk', () => {
  it('holds at most its bound: what was not used for the longest time goes', async () => {
    site = await makeSite({ cacheBytes: 2.5 * SIZE });
    const files = ['a', 'b', 'c'].map((name) => Buffer.concat([bytes.subarray(1), Buffer.from(name)]));
    const pushed = files.map((file) => site.origin.push('fw/cam', file));
    site.name(pushed);
    for (const { hex } of pushed.slice(0, 2)) await site.get(`/fw/sha256/${hex}`);
    await site.get(`/fw/sha256/${pushed[0]?.hex}`);
    await site.get(`/fw/sha256/${pushed[2]?.hex}`);
    expect((await readdir(join(site.home, 'cache', 'sha256'))).sort()).toEqual([pushed[0]?.hex, pushed[2]?.hex].sort());
    expect(await onDisk(site)).toBeLessThanOrEqual(2.5 * SIZE);
  });

  it('takes nothing that is larger than all of it', async () => {
    site = await makeSite({ cacheBytes: 1_048_576 });
    const pushed = site.origin.push('fw/huge', randomBytes(1_048_577));
    site.name([pushed]);
    expect((await site.get(`/fw/sha256/${pushed.hex}`)).body.toString()).toContain('HR-FW-420');
    expect(site.origin.seen).toEqual([]);
  });

  it('is used again by the next process, but not what somebody has changed meanwhile', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hedgerow-cache-'));
    site = await makeSite({ directory });
    const [right, wrong] = [bytes, randomBytes(SIZE)].map((file) => site.origin.push('fw/cam', file)) as [Pushed, Pushed];
    site.name([right, wrong]);
    for (const { hex } of [right, wrong]) await site.get(`/fw/sha256/${hex}`);
    await site.close();
    await writeFile(join(directory, 'sha256', wrong.hex), bytes);
    site = await makeSite({ directory });
    site.name([right, wrong]);
    expect((await site.get(`/fw/sha256/${right.hex}`)).body.equals(bytes)).toBe(true);
    expect((await site.get(`/fw/sha256/${wrong.hex}`)).status).toBe(503);
    expect(await readdir(join(directory, 'sha256'))).toEqual([right.hex]);
    await rm(directory, { recursive: true });
  });

  it('may be filled by hand, for a site that reaches no registry', async () => {
    site = await makeSite();
    const pushed = named(site);
    site.origin.misbehave((_seen, response) => answered(response.writeHead(500).end()));
    await writeFile(join(site.home, 'cache', 'sha256', pushed.hex), bytes);
    expect((await site.get(`/fw/sha256/${pushed.hex}`)).body.equals(bytes)).toBe(true);
    expect(site.origin.seen).toEqual([]);
  });
});

describe('before anybody asks', () => {
  it('what a catalog names is fetched', async () => {
    site = await makeSite({ prefetch: true });
    const pushed = named(site);
    await waitFor('the file', () => site.cache.has(pushed.hex) || undefined);
  });

  it('pushes out nothing that another release needs', async () => {
    site = await makeSite({ prefetch: true, cacheBytes: 1_048_576 });
    const [first, second] = [randomBytes(700_000), randomBytes(700_000)].map((file) => site.origin.push('fw/cam', file)) as [
      Pushed,
      Pushed,
    ];
    site.name([first]);
    await waitFor('the first file', () => site.cache.has(first.hex) || undefined);
    site.name([second], [], 'two');
    await waitFor('a refusal', () => site.results.includes('HR-FW-420') || undefined);
    expect(site.cache.has(first.hex)).toBe(true);
    // A device that asks for it is another matter.
    expect((await site.get(`/fw/sha256/${second.hex}`)).status).toBe(200);
  });
});

function named(to: Site): Pushed {
  const pushed = to.origin.push('fw/cam', bytes);
  to.name([pushed]);
  return pushed;
}

/** Not in a catalog of the registry: a file of its server. */
function asFile(to: Site): Named & { url: string } {
  const pushed = to.origin.push('fw/cam', bytes);
  const file = { ...pushed, url: `https://${to.origin.registry}/v2/fw/cam/blobs/${pushed.digest}` };
  to.name([file]);
  return file;
}

function breakAfter(to: Site, count: number): void {
  to.origin.misbehave(
    forBlobs((_seen, response, blob) =>
      answered(
        response
          .writeHead(200, { 'content-length': SIZE })
          .write(blob?.subarray(0, count), () => setTimeout(() => response.destroy(), 100)),
      ),
    ),
  );
}

/** All bytes in the directory of the cache. */
async function onDisk(of: Site): Promise<number> {
  let total = 0;
  for (const place of ['sha256', 'partial'])
    for (const name of await readdir(join(of.home, 'cache', place))) total += (await stat(join(of.home, 'cache', place, name))).size;
  return total;
}

function endless(response: { write(bytes: Buffer): boolean; destroyed: boolean; once(event: 'drain', then: () => void): unknown }): void {
  const piece = randomBytes(65_536);
  const more = (): void => {
    while (!response.destroyed && response.write(piece));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

const answered = (_done: unknown): boolean => true;
