import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../api/device.ts';
import { DEVICES, SECRETS } from '../api/resources.ts';
import { readTokenRecord } from '../est/est.ts';
import { FakeApi } from '../identity/testing/fake-api.ts';
import type { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import { FakeClock, systemClock } from '../runtime/clock.ts';
import { condition } from './testing/fake-api.ts';
import { listen, typed } from './testing/heard.ts';
import { giveTokens, type TokenWish, token } from './token.ts';
import { tokenRefusal } from './token-device.ts';
import { namesOf } from './token-names.ts';
import { storeTokens } from './token-store.ts';

const dir = mkdtempSync(join(tmpdir(), 'tokens-'));
afterAll(() => rmSync(dir, { recursive: true }));

const BY_TOKEN = { enrollment: 'EST', est: { bootstrap: 'Token' } };
const WISH: TokenWish = { names: ['cam-1'], selector: undefined, ttlMs: 3_600_000, out: undefined, form: 'csv', estUrl: undefined };

async function cluster(...names: string[]) {
  const api = new FakeApi();
  for (const name of names)
    await api.create(DEVICES, { metadata: { name, namespace: 'berlin' }, spec: { segment: 'office', identity: BY_TOKEN } } as never);
  const clock = new FakeClock();
  const client = {
    get: (type, ref) => api.get(type, ref),
    list: (type, options) => api.list(type, options),
    create: (type, object) => api.create(type, object),
    mergePatch: (type, ref, patch, options) => api.mergePatch(type, ref, patch, options),
  } as KubeClient;
  const entries = (): Record<string, string> => {
    const data = (api.objects.get('secrets/berlin/hedgerow-est-tokens') as { data?: Record<string, string> } | undefined)?.data ?? {};
    return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'base64').toString()]));
  };
  let made = 0;
  const give = async (wish: Partial<TokenWish> = {}, over: Partial<KubeClient> = {}) => {
    const { heard, output } = listen();
    const deps = { client: { ...client, ...over }, clock, output, random: (bytes: number) => Buffer.alloc(bytes, ++made) };
    return { code: await giveTokens(deps, 'berlin', { ...WISH, ...wish }), ...heard };
  };
  return { api, client, clock, entries, give };
}

const device = (spec: object, conditions: Device['status'] = {}): Device =>
  ({ metadata: { name: 'cam', namespace: 'berlin' }, spec: { segment: 'office', ...spec }, status: conditions }) as unknown as Device;

describe('who gets a token', () => {
  it.each<[what: string, device: Device | undefined, code: string | undefined]>([
    ['a Device that is to enrol by a token', device({ identity: BY_TOKEN }), undefined],
    ['one that does not say by what, which is a token', device({ identity: { enrollment: 'EST' } }), undefined],
    ['one that is in quarantine: it may enrol', device({ identity: BY_TOKEN, lifecycle: 'Quarantined' }), undefined],
    ['none that is not there', undefined, 'HR-CLI-005'],
    ['none that has a CSR', device({ identity: { enrollment: 'CSR' } }), 'HR-CLI-040'],
    ['none without an identity', device({}), 'HR-CLI-040'],
    ['none with a factory certificate', device({ identity: { enrollment: 'EST', est: { bootstrap: 'Manufacturer' } } }), 'HR-CLI-040'],
    ['none that Git revoked', device({ identity: BY_TOKEN, lifecycle: 'Revoked' }), 'HR-CLI-041'],
    [
      'none that an Intervention revoked',
      device({ identity: BY_TOKEN }, { conditions: [condition('Revoked', 'True', 'Revoked')] }),
      'HR-CLI-041',
    ],
    [
      'none that is being revoked',
      device({ identity: BY_TOKEN }, { conditions: [condition('Revoked', 'Unknown', 'Revoking')] }),
      'HR-CLI-041',
    ],
  ])('%s', (_what, of, code) => {
    expect(tokenRefusal(of, 'berlin/cam')?.slice(0, 10)).toBe(code);
  });
});

describe('kubectl hedgerow token', () => {
  it('shows the token once, and the cluster has its hash and its end', async () => {
    const { give, entries, api, clock } = await cluster('cam-1');
    const { code, out } = await give();
    const [, name, secret, expires] = /^name,token,expires\n(\S+),(\S+),(\S+)\n$/.exec(out) ?? [];
    expect([code, name, Buffer.from(secret ?? '', 'base64url').length]).toEqual([0, 'cam-1', 32]);
    expect(Date.parse(expires ?? '')).toBe(Math.floor((clock.now() + 3_600_000) / 1000) * 1000);
    expect(readTokenRecord(entries()['cam-1'] ?? '')).toMatchObject({ expires: Date.parse(expires ?? ''), usedFor: undefined });
    expect(JSON.stringify([...api.objects.values()])).not.toContain(secret);
    expect(api.objects.get('secrets/berlin/hedgerow-est-tokens')).toMatchObject({
      type: 'Opaque',
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'hedgerow' } },
    });
  });

  it('prints a table by default and JSON for scripts', async () => {
    const { give } = await cluster('cam-1', 'cam-2');
    expect((await give({ form: 'table', names: ['cam-1', 'cam-2'] })).out).toMatch(/^NAME +TOKEN +EXPIRES\ncam-1 +\S{43} +\S+Z\ncam-2 +/);
    expect(JSON.parse((await give({ form: 'json' })).out)).toMatchObject([{ name: 'cam-1' }]);
  });

  it('gives the good ones theirs, says which it refuses, and ends with 1', async () => {
    const { give, entries } = await cluster('cam-1', 'cam-2');
    const { code, out, err } = await give({ names: ['cam-1', 'nobody', 'cam-2', 'cam-1'] });
    expect([code, out.split('\n').length]).toEqual([1, 4]);
    expect(err).toMatch(/^HR-CLI-005: berlin\/nobody\. Cure: .*\n$/);
    expect(Object.keys(entries())).toEqual(['cam-1', 'cam-2']);
  });

  it('of labels that nothing has gives none', async () => {
    const { give } = await cluster();
    expect(await give({ names: [], selector: 'floor=9' })).toEqual({ code: 1, out: '', err: 'no devices in berlin have these labels\n' });
  });

  it('leaves the tokens of others alone, a new one takes the place of the old, and what expired long ago goes', async () => {
    const { give, entries, clock } = await cluster('cam-1', 'cam-2', 'cam-3');
    await give({ names: ['cam-1'], ttlMs: 60_000 });
    await give({ names: ['cam-2'], ttlMs: 400 * 3_600_000 });
    await clock.advance(30 * 3_600_000);
    const before = entries()['cam-2'];
    await give({ names: ['cam-3'] });
    expect([Object.keys(entries()), entries()['cam-2']]).toEqual([['cam-2', 'cam-3'], before]);
    await give({ names: ['cam-2'] });
    expect(entries()['cam-2']).not.toBe(before);
  });

  it('without the right to read the Secret adds its own entry all the same', async () => {
    const { give, entries, client } = await cluster('cam-1', 'cam-2');
    await give({ names: ['cam-2'] });
    const get: KubeClient['get'] = (type, ref) => {
      if (type.plural === SECRETS.plural) return Promise.reject(new KubeError({ status: 403, reason: 'Forbidden', message: 'no' }));
      return client.get(type, ref);
    };
    expect((await give({}, { get })).code).toBe(0);
    expect(Object.keys(entries()).sort()).toEqual(['cam-1', 'cam-2']);
  });

  it('shows nothing that is not stored', async () => {
    const { give } = await cluster('cam-1');
    const create = (): Promise<never> => Promise.reject(new KubeError({ status: 403, reason: 'Forbidden', message: 'you may not' }));
    await expect(give({}, { create })).rejects.toThrow('you may not');
    const out = join(dir, 'never');
    await expect(give({ out }, { create })).rejects.toThrow('you may not');
    expect(() => statSync(out)).toThrow('ENOENT');
  });

  it('writes a file that only its owner may read, and overwrites none', async () => {
    const { give, entries } = await cluster('cam-1');
    const out = join(dir, 'tokens.csv');
    const { out: shown, err } = await give({ out });
    expect([shown, err, statSync(out).mode & 0o777]).toEqual(['', `1 token written to ${out}\n`, 0o600]);
    expect(readFileSync(out, 'utf8')).toMatch(/^name,token,expires\ncam-1,\S{43},/);
    const before = entries();
    await expect(give({ out })).rejects.toThrow('HR-CLI-043');
    expect(entries()).toEqual(before);
  });

  it.each<[what: string, args: string[], complaint: string]>([
    ['no device', [], 'which devices?'],
    ['names and labels', ['cam', '-l', 'a=b'], 'which devices?'],
    ['no time at all', ['cam', '--ttl', 'soon'], '--ttl soon is no duration'],
    ['for ever', ['cam', '--ttl', '99999h'], 'at most 2160h'],
    ['an unknown form', ['cam', '-o', 'yaml'], 'table, csv or json'],
    ['HTTP', ['cam', '--explain', '--est-url', 'http://est'], 'no https URL'],
  ])('is wrong use: %s', async (_what, args, complaint) => {
    const { code, err } = await typed(token, 'token', ...args);
    expect([code, err.includes(complaint)]).toEqual([2, true]);
  });

  it('every flag is in its help', () => {
    for (const flag of Object.keys(token.flags).filter((name) => name !== 'help')) expect(token.help).toContain(`--${flag}`);
  });
});

describe('the Secret of the tokens', () => {
  it('gets the entries of everybody who writes at the same moment', async () => {
    const { client, entries } = await cluster();
    const writers = Array.from({ length: 20 }, (_, n) =>
      storeTokens({ client, clock: systemClock }, 'berlin', new Map([[`cam-${n}`, `r${n}`]])),
    );
    await Promise.all(writers);
    expect(Object.values(entries())).toHaveLength(20);
  });

  it('that is full is said, without its content', async () => {
    const { give } = await cluster('cam-1');
    const mergePatch = (): Promise<never> =>
      Promise.reject(new KubeError({ status: 422, reason: 'Invalid', message: 'Too long: "sha256:ab"' }));
    await expect(give({}, { mergePatch })).rejects.toThrow(
      /^HR-CLI-042: the API server refuses the Secret hedgerow-est-tokens \(Invalid\)\. /,
    );
  });
});

describe('a file of names', () => {
  it('has one a line; empty lines and remarks say nothing', () => {
    expect(namesOf('\uFEFFcam-1\r\n\r\n# the second floor\n  cam-2 \n', 'f')).toEqual(['cam-1', 'cam-2']);
  });

  it('with anything else is refused with its line, and a terminal survives it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          for (const name of namesOf(`cam\n${text}`, 'f')) expect(name).toMatch(/^[a-z0-9-]+$/);
        } catch (error) {
          expect((error as Error).message).toMatch(/^f, line \d+: "[^\p{Cc}\p{Cf}]*" is no name of a Device$/u);
        }
      }),
    );
    expect(() => namesOf('# nobody\n', 'f')).toThrow('names no Device');
  });

  it('that cannot be read is named', async () => {
    const { code, err } = await typed(token, 'token', '--file', join(dir, 'nothing'));
    expect([code, err.includes('HR-CLI-004')]).toEqual([1, true]);
    writeFileSync(join(dir, 'names'), 'Cam\n');
    expect((await typed(token, 'token', '--file', join(dir, 'names'))).err).toContain('names, line 1: "Cam" is no name');
  });
});
