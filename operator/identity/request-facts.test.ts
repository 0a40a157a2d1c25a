import { describe, expect, it } from 'vitest';
import { approvalPatch, type CertificateRequest, durationText, newRequest, requestFacts, requestName } from './request-facts.ts';
import { makeCsr } from './testing/authority.ts';
import { device, ISSUER, request } from './testing/scene.ts';

const csr = await makeCsr();
const fresh = device({ identity: { csr } });
const good = fresh.csr?.ok ? fresh.csr : undefined;
const wanted = newRequest(fresh, { pem: good?.pem ?? '', hash: good?.hash ?? '' }, ISSUER.ref, 1);

type Conditions = NonNullable<CertificateRequest['status']>['conditions'];
const condition = (type: string, status: 'True' | 'False' | 'Unknown', reason = 'R', message = 'm') => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2026-03-01T00:00:00Z',
});
const withStatus = (conditions: Conditions, certificate?: string): CertificateRequest => ({
  ...wanted,
  status: {
    ...(conditions === undefined ? {} : { conditions }),
    ...(certificate === undefined ? {} : { certificate: Buffer.from(certificate).toString('base64') }),
  },
});

describe('the request that Hedgerow makes', () => {
  it('asks for exactly the dictated usages, belongs to its Device, and carries the request that was checked', () => {
    expect(wanted).toEqual({
      apiVersion: 'cert-manager.io/v1',
      kind: 'CertificateRequest',
      metadata: {
        name: expect.stringMatching(/^thermo-17-[0-9a-f]{10}$/),
        namespace: 'berlin',
        labels: { 'app.kubernetes.io/managed-by': 'hedgerow' },
        ownerReferences: [{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', name: 'thermo-17', uid: 'uid-17', controller: true }],
      },
      spec: {
        request: Buffer.from(good?.pem ?? '').toString('base64'),
        issuerRef: { name: 'site-ca', kind: 'Issuer', group: 'cert-manager.io' },
        duration: '720h0m0s',
        usages: ['digital signature', 'client auth'],
      },
    });
  });

  it('reads back as what it is', () => {
    expect(request(fresh, { attempt: 3 })).toMatchObject({
      key: `berlin/${request(fresh, { attempt: 3 }).name}`,
      owner: { kind: 'Device', name: 'thermo-17', uid: 'uid-17' },
      pem: good?.pem,
      csrHash: good?.hash,
      issuer: 'Issuer/berlin/site-ca',
      durationMs: 720 * 3_600_000,
      isCa: false,
      usages: 'digital signature,client auth',
      attempt: 3,
      state: 'new',
    });
  });

  it('has one name for one wish: another Device, request, segment, issuer or attempt is another', () => {
    const name = (of = fresh, hash = good?.hash ?? '', issuer = ISSUER.key, attempt = 1) => requestName(of, hash, issuer, attempt);
    expect(name()).toBe(name());
    const others = [
      name(device({ uid: 'recreated', identity: { csr } })),
      name(device({ segment: 'gateways', identity: { csr } })),
      name(fresh, 'other'),
      name(fresh, undefined, 'ClusterIssuer//site-ca'),
      name(fresh, undefined, undefined, 2),
    ];
    expect(new Set([name(), ...others]).size).toBe(6);
  });
});

describe('the state of a request', () => {
  it.each<[string, CertificateRequest, string]>([
    ['new without any status', wanted, 'new'],
    ['new while the approval is not true', withStatus([condition('Approved', 'False')]), 'new'],
    ['approved', withStatus([condition('Approved', 'True')]), 'approved'],
    ['approved while cert-manager works', withStatus([condition('Approved', 'True'), condition('Ready', 'False', 'Pending')]), 'approved'],
    ['issued with a certificate', withStatus([condition('Approved', 'True'), condition('Ready', 'True', 'Issued')], 'PEM'), 'issued'],
    ['not issued without one', withStatus([condition('Approved', 'True'), condition('Ready', 'True', 'Issued')]), 'approved'],
    ['failed', withStatus([condition('Approved', 'True'), condition('Ready', 'False', 'Failed')]), 'failed'],
    ['failed when cert-manager calls it invalid', withStatus([condition('InvalidRequest', 'True')]), 'failed'],
    ['denied, whatever else stands there', withStatus([condition('Denied', 'True'), condition('Ready', 'True')], 'PEM'), 'denied'],
  ])('is %s', (_name, object, expected) => {
    const facts = requestFacts(object);
    expect(facts.state).toBe(expected);
    expect(facts.certificate).toBe(expected === 'issued' ? 'PEM' : undefined);
  });

  it('knows when it failed: from cert-manager’s own time, else from the condition', () => {
    const failed = withStatus([condition('Ready', 'False', 'Failed')]);
    expect(requestFacts(failed).failedAt).toBe('2026-03-01T00:00:00Z');
    expect(requestFacts({ ...failed, status: { ...failed.status, failureTime: '2026-02-01T00:00:00Z' } }).failedAt).toBe(
      '2026-02-01T00:00:00Z',
    );
  });

  it('keeps at most 1,000 characters of what somebody wrote into it', () => {
    expect(requestFacts(withStatus([condition('Denied', 'True', 'R', 'x'.repeat(9000))])).message).toHaveLength(1_000);
  });

  it.each<[string, (object: CertificateRequest) => void]>([
    ['no owner', (o) => void delete o.metadata.ownerReferences],
    ['an attempt that is no number', (o) => Object.assign(o.metadata, { annotations: { 'hedgerow.dev/attempt': '-1; DROP' } })],
    ['a request that is no base64', (o) => Object.assign(o.spec, { request: '***' })],
    ['no usages and an odd duration', (o) => Object.assign(o.spec, { usages: undefined, duration: 'never' })],
  ])('reads a stranger’s request with %s without throwing', (_name, change) => {
    const object = structuredClone(wanted);
    change(object);
    expect(requestFacts(object)).toMatchObject({ attempt: 1, state: 'new' });
  });
});

describe('the approval', () => {
  it('is for the version that was looked at, so that nothing changes under it', () => {
    expect(approvalPatch(request(fresh), 'because', '2026-03-01T00:00:00Z')).toEqual({
      metadata: { resourceVersion: '7' },
      status: {
        conditions: [
          { type: 'Approved', status: 'True', reason: 'hedgerow.dev', message: 'because', lastTransitionTime: '2026-03-01T00:00:00Z' },
        ],
      },
    });
  });
});

describe('durationText', () => {
  it.each([
    [720 * 3_600_000, '720h0m0s'],
    [5_400_000, '1h30m0s'],
    [3_661_999, '1h1m1s'],
    [0, '0h0m0s'],
  ])('prints %d ms as cert-manager does: %s', (ms, text) => expect(durationText(ms)).toBe(text));
});
