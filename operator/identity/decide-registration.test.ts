import { describe, expect, it, vi } from 'vitest';
import { readPem } from './chain.ts';
import { verifyCsr } from './csr.ts';
import {
  decideRegistration,
  type EnrollmentState,
  enrollmentState,
  type RegistrationDecision,
  type RegistrationInput,
} from './decide-registration.ts';
import { createDeviceProjection, type DeviceFacts } from './device-facts.ts';
import type { EnrollmentPolicy } from './enrollment-policy.ts';
import { ERRORS, explain, type IdentityCode } from './errors.ts';
import { evidenceOf, factoryIdentity, judgeEvidence } from './evidence.ts';
import { type FactoryIdentity, registeredDevice, registeredName } from './registered-device.ts';
import { newRegistrationRequest, type RequestFacts, requestFacts } from './request-facts.ts';
import type { Subject } from './subject.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { createMaker, newKeys } from './testing/maker.ts';
import { EST, entry, HOUR, ISSUER, iso, NOW } from './testing/scene.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const maker = await createMaker();
const line = await maker.line('Line 7');
const shown = await line.device('A1B2');
const path = [...(readPem(shown.cert) ?? []), ...(readPem(maker.caPem) ?? [])];
const identity = factoryIdentity(path) as FactoryIdentity;
const NAME = registeredName(identity, 'berlin') as string;
const csr = await makeCsr({ device: NAME });
const project = createDeviceProjection();
const POLICY: EnrollmentPolicy = {
  key: 'berlin/office',
  uid: 'u-policy',
  resourceVersion: '1',
  name: 'office',
  namespace: 'berlin',
  secretRef: { name: 'maker', key: 'ca.crt' },
  pinned: [maker.fingerprint],
  justInTime: { lists: [{ name: 'serials', key: 'list' }], patterns: [], maximum: 10, approval: 'Auto' },
};
const lists = (...all: string[][]): RegistrationInput['lists'] => ({
  lists: all.map((list) => {
    const counts = new Map<string, number>();
    for (const serial of list) counts.set(serial, (counts.get(serial) ?? 0) + 1);
    return counts;
  }),
});
const terms = (change: Partial<NonNullable<EnrollmentPolicy['justInTime']>>): EnrollmentPolicy => ({
  ...POLICY,
  justInTime: { ...(POLICY.justInTime as NonNullable<EnrollmentPolicy['justInTime']>), ...change },
});

/** The Device that this or another request has made. */
function made(change: Partial<FactoryIdentity> & { name?: string; request?: string } = {}): DeviceFacts {
  const { name = NAME, request = 'another-request', ...other } = change;
  const object = registeredDevice({ name, namespace: 'berlin', segment: 'office' }, { ...identity, ...other }, request);
  Object.assign(object.metadata, { uid: `uid-of-${name}`, creationTimestamp: iso(NOW - HOUR) });
  return project(object);
}

type Change = {
  state?: RequestFacts['state'];
  csr?: string;
  segment?: string;
  path?: typeof path;
  by?: string;
  failedAt?: string;
  change?: (r: RequestFacts) => void;
};
function request(change: Change = {}): RequestFacts {
  const device = made();
  const verdict = verifyCsr(change.csr ?? csr, device.subject as Subject);
  const good = verdict.ok ? verdict : { pem: change.csr ?? csr, hash: 'none' };
  const evidence = evidenceOf(change.segment ?? 'office', NAME, change.path ?? path);
  if (evidence === undefined) throw new Error('the path is too long');
  const proof = { how: 'Manufacturer', ca: identity.ca, key: identity.factoryKey } as const;
  const object = newRegistrationRequest(device, good, ISSUER.ref, proof, evidence);
  Object.assign(object.metadata, { uid: 'this-request', resourceVersion: '7', creationTimestamp: iso(NOW - 1_000) });
  object.spec.username = change.by ?? EST;
  const facts: RequestFacts = { ...requestFacts(object), state: change.state ?? 'new', failedAt: change.failedAt };
  change.change?.(facts);
  return facts;
}

function input(change: Partial<RegistrationInput> = {}): RegistrationInput {
  const asked = change.request ?? request();
  return {
    now: NOW,
    request: asked,
    identity: asked.registers === undefined ? undefined : judgeEvidence(asked.registers, change.now ?? NOW),
    est: EST,
    ledger: { synced: true, problem: undefined },
    policy: POLICY,
    lists: lists(['A1B2', 'C3D4']),
    issuer: ISSUER.key,
    named: undefined,
    withSerial: () => [],
    registered: 0,
    factsOf: project,
    ofKey: () => [],
    pendingOfKey: () => undefined,
    claimantOfKey: () => undefined,
    keyInFlight: () => undefined,
    ...change,
  };
}
const said = (decision: RegistrationDecision): string => (decision.do === 'deny' ? `deny ${decision.code}` : decision.do);
const certificate = await issue(csr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });
const recorded = entry(made(), certificate);

const otherMaker = await createMaker('Maker root');
const twin = await maker.device('A1B2', { keys: await newKeys() });
const twinIdentity = factoryIdentity([...(readPem(twin.cert) ?? []), ...(readPem(maker.caPem) ?? [])]) as FactoryIdentity;
const forged = [...(readPem((await otherMaker.device('A1B2')).cert) ?? []), ...(readPem(maker.caPem) ?? [])];
const otherName = await makeCsr({ device: 'thermo-1' });

describe('a device without a Device', () => {
  it('whose serial number is on a list of its maker becomes the Device that its factory certificate stands for', () => {
    const decision = decideRegistration(input());
    expect(decision).toEqual({
      do: 'register',
      device: registeredDevice({ name: NAME, namespace: 'berlin', segment: 'office' }, identity, 'this-request'),
    });
  });

  const manual = terms({ approval: 'Manual' });
  it.each<[string, Partial<RegistrationInput>, string]>([
    ['asked by somebody else than the EST server: not looked at', { request: request({ by: 'mallory' }) }, 'nothing'],
    ['that has its Device already', { named: made({ request: 'this-request' }) }, 'nothing'],
    ['while the ledger is not read: later', { ledger: { synced: false, problem: undefined } }, 'wait'],
    ['while the ledger is broken: later', { ledger: { synced: true, problem: 'x' } }, 'wait'],
    ['whose certificates are none of a way to the CA', { request: request({ path: forged }) }, 'deny HR-ID-080'],
    ['whose way to the CA is cut', { request: request({ path: path.slice(0, 2) }) }, 'deny HR-ID-080'],
    ['whose evidence is junk', { identity: undefined }, 'deny HR-ID-080'],
    ['whose name is that of another device', { identity: { ...identity, serial: 'C3D4' } }, 'deny HR-ID-080'],
    [
      'whose proof names another key than its certificate has',
      { request: request({ change: (r) => Object.assign(r, { est: { how: 'Manufacturer', ca: identity.ca, key: 'f'.repeat(64) } }) }) },
      'deny HR-ID-080',
    ],
    ['for a segment that is not there', { policy: undefined }, 'deny HR-ID-081'],
    ['for a segment that wants manifests', { policy: { ...POLICY, justInTime: undefined } }, 'deny HR-ID-081'],
    ['of a maker whose CA the policy does not name', { policy: { ...POLICY, pinned: ['e'.repeat(64)] } }, 'deny HR-ID-082'],
    ['with the request of another name', { request: request({ csr: otherName }) }, 'deny HR-ID-009'],
    ['that asks for a CA', { request: request({ change: (r) => Object.assign(r, { isCa: true }) }) }, 'deny HR-ID-063'],
    ['that asks another issuer', { issuer: 'Issuer/berlin/other' }, 'deny HR-ID-063'],
    ['that is on no list', { lists: lists(['C3D4']) }, 'deny HR-ID-083'],
    ['that stands twice on a list', { lists: lists(['A1B2', 'A1B2']) }, 'deny HR-ID-084'],
    ['that stands on two lists', { lists: lists(['A1B2'], ['C3D4', 'A1B2']) }, 'deny HR-ID-084'],
    ['when a list cannot be read', { lists: { problem: 'ConfigMap serials does not exist' } }, 'deny HR-ID-088'],
    ['where a person decides', { policy: manual }, 'deny HR-ID-086'],
    ['that only a pattern knows', { policy: terms({ patterns: ['A1*'], approval: 'Manual' }), lists: lists([]) }, 'deny HR-ID-086'],
    [
      'that only a pattern knows, whatever the policy says of approval',
      { policy: terms({ patterns: ['A1*'] }), lists: lists([]) },
      'deny HR-ID-086',
    ],
    ['that no pattern knows', { policy: terms({ patterns: ['B*'], approval: 'Manual' }), lists: lists([]) }, 'deny HR-ID-083'],
    [
      'of a serial number that another device of the maker has come in with',
      { named: made({ factoryKey: twinIdentity.factoryKey }) },
      'deny HR-ID-085',
    ],
    ['whose Device was made for another request of it this moment', { named: made() }, 'deny HR-ID-085'],
    [
      'whose serial number a Device with a manifest has',
      { withSerial: () => [{ ...made({ name: 'by-hand' }), factory: undefined }] },
      'deny HR-ID-030',
    ],
    [
      'whose serial number a device of another maker has',
      { withSerial: () => [made({ name: 'other-maker', ca: otherMaker.fingerprint })] },
      'register',
    ],
    ['when the policy has made its last', { registered: 10 }, 'deny HR-ID-087'],
    ['when one is left', { registered: 9 }, 'register'],
    ['whose key another Device has', { claimantOfKey: () => 'berlin/thermo-1' }, 'deny HR-ID-031'],
    ['whose key another device asks for', { keyInFlight: () => 'berlin/thermo-1' }, 'deny HR-ID-031'],
    ['whose key was revoked', { ofKey: () => [{ ...recorded, revoked: { at: iso(NOW), reason: 'Retired', by: 'x' } }] }, 'deny HR-ID-032'],
    ['whose key has a certificate that nobody has revoked yet', { ofKey: () => [{ ...recorded, deviceUid: 'gone' }] }, 'deny HR-ID-031'],
  ])('%s (%#)', (_name, change, expected) => expect(said(decideRegistration(input(change)))).toBe(expected));

  it('is told what to do, and a person gets the whole manifest in one line that an Event can hold', () => {
    const decision = decideRegistration(input({ policy: manual }));
    if (decision.do !== 'deny') throw new Error(decision.do);
    expect(decision.message).toMatch(/^HR-ID-086: .*A1B2.* Cure: if it is yours: echo '\{.*\}' \| kubectl apply -f -$/);
    expect(Buffer.byteLength(decision.message)).toBeLessThan(1_000);
    const manifest = JSON.parse(/echo '(.*)' \|/.exec(decision.message)?.[1] ?? '');
    expect(manifest).toMatchObject({
      kind: 'Device',
      metadata: { name: NAME, namespace: 'berlin' },
      spec: { hardware: { serial: 'A1B2' } },
    });
  });

  it('says code, what was found and the cure once, for each of its codes', () => {
    const situations: Partial<Record<IdentityCode, Partial<RegistrationInput>>> = {
      'HR-ID-080': { identity: undefined },
      'HR-ID-081': { policy: undefined },
      'HR-ID-082': { policy: { ...POLICY, pinned: [] } },
      'HR-ID-083': { lists: lists([]) },
      'HR-ID-084': { lists: lists(['A1B2', 'A1B2']) },
      'HR-ID-085': { named: made() },
      'HR-ID-086': { policy: manual },
      'HR-ID-087': { registered: 10 },
      'HR-ID-088': { lists: { problem: 'ConfigMap serials does not exist' } },
    };
    expect(Object.keys(situations)).toEqual(Object.keys(ERRORS).filter((code) => code.startsWith('HR-ID-08')));
    for (const [code, change] of Object.entries(situations)) {
      const decision = decideRegistration(input(change));
      expect(decision).toMatchObject({ do: 'deny', code, message: expect.stringMatching(new RegExp(`^${code}: \\S.+\\. Cure: \\S.+`)) });
      expect(decision.do === 'deny' && decision.message.split('Cure: ')).toHaveLength(2);
    }
  });
});

describe('a request whose Device is not there', () => {
  const gone = (state: RequestFacts['state'], secondsAgo: number): string =>
    said(decideRegistration(input({ request: request({ state, failedAt: iso(NOW - secondsAgo * 1_000) }) })));
  it('goes, a denied one a minute after the denial', () => {
    expect([gone('denied', 30), gone('denied', 61), gone('failed', 61), gone('approved', 0), gone('issued', 0)]).toEqual([
      'wait',
      'delete',
      'delete',
      'delete',
      'delete',
    ]);
  });

  it('is left alone while the Device that it was made for is there', () => {
    for (const state of ['approved', 'issued', 'denied', 'failed'] as const)
      expect(said(decideRegistration(input({ request: request({ state }), named: made({ request: 'this-request' }) })))).toBe('nothing');
  });
});

describe('what a SegmentPolicy says of it', () => {
  const state = (
    policy: EnrollmentPolicy,
    change: { lists?: RegistrationInput['lists']; registered?: number; est?: string } = {},
  ): EnrollmentState | undefined =>
    enrollmentState(policy, change.lists ?? lists(['A1B2']), change.registered ?? 0, 'est' in change ? change.est : EST);
  it.each<[string, EnrollmentState | undefined, string | undefined]>([
    ['a policy that wants manifests says nothing', state({ ...POLICY, justInTime: undefined }), undefined],
    ['open', state(POLICY), 'True Open'],
    ['a list that cannot be read', state(POLICY, { lists: { problem: 'ConfigMap serials does not exist' } }), 'False SerialListUnreadable'],
    ['full', state(POLICY, { registered: 10 }), 'False MaximumReached'],
    ['a person decides', state(terms({ approval: 'Manual' })), 'False ApprovalNeeded'],
    ['there is no EST server', enrollmentState(POLICY, lists([]), 0, undefined), 'False NoEstServer'],
  ])('%s', (_name, found, expected) => expect(found && `${found.status} ${found.reason}`).toBe(expected));

  it('holds no number that changes with every device', () => {
    expect(state(POLICY, { registered: 3 })).toEqual(state(POLICY, { registered: 4 }));
    expect(state(POLICY, { lists: { problem: 'x' } })?.message).toBe(explain('HR-ID-088', 'x'));
  });
});
