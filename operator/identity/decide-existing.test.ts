import { describe, expect, it, vi } from 'vitest';
import { type Decision, decide, type Input } from './decide.ts';
import type { LedgerEntry } from './ledger-entry.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { device, entry, estRequest, HOUR, input, iso, NOW, said } from './testing/scene.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const csr = await makeCsr();
const nextCsr = await makeCsr();
const lifetime = { notBefore: NOW - 10 * HOUR, notAfter: NOW + 8_760 * HOUR };
const old = await issue(csr, { ...lifetime, subject: [['CN', 'sensor 4711']] });
const ours = await issue(nextCsr, { notBefore: NOW - HOUR, notAfter: NOW + 719 * HOUR });
const sameKey = await issue(csr, { notBefore: NOW - HOUR, notAfter: NOW + 719 * HOUR });

const of = (change: object = {}) => device({ identity: { enrollment: 'Existing', existing: { certificate: old } }, ...change });
const fresh = of();
const recorded = entry(fresh, old, { via: 'Existing', issuer: 'External//site-root' });
const enrolled = entry(fresh, ours, { via: 'EST' });
const revoked = (e: LedgerEntry): LedgerEntry => ({ ...e, revoked: { at: iso(NOW), reason: 'Revoked', by: 'alice' } });
const OTHER = { device: 'thermo-1.berlin', deviceUid: 'uid-1' };
const byIt = { how: 'Certificate', sha256: recorded.sha256 } as const;
const late = { now: NOW + 9_000 * HOUR };

const verdict = (decision: Decision): string => {
  if (decision.do === 'deny') return `deny ${decision.message.slice(0, 9)}`;
  if (decision.do !== 'answer') return decision.do;
  const { certified } = decision.answer;
  return `${said(decision)}; Certified ${certified.status} ${certified.reason}`;
};

describe('a device with a certificate of another CA', () => {
  it.each<[what: string, input: Input, expected: string]>([
    ['is recorded', input(fresh), 'recordExisting'],
    ['counts from then on', input(fresh, { entries: [recorded] }), 'requeue RenewalDue; Certified True Existing'],
    [
      'may ask for a certificate with it',
      input(fresh, { entries: [recorded], requests: [estRequest(fresh, nextCsr, { proof: byIt })] }),
      'approve',
    ],
    ['also for the key that it has', input(fresh, { entries: [recorded], requests: [estRequest(fresh, csr, { proof: byIt })] }), 'approve'],
    ['not by a token', input(fresh, { entries: [recorded], requests: [estRequest(fresh, nextCsr)] }), 'deny HR-ID-063'],
    [
      'not with it once it is revoked',
      input(fresh, { entries: [revoked(recorded)], requests: [estRequest(fresh, nextCsr, { proof: byIt })] }),
      'deny HR-ID-063',
    ],
    ['not before the ledger has it', input(fresh, { requests: [estRequest(fresh, nextCsr, { proof: byIt })] }), 'deny HR-ID-063'],
    ['is like any other once it has ours', input(fresh, { entries: [recorded, enrolled] }), 'requeue RenewalDue; Certified True Issued'],
    [
      'also when ours is older',
      input(fresh, { entries: [{ ...recorded, notBefore: iso(NOW) }, enrolled] }),
      'requeue RenewalDue; Certified True Issued',
    ],
    [
      'also when the old one has left the ledger',
      input(fresh, { entries: [entry(fresh, ours, { via: 'EST', notAfter: iso(NOW + 9_999 * HOUR) })], ...late }),
      'requeue RenewalDue; Certified True Issued',
    ],
    [
      'renews ours: the manifest is no wish to go back',
      input(fresh, { entries: [enrolled], ...late }),
      'done; Certified False CertificateExpired',
    ],
    [
      'falls back on it while it is valid when ours was revoked',
      input(fresh, { entries: [recorded, revoked(enrolled)] }),
      'requeue RenewalDue; Certified True Existing',
    ],

    [
      'is told when it has run out',
      input(fresh, { entries: [recorded], ...late }),
      'stalled ExistingExpired; Certified False ExistingExpired',
    ],
    ['is told when it ran out before it came', input(fresh, late), 'stalled ExistingExpired; Certified False ExistingExpired'],
    [
      'is refused with a revoked key',
      input(fresh, { entries: [revoked(entry(fresh, sameKey))] }),
      'stalled KeyRevoked; Certified False KeyRevoked',
    ],
    [
      'is refused when the certificate is revoked',
      input(fresh, { entries: [revoked(recorded)] }),
      'stalled KeyRevoked; Certified False KeyRevoked',
    ],
    [
      'is refused when another has this certificate',
      input(fresh, { entries: [{ ...recorded, ...OTHER }] }),
      'stalled DuplicateKey; Certified False DuplicateKey',
    ],
    [
      'is refused when another has this key',
      input(fresh, { entries: [entry(fresh, sameKey, OTHER)] }),
      'stalled DuplicateKey; Certified False DuplicateKey',
    ],
    [
      'is refused when another proves this key by its request',
      input(fresh, { claimantOfKey: () => 'berlin/thermo-1' }),
      'stalled DuplicateKey; Certified False DuplicateKey',
    ],
    [
      'is refused when another names this key and was first',
      input(fresh, { firstWithKey: 'berlin/thermo-1' }),
      'stalled DuplicateKey; Certified False DuplicateKey',
    ],
    [
      'is refused when another asks for this key by EST',
      input(fresh, { keyInFlight: () => 'berlin/thermo-1' }),
      'stalled DuplicateKey; Certified False DuplicateKey',
    ],
    [
      'is refused with the serial number of another',
      input(fresh, { firstWithSerial: 'berlin/thermo-1' }),
      'stalled DuplicateSerial; Certified False DuplicateSerial',
    ],
    [
      'that has ours keeps it when its manifest is spoilt',
      input(of({ identity: { enrollment: 'Existing', existing: { certificate: 'junk' } } }), { entries: [enrolled] }),
      'requeue RenewalDue; Certified True Issued',
    ],
    ['is revoked with all that it has', input(fresh, { lifecycle: 'Revoked', entries: [recorded, enrolled] }), 'revoke'],
  ])('%s', (_what, given, expected) => {
    expect(verdict(decide(given))).toBe(expected);
  });

  it('is told until when, and what to do', () => {
    const decision = decide(input(fresh, { entries: [recorded] }));
    expect(decision).toMatchObject({ answer: { certified: { message: expect.stringContaining(`counts until ${recorded.notAfter}`) } } });
  });

  it('that is revoked is told whose CRL it is not on', () => {
    const decision = decide(input(fresh, { lifecycle: 'Revoked', entries: [revoked(recorded)] }));
    expect(decision).toMatchObject({ answer: { certified: { message: expect.stringContaining('is on no CRL of ours') } } });
    const own = decide(input(fresh, { lifecycle: 'Revoked', entries: [revoked(enrolled)] }));
    expect(own).toMatchObject({ answer: { certified: { message: expect.not.stringContaining('CRL') } } });
  });

  it('may enrol within the offlineBudget after its end', () => {
    const patient = { ...fresh, offlineBudgetMs: 20_000 * HOUR };
    expect(verdict(decide(input(patient, { entries: [recorded], ...late })))).toBe('requeue RenewalDue; Certified False ExistingExpired');
    // Nobody had it in time, so nobody can say that it was not revoked.
    expect(verdict(decide(input(patient, late)))).toBe('stalled ExistingExpired; Certified False ExistingExpired');
  });
});
