import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { type Decision, decide, type Input } from './decide.ts';
import { isExpendable, type LedgerEntry } from './ledger-entry.ts';
import type { RequestFacts, RequestState } from './request-facts.ts';
import { keyInFlight } from './requests.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { certificateOf, device, EST, entry, estRequest, HOUR, input, iso, NOW, request, SELF, said } from './testing/scene.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const csr = await makeCsr();
const nextCsr = await makeCsr();
const thirdCsr = await makeCsr();
const DAY = 24 * HOUR;
const lifetime = { notBefore: NOW - HOUR, notAfter: NOW + 719 * HOUR };
const certificate = await issue(csr, lifetime);
const twin = await issue(nextCsr, lifetime);
const renewed = await issue(nextCsr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });

const fresh = device({ identity: { enrollment: 'EST', est: { bootstrap: 'Token' } } });
const enrolled = device({ identity: { enrollment: 'EST', est: { bootstrap: 'Token' } }, certificate });
const recorded = entry(fresh, certificate, { via: 'EST' });
const recordedNext = entry(fresh, renewed, { via: 'EST' });
const withCertificate = { how: 'Certificate', sha256: recorded.sha256 } as const;
const revoked = (e: LedgerEntry): LedgerEntry => ({ ...e, revoked: { at: iso(NOW), reason: 'Revoked', by: 'alice' } });
const other = device({ name: 'thermo-1', uid: 'uid-1' });

type Case = [name: string, input: Input, expected: string];
const verdictOf = (decision: Decision): string => {
  if (decision.do === 'deny') return `deny ${decision.message.slice(0, 9)}`;
  return said(decision);
};

describe('a request of the EST server', () => {
  it.each<Case>([
    ['by token for a device that enrols so is approved', input(fresh, { requests: [estRequest(fresh, csr)] }), 'approve'],
    [
      'by factory certificate for a device that has to bring a token is denied',
      input(fresh, { requests: [estRequest(fresh, csr, { proof: { how: 'Manufacturer', ca: 'a'.repeat(64), key: 'b'.repeat(64) } })] }),
      'deny HR-ID-063',
    ],
    [
      'by token for a device with a CSR in its manifest is denied',
      input(device({ identity: { csr } }), { requests: [estRequest(fresh, nextCsr)] }),
      'deny HR-ID-063',
    ],
    [
      'by a certificate that is in the ledger is approved',
      input(enrolled, { entries: [recorded], requests: [estRequest(enrolled, nextCsr, { proof: withCertificate })] }),
      'approve',
    ],
    [
      'by a certificate that is not in the ledger is denied',
      input(enrolled, { requests: [estRequest(enrolled, nextCsr, { proof: withCertificate })] }),
      'deny HR-ID-063',
    ],
    [
      'by a certificate that was revoked a moment ago is denied',
      input(enrolled, { entries: [revoked(recorded)], requests: [estRequest(enrolled, nextCsr, { proof: withCertificate })] }),
      'deny HR-ID-063',
    ],
    [
      'that does not say how the device proved itself is denied',
      input(fresh, { requests: [estRequest(fresh, csr, { change: (o) => delete o.metadata.annotations })] }),
      'deny HR-ID-063',
    ],
    [
      'for other usages is denied',
      input(fresh, { requests: [estRequest(fresh, csr, { change: (o) => Object.assign(o.spec, { usages: ['server auth'] }) })] }),
      'deny HR-ID-063',
    ],
    [
      'for a longer time is denied',
      input(fresh, { requests: [estRequest(fresh, csr, { change: (o) => Object.assign(o.spec, { duration: '8760h0m0s' }) })] }),
      'deny HR-ID-063',
    ],
    [
      'to another issuer is denied',
      input(fresh, { requests: [estRequest(fresh, csr, { issuer: { kind: 'Issuer', name: 'other' } })] }),
      'deny HR-ID-063',
    ],
    [
      'under another name is denied',
      input(fresh, { requests: [estRequest(fresh, csr, { change: (o) => Object.assign(o.metadata, { name: 'x' }) })] }),
      'deny HR-ID-063',
    ],
    ['with another subject is denied', input(other, { requests: [ofOther()] }), 'deny HR-ID-009'],
    ['with a revoked key is denied', input(fresh, { entries: [revoked(recorded)], requests: [estRequest(fresh, csr)] }), 'deny HR-ID-032'],
    [
      'with the key of another device is denied',
      input(fresh, { entries: [entry(other, certificate)], requests: [estRequest(fresh, csr)] }),
      'deny HR-ID-031',
    ],
    [
      'with the key that another manifest claims is denied',
      input(fresh, { requests: [estRequest(fresh, csr)], claimantOfKey: () => 'berlin/thermo-1' }),
      'deny HR-ID-031',
    ],
    [
      'with a key for which another device asks at this moment is denied',
      input(fresh, { requests: [estRequest(fresh, csr)], keyInFlight: () => 'berlin/thermo-1' }),
      'deny HR-ID-031',
    ],
    [
      'with a key that has a valid certificate is denied before the renewal window',
      input(enrolled, { entries: [recorded], requests: [estRequest(enrolled, csr, { proof: withCertificate })] }),
      'deny HR-ID-033',
    ],
    [
      'with that key is approved inside the window',
      input(enrolled, {
        now: NOW + 600 * HOUR,
        entries: [recorded],
        requests: [estRequest(enrolled, csr, { proof: withCertificate, createdAt: NOW + 600 * HOUR })],
      }),
      'approve',
    ],
    [
      'for a serial number that another device has is denied',
      input(fresh, { firstWithSerial: 'berlin/thermo-1', requests: [estRequest(fresh, csr)] }),
      'deny HR-ID-030',
    ],
    ['that was signed is recorded', input(fresh, { requests: [estRequest(fresh, csr, { state: 'issued', certificate })] }), 'record'],
    [
      'that was signed otherwise than asked is not',
      input(fresh, { requests: [estRequest(fresh, csr, { state: 'issued', certificate: renewed })] }),
      'stalled CertificateNotAsAsked',
    ],
    [
      'that was recorded stays a while for a client that lost the answer',
      input(enrolled, { entries: [recorded], requests: [estRequest(fresh, csr, { state: 'issued', certificate })] }),
      'requeue TidyUp',
    ],
    [
      'is deleted ten minutes later',
      input(enrolled, {
        entries: [recorded],
        requests: [estRequest(fresh, csr, { state: 'issued', certificate, createdAt: NOW - 700_000, failedAt: iso(NOW - 601_000) })],
      }),
      'delete',
    ],
    [
      'that was denied is deleted ten minutes later',
      input(fresh, { requests: [estRequest(fresh, csr, { state: 'denied', createdAt: NOW - 700_000, failedAt: iso(NOW - 601_000) })] }),
      'delete',
    ],
    ['of a revoked device is deleted', input(fresh, { lifecycle: 'Revoked', requests: [estRequest(fresh, csr)] }), 'delete'],
    [
      'of a revoked device that was signed is recorded, so that it is revoked',
      input(fresh, { lifecycle: 'Revoked', requests: [estRequest(fresh, csr, { state: 'issued', certificate })] }),
      'record',
    ],
    [
      'made by somebody else is none of ours',
      input(fresh, { requests: [estRequest(fresh, csr, { change: (o) => Object.assign(o.spec, { username: 'mallory' }) })] }),
      'done',
    ],
    ['is none when there is no EST server', input(fresh, { est: undefined, requests: [estRequest(fresh, csr)] }), 'stalled NoEstServer'],
    [
      'serves a Managed device too',
      input(gateway(), {
        managed: certificateOf(gateway(), { ready: true }),
        entries: [entry(gateway(), certificate)],
        requests: [estRequest(gateway(), nextCsr, { proof: withCertificate })],
      }),
      'approve',
    ],
  ])('%s', (_name, given, expected) => expect(verdictOf(decide(given))).toBe(expected));

  it('waits while a certificate for the same key is being made for the same device, and is denied after it', () => {
    const first = estRequest(fresh, csr, { state: 'approved', id: 'a' });
    const second = estRequest(fresh, csr, { id: 'b', change: (o) => Object.assign(o.metadata, { name: 'second' }) });
    expect(verdictOf(decide(input(fresh, { requests: [first, second] })))).toBe('waiting Issuing');
    const issued = estRequest(fresh, csr, { state: 'issued', certificate, id: 'a' });
    expect(verdictOf(decide(input(fresh, { entries: [recorded], requests: [issued, second] })))).toBe('deny HR-ID-063');
  });

  function ofOther(): RequestFacts {
    return estRequest(other, csr, {});
  }
  function gateway() {
    return device({ identity: { enrollment: 'Managed', secretName: 'gateway-tls' } });
  }
});

describe('a device that enrols by EST', () => {
  it('waits for the device, without work for the operator', () => {
    const decision = decide(input(fresh));
    expect(decision).toMatchObject({
      answer: { outcome: { kind: 'done' }, certified: { status: 'False', reason: 'AwaitingEnrolment' } },
    });
  });

  it('shows the certificate as soon as it is recorded', () => {
    const issued = estRequest(fresh, csr, { state: 'issued', certificate });
    const decision = decide(input(fresh, { requests: [issued], entries: [recorded] }));
    expect(decision).toMatchObject({
      answer: { certificate: issued.certificate, entry: recorded, certified: { status: 'True' }, cleanup: [] },
    });
  });

  it('shows the newer of two, and does not go back', () => {
    const both = [
      estRequest(fresh, csr, { state: 'issued', certificate }),
      estRequest(fresh, nextCsr, { state: 'issued', certificate: renewed }),
    ];
    const entries = [recorded, recordedNext];
    expect(decide(input(enrolled, { requests: both, entries }))).toMatchObject({ answer: { certificate: renewed } });
    const after = device({ identity: { enrollment: 'EST' }, certificate: renewed });
    expect(decide(input(after, { requests: both, entries }))).toMatchObject({
      answer: { certificate: renewed, entry: recordedNext, outcome: { reason: 'TidyUp' } },
    });
  });

  it('shows the later of two of one second, and the one whose request is gone as the older', () => {
    const [early, late] = ['3', '12'].map((resourceVersion, n) => {
      const pem = n === 0 ? twin : certificate;
      return { ...estRequest(fresh, n === 0 ? nextCsr : csr, { state: 'issued', certificate: pem }), resourceVersion };
    }) as [RequestFacts, RequestFacts];
    const entries = [recorded, entry(fresh, twin, { via: 'EST' })];
    for (const requests of [
      [early, late],
      [late, early],
    ])
      expect(decide(input(fresh, { requests, entries }))).toMatchObject({ answer: { certificate } });
    const shows = (pem: string) => device({ identity: { enrollment: 'EST' }, certificate: pem });
    expect(decide(input(shows(twin), { requests: [late], entries }))).toMatchObject({ answer: { certificate } });
    expect(decide(input(shows(certificate), { requests: [early, late], entries }))).toMatchObject({
      answer: { certificate, outcome: { reason: 'TidyUp' } },
    });
  });

  it('is told when its certificate has expired', () => {
    const decision = decide(input(enrolled, { now: NOW + 720 * HOUR, entries: [recorded] }));
    expect(decision).toMatchObject({ answer: { certified: { status: 'False', reason: 'CertificateExpired' } } });
  });
});

describe('a device with a CSR in its manifest that renewed by EST', () => {
  const manifest = device({ identity: { csr } });
  const byCsr = entry(manifest, certificate);
  const byEst = { ...entry(manifest, renewed, { via: 'EST' }), replaces: byCsr.spki };
  const shown = device({ identity: { csr }, certificate: renewed });

  it('shows the new certificate', () => {
    const issued = estRequest(manifest, nextCsr, { state: 'issued', certificate: renewed });
    const before = device({ identity: { csr }, certificate });
    expect(decide(input(before, { requests: [issued], entries: [byCsr, byEst] }))).toMatchObject({
      answer: { certificate: renewed, entry: byEst },
    });
  });

  it.each<Case>([
    ['is left alone: the old request is no wish to go back', input(shown, { entries: [byCsr, byEst] }), 'requeue RenewalDue'],
    ['also when the old certificate has left the ledger', input(shown, { entries: [byEst] }), 'requeue RenewalDue'],
    [
      'is not renewed from the manifest when the window opens',
      input(shown, { now: NOW + 600 * HOUR, entries: [byEst] }),
      'requeue RenewalDue',
    ],
    [
      'is re-keyed by another request in the manifest',
      input(device({ identity: { csr: thirdCsr }, certificate: renewed }), { entries: [byCsr, byEst] }),
      'create',
    ],
  ])('%s', (_name, given, expected) => expect(verdictOf(decide(given))).toBe(expected));
});

describe('one key at a time', () => {
  it('of two devices that ask for the same key at once never both are approved, in whatever order they are looked at', () => {
    const states: RequestState[] = ['new', 'approved', 'issued', 'denied', 'failed'];
    const side = fc.record({ state: fc.constantFrom(...states), at: fc.integer({ min: 0, max: 2 }) });
    fc.assert(
      fc.property(side, side, fc.boolean(), (a, b, firstA) => {
        const of = { a: device({ uid: 'a' }), b: device({ name: 'thermo-1', uid: 'b' }) };
        const make = (id: 'a' | 'b', s: typeof a): RequestFacts =>
          estRequest(of[id], csr, { state: s.state, createdAt: NOW + s.at * 1000, id });
        const requests = { a: make('a', a), b: make('b', b) };
        const live = new Map(Object.entries(requests));
        const grant = (id: 'a' | 'b'): void => {
          const mine = live.get(id) as RequestFacts;
          if (mine.state !== 'new') return;
          if (keyInFlight([...live.values()], { est: EST, uid: id }, mine) === undefined) live.set(id, { ...mine, state: 'approved' });
        };
        for (const id of firstA ? (['a', 'b', 'a'] as const) : (['b', 'a', 'b'] as const)) grant(id);
        const granted = [...live.values()].filter((r) => r.state === 'approved' || r.state === 'issued');
        const before = [a, b].filter((s) => s.state === 'approved' || s.state === 'issued').length;
        expect(granted.length).toBeLessThanOrEqual(Math.max(1, before));
        if (a.state === 'new' && b.state === 'new') expect(granted).toHaveLength(1);
      }),
    );
  });

  it('a CSR in a manifest waits behind a request of the EST server for the same key', () => {
    const manifest = device({ identity: { csr } });
    expect(said(decide(input(manifest, { keyInFlight: () => 'berlin/thermo-1' })))).toBe('stalled DuplicateKey');
    expect(request(manifest).username).toBe(SELF);
  });
});

describe('the ledger', () => {
  it('keeps an expired entry as long as its device may re-enrol with it', () => {
    const kept = { ...recorded, keepUntil: iso(Date.parse(recorded.notAfter) + 3 * DAY) };
    const later = (ms: number): number => Date.parse(recorded.notAfter) + ms;
    expect(isExpendable(recorded, later(2 * HOUR))).toBe(true);
    expect(isExpendable(kept, later(2 * DAY))).toBe(false);
    expect(isExpendable(kept, later(3 * DAY + 2 * HOUR))).toBe(true);
  });
});
