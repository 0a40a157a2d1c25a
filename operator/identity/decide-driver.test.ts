import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type DriverDecision, type DriverInput, decideDriver, isDriver } from './decide-driver.ts';
import { type DriverCertificateKind, driverRequestName, driverSubject } from './driver-certificate.ts';
import { driverFacts, waveOfDriver } from './driver-facts.ts';
import { newCsr, newKey, newUriCsr } from './new-csr.ts';
import type { CertificateRequest } from './request-facts.ts';
import { issue } from './testing/authority.ts';
import { driverCsr, driverRequest, TERMS, WAVE, waveObject } from './testing/driver.ts';
import { OpenSsl } from './testing/openssl.ts';
import { HOUR, iso, NOW, SELF } from './testing/scene.ts';
import { readCertificate } from './x509.ts';

const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());

const SITE = 'urn:hedgerow:firmware:directive:berlin';
const DAY = 24 * HOUR;
type Change = (request: CertificateRequest) => void;

const input = (request: CertificateRequest, over: Partial<DriverInput> = {}): DriverInput => ({
  now: NOW + 1000,
  request: driverFacts(request),
  terms: TERMS,
  wave: waveOfDriver(waveObject() as never),
  ...over,
});
function changed(kind: DriverCertificateKind, change: Change): CertificateRequest {
  const request = driverRequest(kind);
  change(request);
  return request;
}
const codeOf = (decision: DriverDecision): string => (decision.do === 'deny' ? decision.code : decision.do);
const csr =
  (text: string): Change =>
  (request) =>
    void Object.assign(request.spec, { request: Buffer.from(text).toString('base64') });
const spec =
  (fields: object): Change =>
  (request) =>
    void Object.assign(request.spec, fields);
const metadata =
  (fields: object): Change =>
  (request) =>
    void Object.assign(request.metadata, fields);

/** As openssl makes it for a subject: what a person with the ServiceAccount's token would try. */
const foreignCsr = (subject: string, extension?: string, key?: string): string =>
  ssl.request({ subject, args: extension === undefined ? [] : ['-addext', extension], ...(key === undefined ? {} : { key }) });
const driverName = '/O=hedgerow/OU=-rollout.-hedgerow/CN=-rollout-0123456789abcdef.-hedgerow';

describe('a driver', () => {
  it.each(['mqtt', 'directive'] as const)('gets its %s certificate', (kind) => {
    expect(decideDriver(input(driverRequest(kind)))).toEqual({ do: 'approve' });
  });

  it('gets it in a wave that begins again after it was completed', () => {
    const wave = waveOfDriver({ ...waveObject('Completed'), metadata: { ...waveObject().metadata, generation: 3 } } as never);
    expect(decideDriver(input(driverRequest('mqtt'), { wave }))).toEqual({ do: 'approve' });
  });
});

const BOTH: [string, Change, string][] = [
  ['by the operator itself', spec({ username: SELF }), 'HR-ID-091'],
  ['by nobody knows whom', spec({ username: undefined }), 'HR-ID-091'],
  ['by an account of the same name elsewhere', spec({ username: 'system:serviceaccount:berlin:hedgerow-rollout' }), 'HR-ID-091'],
  ['in the namespace of the site', metadata({ namespace: 'berlin' }), 'HR-ID-091'],
  ['for a wave that there is not', metadata({ annotations: { 'hedgerow.dev/wave': 'berlin/other' } }), 'HR-ID-092'],
  ['for no wave', metadata({ annotations: {} }), 'HR-ID-092'],
  [
    'for the wave of this name before',
    metadata({ labels: { ...driverRequest('mqtt').metadata.labels, 'hedgerow.dev/wave-uid': 'old' } }),
    'HR-ID-092',
  ],
  ['under a name of its own', metadata({ name: 'mine' }), 'HR-ID-092'],
  [
    'for a shard that the wave does not have',
    (r) =>
      Object.assign(r.metadata, { name: driverRequestName(WAVE.uid, 2, r.metadata.labels?.['hedgerow.dev/driver-certificate'] as never) }),
    'HR-ID-092',
  ],
  ['from another issuer', spec({ issuerRef: { kind: 'ClusterIssuer', name: 'web', group: 'cert-manager.io' } }), 'HR-ID-093'],
  [
    'from an issuer of another kind',
    (r) => Object.assign(r.spec.issuerRef, { kind: r.spec.issuerRef.kind === 'Issuer' ? 'ClusterIssuer' : 'Issuer' }),
    'HR-ID-093',
  ],
  ['from an issuer of another group', (r) => Object.assign(r.spec.issuerRef, { group: 'example.com' }), 'HR-ID-093'],
  ['of a CA', spec({ isCA: true }), 'HR-ID-093'],
  ['with one usage more', (r) => void r.spec.usages?.push('server auth'), 'HR-ID-093'],
  ['with one usage less', (r) => void r.spec.usages?.pop(), 'HR-ID-093'],
  ['without usages', spec({ usages: undefined }), 'HR-ID-093'],
  ['for a minute more than a week', spec({ duration: '168h1m0s' }), 'HR-ID-093'],
  ['for as long as the issuer likes', spec({ duration: undefined }), 'HR-ID-093'],
  ['of something that is no request', csr('hello'), 'HR-ID-002'],
];

describe.each(['mqtt', 'directive'] as const)('an %s certificate is refused', (kind) => {
  it.each(BOTH)('when it is asked for %s', (_what, change, code) => {
    const request = changed(kind, change);
    const wave = request.metadata.annotations?.['hedgerow.dev/wave'] === 'berlin/pump-2-0' ? {} : { wave: undefined };
    const decision = decideDriver(input(request, { now: NOW + 60_000, ...wave }));
    expect(codeOf(decision)).toBe(code);
    expect(decision).toMatchObject({ message: expect.stringMatching(new RegExp(`^${code}: \\S.+\\. Cure: \\S.+`)) });
  });

  it.each(['Completed', 'Aborted'])('when the wave is %s', (phase) => {
    expect(codeOf(decideDriver(input(driverRequest(kind), { wave: waveOfDriver(waveObject(phase) as never) })))).toBe('HR-ID-092');
  });

  it('when the wave is being deleted', () => {
    const { metadata: of, ...rest } = waveObject();
    const wave = waveOfDriver({ ...rest, metadata: { ...of, deletionTimestamp: iso(NOW) } } as never);
    expect(codeOf(decideDriver(input(driverRequest(kind), { wave })))).toBe('HR-ID-092');
  });

  it('when it is the request of the other kind under this label', () => {
    const other = driverRequest(kind === 'mqtt' ? 'directive' : 'mqtt');
    Object.assign(other.metadata, { name: driverRequestName(WAVE.uid, 1, kind), labels: driverRequest(kind).metadata.labels });
    expect(codeOf(decideDriver(input(other)))).toBe('HR-ID-093');
    other.spec = { ...driverRequest(kind).spec, request: other.spec.request };
    expect(codeOf(decideDriver(input(other)))).toMatch(/^HR-ID-0(09|10)$/);
  });
});

const MQTT: [string, () => string, string][] = [
  ['a client id that is not of its key', () => newCsr(driverSubject('-rollout-0123456789abcdef.-hedgerow'), newKey()), 'HR-ID-009'],
  ['the name of a device', () => newCsr({ ...driverSubject('thermo-17.berlin') }, newKey()), 'HR-ID-009'],
  ['the name of the client that tries the broker', () => newCsr(driverSubject('-probe.-hedgerow'), newKey()), 'HR-ID-009'],
  [
    'the segment of devices',
    () => newCsr({ ...driverSubject('-rollout-0123456789abcdef.-hedgerow'), organizationalUnit: 'office.berlin' }, newKey()),
    'HR-ID-009',
  ],
  ['no subject at all', () => newUriCsr(SITE, newKey()), 'HR-ID-009'],
  ['a name beside the subject', () => withOwnName('subjectAltName=DNS:broker.example'), 'HR-ID-010'],
  ['a CA', () => withOwnName('basicConstraints=critical,CA:TRUE'), 'HR-ID-010'],
  ['a key on another curve', () => withOwnName(undefined, ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384']), 'HR-ID-093'],
  ['a weak key', () => withOwnName(undefined, ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']), 'HR-ID-007'],
  ['an RSA key', () => withOwnName(undefined, ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072']), 'HR-ID-093'],
];

/** With the client id that the key may have. */
function withOwnName(extension?: string, algorithm = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']): string {
  const key = ssl.key(...algorithm);
  const spki = ssl.run(['pkey', '-in', key, '-pubout', '-outform', 'DER']);
  const hash = ssl.run(['dgst', '-sha256', '-r'], spki).toString().slice(0, 16);
  return foreignCsr(driverName.replace('0123456789abcdef', hash), extension, key);
}

const DIRECTIVE: [string, () => string, string][] = [
  ['another site', () => newUriCsr('urn:hedgerow:firmware:directive:paris', newKey()), 'HR-ID-010'],
  ['the operator namespace as a site', () => newUriCsr('urn:hedgerow:firmware:directive:hedgerow-system', newKey()), 'HR-ID-010'],
  ['two sites', () => foreignCsr('/', `subjectAltName=URI:${SITE},URI:urn:hedgerow:firmware:directive:paris`), 'HR-ID-010'],
  ['a host name beside the site', () => foreignCsr('/', `subjectAltName=URI:${SITE},DNS:broker.example`), 'HR-ID-010'],
  ['a critical name', () => foreignCsr('/', `subjectAltName=critical,URI:${SITE}`), 'HR-ID-010'],
  ['no site', () => newCsr(driverSubject('x.y'), newKey()), 'HR-ID-009'],
  ['a subject', () => foreignCsr('/CN=release', `subjectAltName=URI:${SITE}`), 'HR-ID-009'],
  ['a CA beside it', () => two(`subjectAltName=URI:${SITE}`, 'basicConstraints=critical,CA:TRUE'), 'HR-ID-010'],
  ['usages beside it', () => two(`subjectAltName=URI:${SITE}`, 'extendedKeyUsage=clientAuth'), 'HR-ID-010'],
  [
    'a key on another curve',
    () => foreignCsr('/', `subjectAltName=URI:${SITE}`, ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384')),
    'HR-ID-093',
  ],
  [
    'a weak key',
    () => foreignCsr('/', `subjectAltName=URI:${SITE}`, ssl.key('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024')),
    'HR-ID-007',
  ],
];
const two = (...extensions: string[]): string => ssl.request({ subject: '/', args: extensions.flatMap((one) => ['-addext', one]) });

describe('what the issuer would sign as it stands', () => {
  it.each(MQTT)('is refused for the broker with %s', (_what, make, code) => {
    expect(codeOf(decideDriver(input(driverRequest('mqtt', make()))))).toBe(code);
  });

  it.each(DIRECTIVE)('is refused for directives with %s', (_what, make, code) => {
    expect(codeOf(decideDriver(input(driverRequest('directive', make()))))).toBe(code);
  });

  it('is taken from openssl too, when it is the same', () => {
    expect(decideDriver(input(driverRequest('directive', foreignCsr('/', `subjectAltName=URI:${SITE}`))))).toEqual({ do: 'approve' });
    expect(decideDriver(input(driverRequest('mqtt', withOwnName())))).toEqual({ do: 'approve' });
    expect(decideDriver(input(driverRequest('mqtt', withOwnName(undefined, ['-algorithm', 'ED25519']))))).toEqual({ do: 'approve' });
  });

  it('with any byte of the request changed, is refused', () => {
    for (const kind of ['mqtt', 'directive'] as const) {
      const good = Buffer.from(driverCsr(kind).replace(/-----[^-]+-----|\s/g, ''), 'base64');
      fc.assert(
        fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
          const der = Buffer.from(good);
          der[at] = (der[at] as number) ^ by;
          const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
          expect(decideDriver(input(driverRequest(kind, pem))).do).toBe('deny');
        }),
        { numRuns: 300 },
      );
    }
  });
});

describe('a wave that the watch has not shown yet', () => {
  it('is waited for half a minute, and no longer', () => {
    expect(decideDriver(input(driverRequest('mqtt'), { wave: undefined }))).toEqual({ do: 'nothing', afterMs: 1000 });
    expect(codeOf(decideDriver(input(driverRequest('mqtt'), { wave: undefined, now: NOW + 30_000 })))).toBe('HR-ID-092');
  });

  it('is not waited for with a request of somebody else', () => {
    expect(codeOf(decideDriver(input(changed('mqtt', spec({ username: 'mallory' })), { wave: undefined })))).toBe('HR-ID-091');
  });
});

const request = driverRequest('mqtt');
const csrText = Buffer.from(request.spec.request, 'base64').toString();
const pem = await issue(csrText, { notBefore: NOW, notAfter: NOW + 7 * DAY });
const MD5 = readCertificate(pem)?.md5 ?? '';
const condition = (type: string) => ({ type, status: 'True', reason: 'x', message: '', lastTransitionTime: iso(NOW) }) as const;
const approved = (more: object = {}): CertificateRequest => ({
  ...request,
  status: { conditions: [condition('Approved')], ...more },
});
const issued = approved({
  certificate: Buffer.from(pem).toString('base64'),
  conditions: [condition('Ready')],
});
const denied: CertificateRequest = { ...request, status: { conditions: [condition('Denied')] } };
const ENDED = waveOfDriver(waveObject('Completed') as never);

describe('a client that calls itself a driver', () => {
  it('is one with the certificate that was issued, as long as its request is there and its wave goes on', () => {
    expect(isDriver(input(issued), MD5)).toBe(true);
    expect(isDriver(input(issued, { wave: ENDED }), MD5)).toBe(false);
    expect(isDriver(input(issued, { wave: undefined }), MD5)).toBe(false);
    expect(isDriver(input(issued, { wave: { ...ENDED, ended: false, uid: 'another' } }), MD5)).toBe(false);
    expect(isDriver(input(issued, { now: NOW + 7 * DAY }), MD5)).toBe(false);
  });

  it('is none with another certificate', () => expect(isDriver(input(issued), 'f'.repeat(32))).toBe(false));

  it('is one while only the driver has seen its certificate', () => expect(isDriver(input(approved()), MD5)).toBe(true));

  it('is none before anybody approved, and after a denial', () => {
    expect([isDriver(input(request), MD5), isDriver(input(denied), MD5)]).toEqual([false, false]);
  });

  it('is none when somebody else asked, whoever approved', () => {
    const foreign = { ...issued, spec: { ...issued.spec, username: 'mallory' } };
    expect(isDriver(input(foreign), MD5)).toBe(false);
    expect(isDriver(input({ ...issued, metadata: { ...issued.metadata, namespace: 'berlin' } }), MD5)).toBe(false);
  });

  it('is none by the name of another key', () => {
    const spoofed = {
      ...issued,
      spec: {
        ...issued.spec,
        request: Buffer.from(newCsr(driverSubject('-rollout-0123456789abcdef.-hedgerow'), newKey())).toString('base64'),
      },
    };
    expect(isDriver(input(spoofed), MD5)).toBe(false);
  });
});

describe('a request that was decided', () => {
  it('stays while the driver works, and is looked at again', () => {
    expect(decideDriver(input(issued))).toEqual({ do: 'nothing', afterMs: HOUR });
    expect(decideDriver(input(issued, { now: NOW + 7 * DAY - 5000 }))).toEqual({ do: 'nothing', afterMs: 5000 });
  });

  it.each<[string, DriverInput]>([
    ['its wave has ended', input(issued, { wave: ENDED })],
    ['its wave is gone', input(issued, { wave: undefined })],
    ['its certificate has expired', input(issued, { now: NOW + 7 * DAY })],
    ['it was denied an hour ago', input(denied, { now: NOW + HOUR })],
  ])('goes when %s', (_what, from) => expect(decideDriver(from)).toEqual({ do: 'delete' }));

  it('stays while its driver may read why it was denied', () => {
    expect(decideDriver(input(denied, { wave: undefined, now: NOW + HOUR - 1 })).do).toBe('nothing');
  });

  it('stays where it is not ours', () => {
    const foreign = { ...issued, spec: { ...issued.spec, username: 'mallory' } };
    expect(decideDriver(input(foreign, { wave: undefined })).do).toBe('nothing');
  });
});
