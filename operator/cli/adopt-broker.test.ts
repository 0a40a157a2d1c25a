import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import { adoptBroker, certificatesIn, connectionLosses, keptNumbers } from './adopt-broker.ts';
import { kubeconfigFile } from './cluster.ts';
import { typed } from './testing/heard.ts';

const run = (...argv: string[]) => typed(adoptBroker, ...argv);

describe('kubectl hedgerow adopt broker', () => {
  it.each<[what: string, argv: string[], complaint: string]>([
    ['no broker', [], '--broker-url is required'],
    ['no key', ['--broker-url', 'https://b:1'], '--broker-api-key-file is required'],
    ['something else than a URL', ['--broker-url', 'emqx:18083', '--broker-api-key-file', 'k'], 'is no http or https URL'],
    ['a password on the command line', ['--broker-url', 'https://a:b@c', '--broker-api-key-file', 'k'], 'must not hold credentials'],
    [
      'numbers that are none',
      ['--broker-url', 'https://b', '--broker-api-key-file', 'k', '--keep', '1,x'],
      '--keep 1,x is neither all nor numbers',
    ],
  ])('is wrong use and shows the usage: %s', async (_what, flags, complaint) => {
    const { code, out, err } = await run('adopt', 'broker', ...flags);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(complaint);
    expect(err).toContain('usage: kubectl hedgerow adopt broker');
    expect(err).not.toContain('a:b@');
  });

  it('says which file cannot be read, with code and cure', async () => {
    const { code, err } = await run('adopt', 'broker', '--broker-url', 'https://b', '--broker-api-key-file', '/no/such/file');
    expect(code).toBe(1);
    expect(err).toMatch(/^kubectl hedgerow: HR-CLI-004: \/no\/such\/file \(ENOENT\)\. Cure: /);
  });

  it('every flag is in its help', () => {
    for (const flag of Object.keys(adoptBroker.flags).filter((name) => name !== 'help')) expect(adoptBroker.help).toContain(`--${flag}`);
  });
});

describe('which rules to keep', () => {
  it.each([
    ['all', 'all'],
    ['1', [1]],
    ['3, 1,3', [3, 1]],
  ])('%s', (value, numbers) => expect(keptNumbers(value)).toEqual(numbers));

  it.each(['', '0', '-1', '1.5', 'ALL', '1,,2', '1e3', '9999999'])('"%s" is none', (value) =>
    expect(() => keptNumbers(value)).toThrow('neither all nor numbers'),
  );
});

describe('certificates in the ledger', () => {
  const page = (entries: Record<string, string>): CertificateLedger => ({ apiVersion: '', kind: '', metadata: {}, spec: { entries } });

  it('are those that are not revoked', () => {
    const entries = {
      a: '{"md5":"1","device":"x.y"}',
      b: '{"md5":"2","device":"z.y","revoked":{"at":"t"}}',
      c: '{"pending":true,"device":"p.y"}',
    };
    expect(certificatesIn([page(entries), page({})])).toEqual(new Map([['1', 'x.y']]));
  });

  it('a page that does not read stops nobody', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.json())),
        (entries) => certificatesIn([page(entries)]) instanceof Map,
      ),
    );
  });
});

describe('who loses its connection', () => {
  const fleet = { segments: [], devices: new Set(['thermo.berlin', 'air.berlin']), certificates: new Map([['m1', 'thermo.berlin']]) };
  it.each<[what: string, connected: { client: string; md5: string; ours: boolean }, overrideIsMissing: boolean, why: string | undefined]>([
    ['not a device with a certificate in the ledger', { client: 'thermo.berlin', md5: 'm1', ours: true }, true, undefined],
    ['nor before EMQX takes segments from certificates', { client: 'thermo.berlin', md5: 'm1', ours: false }, true, undefined],
    ['a device with a certificate that nobody recorded', { client: 'air.berlin', md5: 'm2', ours: true }, false, 'not in the ledger'],
    ["a device with another device's certificate", { client: 'air.berlin', md5: 'm1', ours: false }, false, 'not in the ledger'],
    ['a certificate of our form without a Device', { client: 'ghost.berlin', md5: 'm3', ours: true }, false, 'no Device of this name'],
    [
      'anybody else, once the client id is forced',
      { client: 'legacy-1', md5: 'm4', ours: false },
      true,
      'as soon as HR-BRK-015 below is cured',
    ],
    ['nobody else where it is forced already', { client: 'legacy-1', md5: 'm4', ours: false }, false, undefined],
  ])('%s', (_what, connected, overrideIsMissing, why) => {
    const losses = connectionLosses([connected], fleet, overrideIsMissing);
    expect(losses).toEqual(why === undefined ? [] : [{ client: connected.client, why: expect.stringContaining(why) }]);
  });
});

describe('the kubeconfig', () => {
  const env = (values: Record<string, string>) => (name: string) => values[name];
  it.each<[what: string, flag: string | undefined, values: Record<string, string>, file: string]>([
    ['is that of the flag', '/f', { KUBECONFIG: '/k', HOME: '/h' }, '/f'],
    ['else that of KUBECONFIG', undefined, { KUBECONFIG: '/k', HOME: '/h' }, '/k'],
    ['also where KUBECONFIG has an empty part', undefined, { KUBECONFIG: ':/k', HOME: '/h' }, '/k'],
    ['else that of the home folder', undefined, { HOME: '/h' }, '/h/.kube/config'],
  ])('%s', (_what, flag, values, file) => expect(kubeconfigFile(flag, env(values))).toBe(file));

  it('of several files none is chosen silently', () => {
    expect(() => kubeconfigFile(undefined, env({ KUBECONFIG: '/a:/b' }))).toThrow(
      'HR-CLI-002: KUBECONFIG names 2 files. Cure: pass --kubeconfig',
    );
  });

  it('without any place to look it says so', () => {
    expect(() => kubeconfigFile(undefined, env({}))).toThrow('HR-CLI-002');
  });
});
