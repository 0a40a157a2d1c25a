import { describe, expect, it } from 'vitest';
import { type Decision, decide, type Input } from './decide.ts';
import type { LedgerEntry, PendingEntry } from './ledger-entry.ts';
import { renewAt } from './renewal.ts';
import { requestName } from './request-facts.ts';
import { issue, makeCsr, makeCsrsOfOneKey } from './testing/authority.ts';
import { CERT_MANAGER, device, entry, HOUR, ISSUER, input, iso, NOW, request, said } from './testing/scene.ts';

const csr = await makeCsr();
const otherCsr = await makeCsr();
const movedCsr = await makeCsr({ segment: 'gateways' });
const DAY = 24 * HOUR;
const lifetime = { notBefore: NOW - HOUR, notAfter: NOW + 719 * HOUR };
const certificate = await issue(csr, lifetime);

const fresh = device({ identity: { csr } });
const certified = device({ identity: { csr }, certificate });
const recorded = entry(fresh, certificate);
const revoked = (e: LedgerEntry): LedgerEntry => ({ ...e, revoked: { at: iso(NOW), reason: 'Revoked', by: 'alice' } });
const issued = request(fresh, { state: 'issued', certificate });
const pendingOf = (deviceUid: string): PendingEntry => ({
  id: `pending-${recorded.spki.slice(0, 32)}`,
  pending: true,
  device: 'gateway-1.berlin',
  deviceUid,
  segment: recorded.segment,
  issuer: recorded.issuer,
  spki: recorded.spki,
  notAfter: recorded.notAfter,
  via: 'Managed',
});

type Case = [name: string, input: Input, expected: string];

describe('a device with its own key', () => {
  it.each<Case>([
    ['without anything yet gets a request', input(fresh), 'create'],
    ['whose request is new has it approved', input(fresh, { requests: [request(fresh)] }), 'approve'],
    [
      'whose request is approved waits for cert-manager',
      input(fresh, { requests: [request(fresh, { state: 'approved' })] }),
      'waiting Issuing',
    ],
    ['whose certificate was signed has it recorded', input(fresh, { requests: [issued] }), 'record'],
    ['whose certificate is recorded is given it', input(fresh, { requests: [issued], entries: [recorded] }), 'requeue RenewalDue'],
    ['that has its certificate is left alone until the renewal', input(certified, { entries: [recorded] }), 'requeue RenewalDue'],
    ['without a request in its manifest is told so', input(device()), 'stalled CsrMissing'],
    ['with another device’s request is told so', input(device({ name: 'thermo-18', identity: { csr } })), 'stalled CsrSubjectMismatch'],
    [
      'whose names are too long for a certificate is told so',
      input(device({ name: 'x'.repeat(60), identity: { csr } })),
      'stalled NameNotCertifiable',
    ],
    ['whose issuer does not exist waits for a person', input(fresh, { issuer: { ...ISSUER, state: 'missing' } }), 'stalled IssuerNotFound'],
    ['whose issuer is not ready waits', input(fresh, { issuer: { ...ISSUER, state: 'notReady' } }), 'waiting IssuerNotReady'],
    ['whose serial number another has is the newcomer', input(fresh, { firstWithSerial: 'berlin/thermo-1' }), 'stalled DuplicateSerial'],
    ['whose key another has is the newcomer', input(fresh, { firstWithKey: 'berlin/thermo-1' }), 'stalled DuplicateKey'],
    [
      'whose key is certified for another device is refused',
      input(fresh, { entries: [entry(device({ name: 'thermo-1', uid: 'uid-1' }), certificate)] }),
      'stalled DuplicateKey',
    ],
    [
      'whose key was approved for a Managed device is refused',
      input(fresh, { pendingOfKey: () => pendingOf('uid-1') }),
      'stalled DuplicateKey',
    ],
    [
      'whose key was ever revoked is refused, whoever had it',
      input(fresh, { entries: [revoked(entry(device({ name: 'x', uid: 'y' }), certificate))] }),
      'stalled KeyRevoked',
    ],
    ['whose certificate nobody has any more first looks again', input(fresh, { entries: [recorded] }), 'look'],
    ['whose certificate is really lost is told so', input(fresh, { entries: [recorded], looked: true }), 'stalled CertificateLost'],
    [
      'whose issuer others may approve for is told so',
      input(certified, { entries: [recorded], openApprovers: ['alice'] }),
      'stalled ApproverOpen',
    ],
    ['waits while the ledger is not read', input(fresh, { ledger: { synced: false, problem: undefined } }), 'waiting LedgerNotLoaded'],
    ['is told when the ledger is broken', input(fresh, { ledger: { synced: true, problem: 'HR-ID-040: x' } }), 'stalled LedgerBroken'],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));
});

describe('what is handed out', () => {
  it('is the certificate that was signed, after it stands in the ledger, and the request goes after the status was written', () => {
    const decision = decide(input(fresh, { requests: [issued], entries: [recorded] }));
    expect(decision).toMatchObject({
      answer: { certificate, entry: recorded, cleanup: [issued], certified: { status: 'True', reason: 'Issued' } },
    });
  });

  it('comes back when its renewal begins, and the leftovers of a crash are tidied up', () => {
    const decision = decide(input(certified, { requests: [issued], entries: [recorded] }));
    expect(decision).toMatchObject({ answer: { outcome: { afterMs: renewAt(recorded, certified) - NOW }, cleanup: [issued] } });
  });

  it.each<[string, Parameters<typeof issue>[1], string]>([
    [
      'another subject',
      {
        ...lifetime,
        subject: [
          ['O', 'hedgerow'],
          ['OU', 'office.berlin'],
          ['CN', 'thermo-18.berlin'],
        ],
      },
      'its subject is another one',
    ],
    [
      'the names in another order',
      {
        ...lifetime,
        subject: [
          ['CN', 'thermo-17.berlin'],
          ['OU', 'office.berlin'],
          ['O', 'hedgerow'],
        ],
      },
      'its subject is another one',
    ],
    ['another key', { ...lifetime, keyOf: otherCsr }, 'its public key is another one'],
    ['the right of a CA', { ...lifetime, isCa: true }, 'it is a CA certificate'],
    ['server authentication as well', { ...lifetime, usages: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'] }, 'usages'],
    ['another key usage', { ...lifetime, keyUsage: 0x21 }, 'usages'],
    ['a longer life than was asked', { notBefore: NOW, notAfter: NOW + 721 * HOUR }, 'longer than was asked'],
    ['an end in the past', { notBefore: NOW - DAY, notAfter: NOW - HOUR }, 'expired'],
    ['a beginning in the future', { notBefore: NOW + HOUR, notAfter: NOW + DAY }, 'not valid yet'],
  ])('is not what an issuer signed with %s', async (_what, how, why) => {
    const other = await issue(csr, how);
    const decision = decide(input(fresh, { requests: [request(fresh, { state: 'issued', certificate: other })] }));
    expect(said(decision)).toBe('stalled CertificateNotAsAsked');
    expect(decision).toMatchObject({ answer: { certified: { status: 'False', message: expect.stringContaining(why) } } });
  });

  it('may be valid for less time than was asked, and is then renewed in its last third', async () => {
    const short = await issue(csr, { notBefore: NOW, notAfter: NOW + 30 * HOUR });
    const from = input(fresh, { requests: [request(fresh, { state: 'issued', certificate: short })] });
    expect(said(decide(from))).toBe('record');
    expect(decide({ ...from, ...entriesOf(entry(fresh, short)) })).toMatchObject({
      answer: { outcome: { afterMs: renewAt(entry(fresh, short), fresh) - NOW } },
    });
    expect(renewAt(entry(fresh, short), fresh) - NOW).toBeGreaterThan(18 * HOUR - 1);
    expect(renewAt(entry(fresh, short), fresh) - NOW).toBeLessThanOrEqual(20 * HOUR);
  });

  it('is not what does not read as a certificate', () => {
    const junk = request(fresh, { state: 'issued', certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' });
    expect(said(decide(input(fresh, { requests: [junk] })))).toBe('stalled CertificateNotAsAsked');
  });

  it('is not a certificate whose key was revoked while cert-manager signed', () => {
    const earlier = revoked({ ...recorded, id: 'x'.repeat(32), sha256: 'f'.repeat(64) });
    expect(said(decide(input(fresh, { requests: [issued], entries: [earlier] })))).toBe('stalled KeyRevoked');
  });
});

describe('renewal and change', () => {
  const inWindow = { now: renewAt(recorded, certified) };
  const rekeyed = device({ identity: { csr: otherCsr }, certificate });

  it.each<Case>([
    ['inside the window the same request is used again', input(certified, { ...inWindow, entries: [recorded] }), 'create'],
    [
      'before this device’s turn nothing happens',
      input(certified, { now: renewAt(recorded, certified) - 1, entries: [recorded] }),
      'requeue RenewalDue',
    ],
    ['another key in the manifest is a re-key, at once', input(rekeyed, { entries: [recorded] }), 'create'],
    [
      'another segment needs a request that names it',
      input(device({ segment: 'gateways', identity: { csr }, certificate }), { entries: [recorded] }),
      'stalled CsrSubjectMismatch',
    ],
    [
      'another segment, too, leaves no request behind that has served',
      input(device({ segment: 'gateways', identity: { csr }, certificate }), { entries: [recorded], requests: [issued] }),
      'delete',
    ],
    [
      'and with it gets a certificate for the new segment',
      input(device({ segment: 'gateways', identity: { csr: movedCsr }, certificate }), { entries: [recorded] }),
      'create',
    ],
    [
      'a serial number that became a double withdraws nothing',
      input(certified, { entries: [recorded], firstWithSerial: 'berlin/x' }),
      'requeue RenewalDue',
    ],
    ['a request for a wish that changed is deleted', input(rekeyed, { entries: [recorded], requests: [request(certified)] }), 'delete'],
    ['so is one for another issuer', input(fresh, { requests: [request(fresh, { issuer: { name: 'old', kind: 'Issuer' } })] }), 'delete'],
    [
      'also when it was approved and may never be signed',
      input(fresh, { requests: [request(fresh, { state: 'approved', issuer: { name: 'old', kind: 'Issuer' } })] }),
      'delete',
    ],
    [
      'but not when it was signed',
      input(fresh, { requests: [request(fresh, { state: 'issued', certificate, issuer: { name: 'old', kind: 'Issuer' } })] }),
      'record',
    ],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));

  it('that fails never withdraws the certificate that is still valid', () => {
    for (const from of [
      input(device({ certificate }), { entries: [recorded] }),
      input(rekeyed, { entries: [recorded], issuer: { ...ISSUER, state: 'missing' } }),
      input(device({ identity: { csr: 'nonsense' }, certificate }), { entries: [recorded] }),
    ]) {
      expect(decide(from)).toMatchObject({ answer: { certificate, entry: recorded, certified: { status: 'True' } } });
    }
  });

  it('the same key for a Device that moved waits for its window: one key, one certificate', async () => {
    const [here, there] = await makeCsrsOfOneKey({ segment: 'office' }, { segment: 'gateways' });
    const held = await issue(here as string, lifetime);
    const gone = device({ segment: 'gateways', identity: { csr: there as string }, certificate: held });
    const old = entry(device({ identity: { csr: here as string } }), held);
    expect(said(decide(input(gone, { entries: [old] })))).toBe('look');
    expect(said(decide(input(gone, { entries: [old], looked: true })))).toBe('stalled KeyStillCertified');
  });
});

describe('a request whose key was replaced while cert-manager signed', () => {
  const rekeyed = device({ identity: { csr: otherCsr } });
  it.each<Case>([
    ['has its certificate recorded: the key must not get a second one', input(rekeyed, { requests: [issued] }), 'record'],
    ['and goes then', input(rekeyed, { requests: [issued], entries: [recorded] }), 'delete'],
    ['going back to that key does not certify it twice', input(fresh, { entries: [recorded], looked: true }), 'stalled CertificateLost'],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));
});

describe('failures of cert-manager', () => {
  const failed = (state: 'failed' | 'denied', attempt: number, agoMs: number) =>
    request(fresh, { state, attempt, failedAt: iso(NOW - agoMs), message: 'no CA' });

  it.each<[string, Decision | Input, string]>([
    ['a failed request is tried again after a minute', input(fresh, { requests: [failed('failed', 1, 59_000)] }), 'waiting RequestFailed'],
    ['a denied one too', input(fresh, { requests: [failed('denied', 1, 59_000)] }), 'waiting RequestDenied'],
    ['then with a new request', input(fresh, { requests: [failed('failed', 1, 60_000)] }), 'create'],
    ['the third time after four minutes', input(fresh, { requests: [failed('failed', 3, 239_000)] }), 'waiting RequestFailed'],
    ['and never later than after an hour', input(fresh, { requests: [failed('failed', 40, 3_600_000)] }), 'create'],
    [
      'the failed one before goes when the next exists',
      input(fresh, { requests: [failed('failed', 1, 60_000), request(fresh, { attempt: 2 })] }),
      'delete',
    ],
  ])('%s', (_name, from, expected) => expect(said(decide(from as Input))).toBe(expected));

  it('say what cert-manager said and when it is tried again', () => {
    const decision = decide(input(fresh, { requests: [failed('failed', 1, 0)] }));
    expect(decision).toMatchObject({
      answer: { certified: { message: expect.stringMatching(/was failed: no CA; next try at 2026-03-01T00:01/) } },
    });
  });

  it('the next try has another name', () => {
    const decision = decide(input(fresh, { requests: [failed('failed', 1, 60_000)] }));
    expect(decision).toEqual({ do: 'create', attempt: 2 });
    const names = [1, 2].map((attempt) => requestName(fresh, fresh.csr?.ok ? fresh.csr.hash : '', ISSUER.key, attempt));
    expect(new Set(names).size).toBe(2);
  });
});

describe('requests that are not ours', () => {
  const by = (username: string) => request(fresh, { change: (object) => Object.assign(object.spec, { username }) });

  it.each<Case>([
    [
      'one with our name and owner, made by somebody else, is never approved',
      input(fresh, { requests: [by('mallory')] }),
      'waiting ForeignRequest',
    ],
    [
      'one with our name that the API server showed when we tried to make ours neither',
      input(fresh, { nameTaker: by('mallory') }),
      'waiting ForeignRequest',
    ],
    ['one by cert-manager neither', input(fresh, { requests: [by(CERT_MANAGER)] }), 'waiting ForeignRequest'],
    ['one with another name is not looked at', input(fresh, { requests: [{ ...by('mallory'), name: 'other' }] }), 'create'],
    [
      'one that was ours and asks for a CA now is not approved',
      input(fresh, { requests: [request(fresh, { change: (o) => Object.assign(o.spec, { isCA: true }) })] }),
      'stalled ForeignRequest',
    ],
    [
      'nor one that asks for other usages',
      input(fresh, { requests: [request(fresh, { change: (o) => Object.assign(o.spec, { usages: ['server auth'] }) })] }),
      'stalled ForeignRequest',
    ],
    [
      'nor is a certificate handed out that was signed for such a one',
      input(fresh, { requests: [{ ...issued, usages: 'server auth' }] }),
      'stalled ForeignRequest',
    ],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));
});

describe('a revoked device', () => {
  const gone = { lifecycle: 'Revoked' as const };

  it.each<Case>([
    ['has every certificate revoked', input(certified, { ...gone, entries: [recorded] }), 'revoke'],
    ['has what was signed meanwhile recorded first, so that it can be banned', input(fresh, { ...gone, requests: [issued] }), 'record'],
    ['then has its request deleted', input(fresh, { ...gone, requests: [issued], entries: [revoked(recorded)] }), 'delete'],
    ['also one that is still under way', input(fresh, { ...gone, requests: [request(fresh, { state: 'approved' })] }), 'delete'],
    ['is done when all is revoked', input(fresh, { ...gone, entries: [revoked(recorded)] }), 'done'],
    ['is done when it never had any', input(fresh, gone), 'done'],
    [
      'does not wait for an issuer or an approver',
      input(fresh, { ...gone, openApprovers: ['x'], issuer: { ...ISSUER, state: 'missing' } }),
      'done',
    ],
    ['waits for the ledger', input(fresh, { ...gone, ledger: { synced: false, problem: undefined } }), 'waiting LedgerNotLoaded'],
    ['that is active again does not get its key back', input(fresh, { entries: [revoked(recorded)] }), 'stalled KeyRevoked'],
    [
      'that is active again with a new key gets a certificate',
      input(device({ identity: { csr: otherCsr } }), { entries: [revoked(recorded)] }),
      'create',
    ],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));

  it('names all its valid certificates, keeps those of a namesake that is gone, and shows none in the status', async () => {
    const second = entry(fresh, await issue(otherCsr, lifetime));
    const expired = entry(fresh, await issue(csr, { notBefore: NOW - DAY, notAfter: NOW - HOUR }));
    const namesake = entry(device({ uid: 'older', identity: { csr } }), await issue(csr, lifetime));
    expect(decide(input(certified, { ...gone, entries: [recorded, second, expired, namesake] }))).toEqual({
      do: 'revoke',
      ids: [recorded.id, second.id],
      reason: 'Revoked',
    });
    const after = decide(input(certified, { ...gone, entries: [revoked(recorded)] }));
    expect(after).toMatchObject({ answer: { certified: { status: 'False', reason: 'Revoked' }, entry: revoked(recorded) } });
    expect(after.do === 'answer' && after.answer.certificate).toBeUndefined();
  });
});

function entriesOf(...entries: LedgerEntry[]): Pick<Input, 'ofDevice' | 'ofKey'> {
  return { ofDevice: entries, ofKey: (spki) => entries.filter((e) => e.spki === spki) };
}
