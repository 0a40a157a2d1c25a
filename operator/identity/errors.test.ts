// Every code of the table can happen, and is what a person reads when it happens.
import { afterAll, describe, expect, it } from 'vitest';
import { verifyCsr } from './csr.ts';
import { type Decision, decide, type Input } from './decide.ts';
import { renewalOf } from './decide-rotation.ts';
import type { DeviceFacts } from './device-facts.ts';
import { ERRORS, explain, type IdentityCode, reasonOf } from './errors.ts';
import type { LedgerEntry } from './ledger-entry.ts';
import type { Subject } from './subject.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { derOf, OpenSsl, pemOf } from './testing/openssl.ts';
import { certificateOf, device, entry, estRequest, HOUR, ISSUER, input, iso, managedRequest, NOW, request } from './testing/scene.ts';

const csr = await makeCsr();
const certificate = await issue(csr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });
const newCsr = await makeCsr();
const newCertificate = await issue(newCsr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });
const fresh = device({ identity: { csr } });
const recorded = entry(fresh, certificate);
const byEst = device({ identity: { enrollment: 'EST' } });
const gateway = device({ name: 'gateway-1', segment: 'gateways', identity: { enrollment: 'Managed' } });
const revoked = (e: LedgerEntry): LedgerEntry => ({ ...e, revoked: { at: iso(NOW), reason: 'Revoked', by: 'alice' } });
const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());

const withCsr = (text: string): Input => input(device({ identity: { csr: text } }));
const withCertificate = (pem: string): Input => input(device({ identity: { enrollment: 'Existing', existing: { certificate: pem } } }));
const selfSigned = (...args: string[]): string => ssl.run(['req', '-x509', '-nodes', '-keyout', ssl.write(''), ...args]).toString();
const cutSignature = (pem: string): string => {
  const der = derOf(pem);
  der[der.length - 1] = (der.at(-1) as number) ^ 1;
  return pemOf(der);
};
const withAttribute = (): string =>
  ssl.request({
    subject: null,
    config:
      '[req]\nprompt=no\ndistinguished_name=dn\nattributes=a\n[dn]\nO=hedgerow\nOU=office.berlin\nCN=thermo-17.berlin\n[a]\nunstructuredName=x\n',
  });

/** One situation for each code. A code without one does not compile; a code that is not what comes out fails. Those of registration: decide-registration.test.ts; of drivers: decide-driver.test.ts. */
const SITUATIONS: Record<
  Exclude<IdentityCode, `HR-ID-08${number}` | 'HR-ID-091' | 'HR-ID-092' | 'HR-ID-093'>,
  () => Input | Promise<Input>
> = {
  'HR-ID-001': () => input(device()),
  'HR-ID-002': () => withCsr('hello'),
  'HR-ID-003': () => withCsr('A'.repeat(10_000)),
  'HR-ID-004': () => withCsr(pemOf(Buffer.from('3003020100', 'hex'))),
  'HR-ID-005': () => withCsr(cutSignature(csr)),
  'HR-ID-006': () => withCsr(ssl.request({ key: ssl.key('-algorithm', 'ED448') })),
  'HR-ID-007': () => withCsr(ssl.request({ key: ssl.key('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048') })),
  'HR-ID-008': () => withCsr(ssl.request({ args: ['-sha1'] })),
  'HR-ID-009': async () => withCsr(await makeCsr({ device: 'other' })),
  'HR-ID-010': () => withCsr(ssl.request({ args: ['-addext', 'subjectAltName=DNS:x'] })),
  'HR-ID-011': () => withCsr(withAttribute()),
  'HR-ID-012': () => input(device({ name: 'x'.repeat(62), identity: { csr } })),
  'HR-ID-020': () => input(fresh, { issuer: { ...ISSUER, state: 'missing' } }),
  'HR-ID-021': () => input(fresh, { issuer: { ...ISSUER, state: 'notReady', message: 'no Secret' } }),
  'HR-ID-022': () => input(fresh, { openApprovers: ['system:serviceaccount:cert-manager:cert-manager'] }),
  'HR-ID-023': () => input(fresh, { requests: [request(fresh, { state: 'denied' })] }),
  'HR-ID-024': () => input(fresh, { requests: [request(fresh, { state: 'failed' })] }),
  'HR-ID-025': () => input(fresh, { nameTaker: request(fresh, { change: (o) => Object.assign(o.spec, { username: 'mallory' }) }) }),
  'HR-ID-026': () => input(fresh, { requests: [request(fresh, { state: 'issued', certificate: 'junk' })] }),
  'HR-ID-030': () => input(fresh, { firstWithSerial: 'berlin/thermo-1' }),
  'HR-ID-031': () => input(fresh, { firstWithKey: 'berlin/thermo-1' }),
  'HR-ID-032': () => input(fresh, { entries: [revoked(recorded)] }),
  'HR-ID-033': () => input(fresh, { entries: [{ ...recorded, segment: 'gateways.berlin' }], looked: true }),
  'HR-ID-034': () => input(fresh, { entries: [recorded], looked: true }),
  'HR-ID-040': () => input(fresh, { ledger: { synced: true, problem: explain('HR-ID-040', 'entry "x" does not read') } }),
  'HR-ID-041': () => input(fresh, { ledger: { synced: false, problem: undefined } }),
  'HR-ID-050': () => managed({ change: (o) => Object.assign(o.metadata, { ownerReferences: [] }) }),
  'HR-ID-051': () => input(device({ identity: { enrollment: 'Managed', duration: '10m' } })),
  'HR-ID-052': async () => ({ ...managed(), requests: [managedRequest(gateway, await makeCsr())] }),
  'HR-ID-061': () => input(byEst),
  'HR-ID-062': () => input(byEst, { now: NOW + 721 * HOUR, entries: [recorded] }),
  'HR-ID-063': () => input(byEst, { requests: [estRequest(byEst, csr, { change: (o) => Object.assign(o.spec, { isCA: true }) })] }),
  'HR-ID-064': () => input(byEst, { est: undefined }),
  'HR-ID-065': () => input(byEst, { entries: [{ ...recorded, revoked: { at: iso(NOW), reason: 'Compromised', by: 'alice' } }] }),
  'HR-ID-066': () => input(byEst, { now: NOW + 700 * HOUR, entries: [recorded] }),
  'HR-ID-070': () => input(device({ identity: { enrollment: 'Existing' } })),
  'HR-ID-071': () => withCertificate(`${certificate}\n${certificate}`),
  'HR-ID-072': () => withCertificate(selfSigned('-newkey', 'rsa:1024', '-subj', '/CN=old')),
  'HR-ID-073': async () => withCertificate(await issue(csr, { notBefore: NOW, notAfter: NOW + HOUR, usages: ['1.3.6.1.5.5.7.3.1'] })),
  'HR-ID-074': async () => withCertificate(await issue(await makeCsr({ device: 'other' }), { notBefore: NOW, notAfter: NOW + HOUR })),
  'HR-ID-075': async () => withCertificate(await issue(csr, { notBefore: NOW - 2 * HOUR, notAfter: NOW - HOUR })),
  'HR-ID-076': async () => withCertificate(await issue(csr, { notBefore: NOW + HOUR, notAfter: NOW + 2 * HOUR })),
  'HR-ID-090': () =>
    input(byEst, {
      entries: [recorded],
      requests: [estRequest(byEst, newCsr, { state: 'issued', certificate: newCertificate })],
      trust: () => 'waiting',
    }),
};

function managed(options: Parameters<typeof certificateOf>[1] = {}): Input {
  return input(gateway, { managed: certificateOf(gateway, options) });
}

/** Said beside the answer: the certificate still holds. */
function overdue(from: Input): string {
  const decision = decide(from);
  return decision.do === 'answer' ? (renewalOf(from, decision.answer)?.overdue ?? '') : decision.do;
}

function words(decision: Decision): { reason: string; message: string } {
  if (decision.do === 'deny') return { reason: reasonOf(decision.message.slice(0, 9) as IdentityCode), message: decision.message };
  if (decision.do !== 'answer') throw new Error(`the decision was ${decision.do}`);
  const { outcome, certified } = decision.answer;
  if (outcome.kind === 'done') return certified;
  return { reason: outcome.reason, message: 'message' in outcome ? outcome.message : '' };
}

describe.each(Object.entries(SITUATIONS) as [IdentityCode, () => Input | Promise<Input>][])('%s', (code, situation) => {
  it(`${ERRORS[code].title} happens, and says what was found and what to do`, async () => {
    const from = await situation();
    const { reason, message } = code === 'HR-ID-066' ? { reason: reasonOf(code), message: overdue(from) } : words(decide(from));
    expect(reason).toBe(reasonOf(code));
    expect(message).toMatch(new RegExp(`^${code}: \\S.+\\. Cure: \\S.+`, 's'));
    // Said once, however many hands it went through.
    expect(message.split('Cure: ')).toHaveLength(2);
  });
});

describe('the table', () => {
  it('has stable codes in order, titles that are condition reasons, and no title twice', () => {
    const codes = Object.keys(ERRORS);
    expect(codes).toEqual(codes.toSorted());
    for (const [code, { title, cause, cure }] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^HR-ID-\d{3}$/);
      // metav1.Condition: a reason is CamelCase.
      expect(title).toMatch(/^[A-Z][A-Za-z]+$/);
      expect(Math.min(cause.length, cure.length)).toBeGreaterThan(10);
      expect(cure).not.toMatch(/\.$/);
    }
    expect(new Set(Object.values(ERRORS).map((e) => e.title)).size).toBe(codes.length);
  });

  it('is short enough for a condition, whatever a stranger wrote', () => {
    const longest = ssl.request({ subject: `/O=hedgerow${'/OU=x'.repeat(200)}` });
    const facts: DeviceFacts = device({ identity: { csr: longest } });
    const verdict = verifyCsr(longest, facts.subject as Subject);
    // metav1.Condition: a message has at most 32768 characters.
    expect(verdict.ok ? 0 : verdict.message.length).toBeLessThan(1000);
  });
});
