import { X509Certificate } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { CERTIFICATE_REQUESTS } from '../api/resources.ts';
import { FakeClock } from '../runtime/clock.ts';
import { verifyCsr } from './csr.ts';
import { newCsr, newKey } from './new-csr.ts';
import { type OwnCertificate, obtainOwn } from './own-certificate.ts';
import type { CertificateRequest } from './request-facts.ts';
import { issue } from './testing/authority.ts';
import { FakeApi } from './testing/fake-api.ts';

const NAME = '-probe.-hedgerow';
const subject = { organization: 'hedgerow', organizationalUnit: NAME, commonName: NAME } as const;
const wish = {
  subject,
  issuer: { kind: 'Issuer', name: 'ca', namespace: 'berlin' },
  name: 'hedgerow-probe',
  durationMs: 86_400_000,
} as const;
const REF = { name: wish.name, namespace: 'berlin' };

let api: FakeApi;
let clock: FakeClock;
/** What the issuer does with an approved request. */
let sign: (request: CertificateRequest) => Promise<object | undefined>;

beforeEach(() => {
  api = new FakeApi();
  clock = new FakeClock();
  sign = async ({ spec }) => {
    const csr = Buffer.from(spec.request, 'base64').toString('latin1');
    return ready(await issue(csr, { notBefore: clock.now() - 1000, notAfter: clock.now() + 86_400_000 }));
  };
});
const ready = (pem: string): object => ({
  certificate: Buffer.from(pem).toString('base64'),
  conditions: [{ type: 'Ready', status: 'True', reason: 'Issued', message: '' }],
});

/** Plays cert-manager until the call has ended. */
async function obtain(): Promise<OwnCertificate> {
  let over = false;
  const made = obtainOwn(wish, { client: api, clock }, new AbortController().signal).finally(() => {
    over = true;
  });
  made.catch(() => undefined);
  while (!over) {
    const request = await api.get<CertificateRequest>(CERTIFICATE_REQUESTS, REF);
    if (request?.status?.conditions?.some(({ type, status }) => type === 'Approved' && status === 'True')) {
      const status = await sign(request);
      if (status !== undefined && !over)
        await api.mergePatch(CERTIFICATE_REQUESTS, REF, { status }, { subresource: 'status' }).catch(() => undefined);
    }
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(250);
  }
  return made;
}
const left = (): Promise<unknown> => api.get(CERTIFICATE_REQUESTS, REF);

describe('a request of the process itself', () => {
  it('is one that devices could have made: the same reader takes it', () => {
    const names = { organization: 'hedgerow', organizationalUnit: 'office.berlin', commonName: 'thermo-17.berlin' } as const;
    expect(verifyCsr(newCsr(names, newKey()), names)).toMatchObject({ ok: true });
  });
});

describe('a certificate of the operator itself', () => {
  it('is asked for, approved, read, and leaves nothing behind; the key belongs to it and was never written', async () => {
    const own = await obtain();
    const certificate = new X509Certificate(own.certificate);
    expect(certificate.subject).toBe(`O=hedgerow\nOU=${NAME}\nCN=${NAME}`);
    expect(certificate.checkPrivateKey(own.key)).toBe(true);
    expect(own.notAfterMs).toBe(Date.parse(certificate.validTo));
    expect(own.md5).toMatch(/^[0-9a-f]{32}$/);
    expect(await left()).toBeUndefined();
    expect(api.writes.map(({ verb, subresource }) => [verb, subresource].join(' ').trim())).toEqual([
      'create',
      'patch status',
      'patch status',
      'delete',
    ]);
    expect(JSON.stringify([...api.objects.values()])).not.toContain('PRIVATE');
  });

  it('removes what an operator before this one left, and nothing of anybody else', async () => {
    sign = async () => undefined;
    await expect(obtain()).rejects.toThrow('no certificate from Issuer berlin/ca within 60 s');
    await api.create(CERTIFICATE_REQUESTS, { metadata: { ...REF, labels: { 'hedgerow.dev/own-certificate': 'true' } }, spec: {} } as never);
    sign = async ({ spec }) =>
      ready(
        await issue(Buffer.from(spec.request, 'base64').toString('latin1'), { notBefore: clock.now(), notAfter: clock.now() + 86_400_000 }),
      );
    await obtain();
    expect(await left()).toBeUndefined();
    await api.create(CERTIFICATE_REQUESTS, { metadata: { ...REF }, spec: {} } as never);
    await expect(obtain()).rejects.toThrow("berlin/hedgerow-probe is somebody else's");
    expect(await left()).toBeDefined();
  });

  it.each<[string, (request: CertificateRequest) => Promise<object | undefined>, string]>([
    [
      'the issuer denies',
      async () => ({ conditions: [{ type: 'Denied', status: 'True', reason: 'x', message: 'policy' }] }),
      'the issuer refuses: policy',
    ],
    [
      'the issuer fails',
      async () => ({ conditions: [{ type: 'Ready', status: 'False', reason: 'Failed', message: 'no CA' }] }),
      'the issuer refuses: no CA',
    ],
    [
      'the issuer signs another subject',
      async ({ spec }) =>
        ready(
          await issue(Buffer.from(spec.request, 'base64').toString('latin1'), {
            ...{ notBefore: clock.now(), notAfter: clock.now() + 86_400_000 },
            subject: [
              ['O', 'hedgerow'],
              ['OU', 'office.berlin'],
              ['CN', 'thermo-17.berlin'],
            ],
          }),
        ),
      'another subject',
    ],
  ])('is none when %s; the request goes all the same', async (_what, how, message) => {
    sign = how;
    await expect(obtain()).rejects.toThrow(message);
    expect(await left()).toBeUndefined();
  });
});
