// What strangers send is read or refused, whatever it is: paths and ranges of devices, catalogs, answers of registries.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Piece, pieceOf, readPath } from './answer.ts';
import { readCatalog } from './catalog.ts';
import { deviceOf, readLists } from './client-certificate.ts';
import { readChallenge, readDockerConfig, readToken, tokenUrl } from './credentials.ts';
import { Refused } from './errors.ts';
import { parseArtifactsOptions } from './options.ts';
import { blobUrl, manifestUrl, readFileUrl, readReference } from './reference.ts';
import { fits } from './registry.ts';
import { catalogFiles } from './testing/site.ts';

const HEX = 'ab'.repeat(32);
const PUSHED = { oci: `registry.example.com:5000/fw/cam@sha256:${HEX}`, digest: `sha256:${HEX}`, hex: HEX, size: 10 };
/** The value, or the code of the refusal; another error fails the test. */
function ended<T>(act: () => T): T | string {
  try {
    return act();
  } catch (error) {
    if (error instanceof Refused) return error.problem.code;
    throw error;
  }
}

describe('a path', () => {
  it('is one of three or none', () => {
    expect(readPath(`/fw/sha256/${HEX}`)).toEqual({ kind: 'artifact', hex: HEX });
    expect(readPath(`/fw/releases/${HEX}`)).toEqual({ kind: 'release', hex: HEX });
    expect(readPath(`/fw/roots/${HEX}/12.root.json`)).toEqual({ kind: 'root', hex: HEX, version: 12 });
    for (const bad of [
      '',
      '/',
      `/fw/sha256/${HEX}/`,
      `/fw/sha256/${HEX}?x`,
      `/fw/sha256/${HEX}\n`,
      `/fw/roots/${HEX}/0.root.json`,
      `/fw/roots/${HEX}/01.root.json`,
      `//fw/sha256/${HEX}`,
    ])
      expect(readPath(bad), bad).toBeUndefined();
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (url) => void expect(readPath(url)).toBeUndefined()));
  });
});

describe('a range', () => {
  it('gives bytes that the file has, as many as were asked for, or says that there are none', () => {
    const whole = (size: number): Piece => ({ status: 200, span: { from: 0, to: size - 1 } });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.option(fc.nat(2000)), fc.option(fc.nat(2000)), (size, first, last) => {
        const piece = pieceOf({ method: 'GET', headers: { range: `bytes=${first ?? ''}-${last ?? ''}` } }, '"x"', size);
        if (first === null && last === null) return void expect(piece).toEqual(whole(size));
        if (first !== null && last !== null && last < first) return void expect(piece).toEqual(whole(size));
        const from = first ?? Math.max(0, size - (last ?? 0));
        const to = first === null ? size - 1 : Math.min(last ?? size - 1, size - 1);
        if (from >= size) return void expect(piece).toEqual({ status: 416 });
        expect(piece).toEqual({ status: 206, span: { from, to } });
      }),
    );
  });

  it('of any text is answered within the file', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^bytes=[0-9,-]{0,40}$/));
    fc.assert(
      fc.property(text, fc.option(fc.string(), { nil: undefined }), fc.integer({ min: 1, max: 100 }), (range, condition, size) => {
        const headers = { range, ...(condition === undefined ? {} : { 'if-range': condition }) };
        const piece = pieceOf({ method: 'GET', headers }, '"x"', size);
        if (!('span' in piece)) return void expect(piece.status).toBe(416);
        const { from, to } = piece.span;
        expect(from >= 0 && from <= to && to < size).toBe(true);
      }),
    );
  });
});

describe('a reference', () => {
  it('by digest has registry, repository and digest, and makes no path but its own', () => {
    expect(readReference(PUSHED.oci)).toEqual({ registry: 'registry.example.com:5000', repository: 'fw/cam', hex: HEX });
    for (const bad of [
      `r/fw:2.4.0`,
      `r/../x@sha256:${HEX}`,
      `r//x@sha256:${HEX}`,
      `r/X@sha256:${HEX}`,
      `u:p@r/x@sha256:${HEX}`,
      `r/x?y@sha256:${HEX}`,
      `r/x@sha256:${HEX.slice(1)}`,
      `/x@sha256:${HEX}`,
    ])
      expect(readReference(bad), bad).toBeUndefined();
    const part = fc.stringMatching(/^[a-zA-Z0-9._:/@?#%-]{1,30}$/);
    fc.assert(
      fc.property(part, part, (registry, repository) => {
        const read = readReference(`${registry}/${repository}@sha256:${HEX}`);
        if (read === undefined) return;
        for (const url of [new URL(manifestUrl(read)), new URL(blobUrl(read, HEX))]) {
          expect(url.protocol).toBe('https:');
          expect(url.pathname.startsWith(`/v2/${read.repository}/`)).toBe(true);
          expect(url.username + url.search + url.hash).toBe('');
        }
      }),
    );
  });
});

describe('the URL of a file', () => {
  it('is https to a host and a path, and says nothing else', () => {
    const url = 'https://files.example.com:8443/fw/cam-2.4.0.bin';
    expect(readFileUrl(url)).toEqual({ registry: 'files.example.com:8443', url });
    for (const bad of [
      'http://files.example.com/fw',
      'https://u:p@files.example.com/fw',
      'https://files.example.com/fw?token=1',
      'https://files.example.com/fw#1',
      'https://files.example.com',
      'https://files.example.com:99999/fw',
      'https:///fw',
      'https://0x7f.1/fw',
      'https://0/fw',
      'https://files.example.com:0443/fw',
      'https://files.example.com/a b',
      'file:///etc/passwd',
      `https://files.example.com/${'a'.repeat(600)}`,
    ])
      expect(readFileUrl(bad), bad).toBeUndefined();
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9._:/@?#%\\-]{1,40}$/), (rest) => {
        const read = readFileUrl(`https://${rest}`);
        if (read === undefined) return;
        const { protocol, username, password, search, hash, host } = new URL(read.url);
        expect({ protocol, rest: username + password + search + hash }).toEqual({ protocol: 'https:', rest: '' });
        expect(read.registry.replace(/:443$/, '')).toBe(host);
      }),
    );
  });
});

describe('a catalog', () => {
  it('of the operator is read, and each change of a part that counts is refused', () => {
    const files = catalogFiles([PUSHED], [Buffer.from('{"root":1}')]);
    expect(readCatalog(files)).toMatchObject({
      artifacts: [{ hex: HEX, size: 10 }],
      roots: { hex: createHash('sha256').update('{"root":1}').digest('hex') },
    });
    const release = JSON.parse(files.get('release.json')?.toString() ?? '') as { artifacts: object[] };
    const wrong: [string, Buffer | undefined][] = [
      ['release.json', undefined],
      ['envelope.json', undefined],
      ['envelope.json', Buffer.from('{"payload":"e30="}')],
      ['envelope.json', Buffer.alloc(70_000, ' ')],
      ['1.root.json', undefined],
      ['1.root.json', Buffer.alloc(600_000)],
      ...[
        { size: 0 },
        { size: 1.5 },
        { size: 2 ** 40 },
        { oci: 'r/x:tag' },
        { oci: undefined },
        { oci: undefined, url: 'http://r/x' },
        { digest: `sha512:${HEX}` },
      ].map((change): [string, Buffer] => [
        'release.json',
        Buffer.from(JSON.stringify({ ...release, artifacts: [{ ...release.artifacts[0], ...change }] })),
      ]),
      ['release.json', Buffer.from(JSON.stringify({ ...release, artifacts: Array(17).fill(release.artifacts[0]) }))],
    ];
    for (const [name, bytes] of wrong) {
      const changed = new Map(files).set('2.root.json', Buffer.from('{"root":2}'));
      if (bytes === undefined) changed.delete(name);
      else changed.set(name, bytes);
      expect(
        ended(() => readCatalog(changed)),
        `${name} ${bytes?.toString('utf8', 0, 80)}`,
      ).toBe('HR-FW-430');
    }
  });

  it('of anything at all is read or refused', () => {
    const file = fc.oneof(
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    );
    const name = fc.oneof(fc.constantFrom('release.json', 'envelope.json', '1.root.json'), fc.string());
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, file), { maxLength: 5 }),
        (files) => void expect(ended(() => readCatalog(new Map(files)))).toBe('HR-FW-430'),
      ),
    );
  });
});

describe('what a registry says', () => {
  it('a challenge is read, and a token is asked for by https only', () => {
    const header = 'Bearer realm="https://auth.example.com/token?a=b",service="registry",scope="repository:fw/cam:pull"';
    const challenge = readChallenge(header);
    if (challenge?.scheme !== 'bearer') throw new Error('no challenge');
    expect(tokenUrl(challenge, 'x')).toBe('https://auth.example.com/token?a=b&service=registry&scope=repository%3Afw%2Fcam%3Apull');
    expect(tokenUrl({ ...challenge, scope: undefined }, 'repository:fw/cam:pull')).toContain('scope=repository%3Afw%2Fcam%3Apull');
    for (const realm of ['http://auth/', 'file:///etc/passwd', 'https://u:p@auth/', '', 'no'])
      expect(tokenUrl({ ...challenge, realm }, 'x'), realm).toBeUndefined();
    expect(readChallenge('Basic realm="x"')).toEqual({ scheme: 'basic' });
    expect(readChallenge('Negotiate')).toBeUndefined();
  });

  it('any challenge, any token and any manifest is read or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `Bearer ${text}`),
          fc.string().map((text) => `Bearer realm="${text}"`),
        ),
        fc.json(),
        (header, json) => {
          const challenge = readChallenge(header);
          if (challenge?.scheme === 'bearer') expect(tokenUrl(challenge, 'x') ?? 'https:').toMatch(/^https:/);
          expect(readToken(json)?.authorization ?? 'Bearer x').toMatch(/^Bearer [\x21-\x7e]+$/);
          const bytes = Buffer.from(json);
          const source = { registry: 'r', repository: 'x', hex: createHash('sha256').update(bytes).digest('hex') };
          expect(ended(() => fits(bytes, source, { hex: HEX, size: 10 }))).toBe('HR-FW-416');
        },
      ),
    );
  });

  it('credentials are those of the registry, from what docker writes, and never a part of an error', () => {
    const config = (auths: object): string => JSON.stringify({ auths });
    const auth = Buffer.from('edge:s3cret').toString('base64');
    expect(readDockerConfig(config({ 'r.example': { auth } }), 'r.example')).toBe(`Basic ${auth}`);
    expect(readDockerConfig(config({ 'https://r.example/v2/': { username: 'edge', password: 's3cret' } }), 'r.example')).toBe(
      `Basic ${auth}`,
    );
    expect(readDockerConfig(config({ 'https://index.docker.io/v1/': { auth } }), 'docker.io')).toBe(`Basic ${auth}`);
    expect(readDockerConfig(config({ 'r.example': { auth } }), 'other.example')).toBeUndefined();
    expect(ended(() => readDockerConfig(config({ 'r.example': { auth: 's3cret\n' } }), 'r.example'))).toBe('HR-FW-419');
    expect(() => readDockerConfig('{"s3cret', 'r')).toThrow(/^(?!.*s3cret)/);
    fc.assert(fc.property(fc.json(), fc.string(), (json, registry) => void ended(() => readDockerConfig(json, registry))));
  });
});

describe('who a client is', () => {
  it('no subject but that of a Device gives a name', () => {
    expect(deviceOf({ subject: 'O=hedgerow\nOU=app.berlin\nCN=cam-1.berlin' })).toBe('cam-1.berlin');
    const piece = fc.oneof(
      fc.constantFrom('O=hedgerow', '\n', 'OU=app.berlin', 'CN=cam-1.berlin', '+', ',', ' ', '.', '-rollout.-hedgerow', 'CN=', 'berlin'),
      fc.string({ maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        const name = deviceOf({ subject: pieces.join('') });
        if (name !== undefined)
          expect(pieces.join('')).toMatch(/^O=hedgerow\nOU=[a-z0-9][a-z0-9-]*\.[a-z0-9-]+\nCN=[a-z0-9][a-z0-9-]*\.[a-z0-9-]+$/);
      }),
    );
    expect(deviceOf({ subject: `O=hedgerow\nOU=a.b\nCN=${'c'.repeat(63)}.b` })).toBeUndefined();
  });

  it('anything that is no revocation list is refused', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        (bytes) => void expect(ended(() => readLists(Buffer.from(bytes), 'f'))).toBe('HR-FW-431'),
      ),
    );
  });
});

describe('the flags', () => {
  const NEEDED = ['--cache-dir', 'c', '--tls-cert-file', 'a', '--tls-key-file', 'b', '--device-ca-file', 'd'];
  it.each<[string, string[], object]>([
    [
      'of a site with files',
      ['--catalog-dir', 'x', ...NEEDED],
      { kind: 'options', options: { source: { kind: 'directory', directory: 'x' }, cacheBytes: 8 * 2 ** 30 } },
    ],
    [
      'of a cluster',
      ['--namespace', 'ns', '--cache-bytes', '512Mi', '--crl-file', '1', '--crl-file', '2', ...NEEDED],
      { options: { source: { kind: 'cluster', namespace: 'ns' }, cacheBytes: 2 ** 29, crlFiles: ['1', '2'] } },
    ],
    ['for help', ['--help'], { kind: 'help' }],
    ['without a cache', NEEDED.slice(2), { kind: 'wrong', message: '--cache-dir is required' }],
    [
      'with a directory and a cluster',
      ['--catalog-dir', 'x', '--kubeconfig', 'y', ...NEEDED],
      { kind: 'wrong', message: '--catalog-dir needs no API server: leave out --kubeconfig and --namespace' },
    ],
    [
      'with a size that is none',
      ['--cache-bytes', '8G', ...NEEDED],
      { kind: 'wrong', message: '--cache-bytes 8G is no size from 1Mi on, such as 8Gi' },
    ],
    [
      'with too many downloads',
      ['--downloads', '17', ...NEEDED],
      { kind: 'wrong', message: '--downloads 17 is not a whole number from 1 to 16' },
    ],
    ['that there are not', ['--color'], { kind: 'wrong' }],
  ])('%s', (_name, argv, parsed) => expect(parseArtifactsOptions(argv)).toMatchObject(parsed));
});
