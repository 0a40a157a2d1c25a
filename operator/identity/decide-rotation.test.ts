import { describe, expect, it, vi } from 'vitest';
import { type Decision, decide, type Input } from './decide.ts';
import { renewalOf } from './decide-rotation.ts';
import type { LedgerEntry } from './ledger-entry.ts';
import { type Rotation, renewAt } from './renewal.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { certificateOf, device, entry, estRequest, HOUR, input, iso, managedRequest, NOW, request, said } from './testing/scene.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const csr = await makeCsr();
const newCsr = await makeCsr();
const thirdCsr = await makeCsr();
const lifetime = { notBefore: NOW - 2 * HOUR, notAfter: NOW + 718 * HOUR };
const certificate = await issue(csr, lifetime);
const again = await issue(csr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });
const byEst = await issue(newCsr, { notBefore: NOW - HOUR, notAfter: NOW + 719 * HOUR });

const thief = await issue(thirdCsr, { notBefore: NOW - 15_000, notAfter: NOW + 720 * HOUR });
const gatewayCsr = await makeCsr({ device: 'gateway-1', segment: 'gateways' });
const gatewayCertificate = await issue(gatewayCsr, lifetime);

const fresh = device({ identity: { csr } });
const certified = device({ identity: { csr }, certificate });
const recorded = entry(fresh, certificate);
const est = device({ identity: { enrollment: 'EST', est: { bootstrap: 'Token' } }, certificate });
const AT = iso(NOW - 10_000);
const asked: Rotation = { at: AT };
const lost: Rotation = { at: AT, compromised: { at: AT, by: 'Intervention r1 of alice' } };
const successor = (e: LedgerEntry): LedgerEntry => ({ ...e, afterRotation: AT });
const compromised = (e: LedgerEntry): LedgerEntry => ({ ...e, revoked: { at: iso(NOW), reason: 'Compromised', by: 'alice' } });
const early = (createdAt: number) => ({
  change: (o: { metadata: object }) => void Object.assign(o.metadata, { creationTimestamp: iso(createdAt) }),
});

type Case = [name: string, input: Input, expected: string];

describe('a device with its own key that is to renew', () => {
  it.each<Case>([
    ['gets a certificate for the same request at once', input(certified, { rotation: asked, entries: [recorded] }), 'create'],
    [
      'once',
      input(device({ identity: { csr }, certificate: again }), { rotation: asked, entries: [recorded, successor(entry(fresh, again))] }),
      'requeue RenewalDue',
    ],
    [
      'not by a Rotate that its certificate comes after',
      input(certified, { rotation: asked, entries: [successor(recorded)] }),
      'requeue RenewalDue',
    ],
    [
      'and renews by EST is not certified from its old request',
      input(device({ identity: { csr }, certificate: byEst }), {
        rotation: asked,
        entries: [entry(fresh, byEst, { via: 'EST', replaces: recorded.spki })],
      }),
      'requeue RenewalDue',
    ],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));

  it('keeps the certificate that it has, valid', () => {
    const decision = decide(
      input(certified, { rotation: asked, entries: [recorded], issuer: { ...input(fresh).issuer, state: 'missing' } }),
    );
    expect(decision).toMatchObject({ answer: { certified: { status: 'True' }, outcome: { kind: 'stalled' } } });
  });
});

describe('a device that renews by EST and is to renew', () => {
  const sameKey = (rotation: Rotation | undefined): Input =>
    input(est, {
      rotation,
      entries: [entry(est, certificate, { via: 'EST' })],
      requests: [estRequest(est, csr, { proof: { how: 'Certificate', sha256: recorded.sha256 } })],
    });

  it('may ask with the same key before its time', () => {
    expect(decide(sameKey(undefined))).toMatchObject({ do: 'deny', message: expect.stringContaining('HR-ID-033') });
    expect(said(decide(sameKey(asked)))).toBe('approve');
  });
});

describe('a device whose key is in other hands', () => {
  const keyOnly = (message: string) => expect.stringContaining(message);

  it.each<Case>([
    ['has its certificate revoked', input(certified, { rotation: lost, entries: [recorded] }), 'revoke'],
    [
      'also while somebody else may approve requests',
      input(certified, { rotation: lost, entries: [recorded], openApprovers: ['x'] }),
      'revoke',
    ],
    [
      'also one that has expired, because it could re-enrol by EST',
      input(certified, { rotation: lost, now: NOW + 800 * HOUR, entries: [recorded] }),
      'revoke',
    ],
    [
      'also of a revoked Device, an expired one too',
      input(certified, { rotation: lost, lifecycle: 'Revoked', now: NOW + 800 * HOUR, entries: [recorded] }),
      'revoke',
    ],
    ['waits for a new key', input(certified, { rotation: lost, entries: [compromised(recorded)] }), 'stalled KeyRevoked'],
    [
      'has what was signed for the old key meanwhile recorded, so that it is revoked too',
      input(certified, {
        rotation: lost,
        entries: [compromised(recorded)],
        requests: [request(certified, { state: 'issued', certificate: again, ...early(NOW - 20_000) })],
      }),
      'record',
    ],
    [
      'gets a certificate for a new request',
      input(device({ identity: { csr: newCsr }, certificate }), { rotation: lost, entries: [compromised(recorded)] }),
      'create',
    ],
    [
      'keeps the certificate of its new key',
      input(device({ identity: { csr: newCsr }, certificate: byEst }), {
        rotation: lost,
        entries: [compromised(recorded), successor(entry(fresh, byEst))],
      }),
      'requeue RenewalDue',
    ],
    [
      'is not touched by a Rotate from before its certificate',
      input(certified, { rotation: lost, entries: [successor(recorded)] }),
      'requeue RenewalDue',
    ],
    [
      'loses the certificate of a namesake’s uid to nobody',
      input(certified, { rotation: lost, entries: [successor(recorded), entry(device({ uid: 'older', identity: { csr } }), again)] }),
      'requeue RenewalDue',
    ],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));

  it('has all of them revoked, under the word of who said so', () => {
    const second = entry(fresh, byEst, { via: 'EST', replaces: recorded.spki });
    expect(decide(input(certified, { rotation: lost, entries: [recorded, second] }))).toEqual({
      do: 'revoke',
      ids: [recorded.id, second.id],
      reason: 'Compromised',
      by: 'Intervention r1 of alice',
    });
  });

  it('and enrols by EST needs a new token, and says so', () => {
    const decision = decide(input(est, { rotation: lost, entries: [compromised(recorded)] }));
    expect(decision).toMatchObject({ answer: { certified: { reason: 'NewKeyNeeded', message: keyOnly('HR-ID-065') } } });
  });

  it('and by EST asked with the old key a moment ago has that request taken away, to ask again with a new one', () => {
    const old = estRequest(est, newCsr, { createdAt: NOW - 20_000 });
    expect(said(decide(input(est, { rotation: lost, entries: [compromised(recorded)], requests: [old] })))).toBe('delete');
    const later = estRequest(est, newCsr, { createdAt: NOW - 5_000 });
    expect(said(decide(input(est, { rotation: lost, entries: [compromised(recorded)], requests: [later] })))).toBe('approve');
  });

  it('and whose old certificate asked for another by EST in time has that one revoked too', () => {
    const requests = [estRequest(est, thirdCsr, { state: 'issued', certificate: thief, createdAt: NOW - 20_000 })];
    expect(said(decide(input(est, { rotation: lost, entries: [compromised(recorded)], requests })))).toBe('record');
    const unstamped = entry(est, thief, { via: 'EST' });
    expect(decide(input(est, { rotation: lost, entries: [compromised(recorded), unstamped], requests }))).toMatchObject({
      do: 'revoke',
      ids: [unstamped.id],
    });
  });
});

describe('a Managed device', () => {
  const gateway = device({ name: 'gateway-1', uid: 'uid-g1', segment: 'gateways', identity: { enrollment: 'Managed' } });
  const inSecret = entry(gateway, gatewayCertificate, { via: 'Managed' });
  const world = (rotation: Rotation, entries: LedgerEntry[], change: Partial<Input> = {}): Input =>
    input(gateway, {
      rotation,
      entries,
      managed: certificateOf(gateway, { ready: true }),
      requests: [managedRequest(gateway, gatewayCsr, { state: 'issued', certificate: gatewayCertificate })],
      ...change,
    });

  it.each<Case>([
    ['that is to renew gets a new key from cert-manager', world(asked, [inSecret]), 'reissue'],
    ['not in the second of the Rotate itself', world({ at: iso(NOW) }, [inSecret]), 'waiting Issuing'],
    [
      'not while cert-manager is at it',
      world(asked, [inSecret], { managed: certificateOf(gateway, { ready: true, issuing: true }) }),
      'done',
    ],
    ['once', world(asked, [successor(inSecret)]), 'done'],
    ['whose key is in other hands has the certificate revoked first', world(lost, [inSecret]), 'revoke'],
    ['and then gets a new key', world(lost, [compromised(inSecret)], { looked: true }), 'reissue'],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));
});

describe('a request in the manifest whose key gave way to one by EST', () => {
  const successorByEst = entry(fresh, byEst, { via: 'EST', replaces: recorded.spki });
  const shown = device({ identity: { csr }, certificate: byEst });
  const late = { now: NOW + 900 * HOUR };

  it('is not certified again when that one has run out', () => {
    expect(decide(input(shown, { ...late, entries: [successorByEst] }))).toMatchObject({
      do: 'answer',
      answer: { certified: { status: 'False', reason: 'CertificateExpired' }, entry: successorByEst },
    });
  });
  it('nor when the ledger has let it go, for the status remembers', () => {
    expect(decide(input({ ...shown, replacedKey: recorded.spki }, late))).toMatchObject({
      answer: { certified: { reason: 'CertificateExpired' } },
    });
  });
  it('nor when that one was given up', () => {
    expect(said(decide(input(shown, { entries: [compromised(successorByEst)] })))).toBe('stalled KeyRevoked');
  });
  it('but another request is', () => {
    const rekeyed = device({ identity: { csr: thirdCsr }, certificate: byEst });
    expect(said(decide(input({ ...rekeyed, replacedKey: recorded.spki }, { ...late, entries: [successorByEst] })))).toBe('create');
  });
  it('and one that was renewed by EST with its own key is', () => {
    const same = entry(fresh, certificate, { via: 'EST', replaces: recorded.spki });
    expect(said(decide(input(certified, { ...late, entries: [same] })))).toBe('create');
  });
});

describe('a renewal that does not come', () => {
  const overdue = renewAt(recorded, certified) + (lifetime.notAfter - renewAt(recorded, certified)) / 2;
  const words = (from: Input): string | undefined => {
    const decision: Decision = decide(from);
    return decision.do === 'answer' ? renewalOf(from, decision.answer)?.overdue : decision.do;
  };
  const late = { now: overdue + 1_000 };
  const estEntry = entry(est, certificate, { via: 'EST' });
  const noIssuer = { issuer: { ...input(fresh).issuer, state: 'missing' as const } };

  it.each<[string, Input, string | undefined]>([
    ['is not told before half of what is left has gone by', input(est, { now: overdue - 1_000, entries: [estEntry] }), undefined],
    ['of a device that does not come back by EST is told', input(est, { ...late, entries: [estEntry] }), 'did not re-enrol by EST'],
    [
      'of a device with a request that came once by EST is told',
      input(certified, { ...late, entries: [entry(fresh, certificate, { via: 'EST', replaces: recorded.spki })] }),
      'did not re-enrol by EST',
    ],
    [
      'that is refused is told with the reason',
      input(certified, { ...late, entries: [recorded], ...noIssuer }),
      'cannot be: IssuerNotFound',
    ],
    [
      'is told of a certificate that has expired, too',
      input(est, { now: NOW + 800 * HOUR, entries: [estEntry] }),
      'did not re-enrol by EST',
    ],
    ['is not told of a revoked device', input(est, { ...late, lifecycle: 'Revoked', entries: [compromised(estEntry)] }), undefined],
  ])('%s', (_name, from, expected) => {
    const found = words(from);
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(new RegExp(`^HR-ID-066: certificate .*${expected}\\. Cure: \\S`));
  });

  it('is counted from the Rotate when somebody asked for it', () => {
    const from = input(est, { rotation: asked, entries: [estEntry] });
    const decision = decide(from);
    const renewal = decision.do === 'answer' ? renewalOf(from, decision.answer) : undefined;
    expect(renewal?.overdueAt).toBe(Math.floor((Date.parse(AT) + lifetime.notAfter) / 2));
  });
});
