import { describe, expect, it } from 'vitest';
import { decide, type Input, type TrustState } from './decide.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { certificateOf, device, entry, estRequest, HOUR, input, managedRequest, NOW, request, said } from './testing/scene.ts';

const [first, second, gatewayCsr] = [await makeCsr(), await makeCsr(), await makeCsr({ device: 'gateway-1', segment: 'gateways' })];
const lifetime = { notBefore: NOW - HOUR, notAfter: NOW + 719 * HOUR };
const [old, renewed, ofGateway] = [await issue(first, lifetime), await issue(second, lifetime), await issue(gatewayCsr, lifetime)];

const fresh = device({ identity: { csr: first } });
const rekeyed = device({ identity: { csr: second }, certificate: old });
const byEst = device({ identity: { enrollment: 'EST' } });
const gateway = device({ name: 'gateway-1', segment: 'gateways', identity: { enrollment: 'Managed' } });
const has = entry(fresh, old);
const managed = certificateOf(gateway, { ready: true });
const signed = { state: 'issued', certificate: renewed } as const;

const DEVICES: Record<string, Input> = {
  'a first certificate': input(fresh, { requests: [request(fresh, { state: 'issued', certificate: old })] }),
  'a new certificate of a device that has one': input(rekeyed, { entries: [has], requests: [request(rekeyed, signed)] }),
  'a first certificate by EST': input(byEst, { requests: [estRequest(byEst, second, signed)] }),
  'a new certificate by EST': input(byEst, { entries: [has], requests: [estRequest(byEst, second, signed)] }),
  'a certificate in a Secret': input(gateway, {
    managed,
    requests: [managedRequest(gateway, gatewayCsr, { state: 'issued', certificate: ofGateway })],
  }),
};

describe.each<[string, Record<TrustState, string>]>([
  ['a first certificate', { none: 'record', new: 'announce', waiting: 'record', trusted: 'record' }],
  [
    'a new certificate of a device that has one',
    { none: 'record', new: 'announce', waiting: 'waiting CaNotTrustedYet', trusted: 'record' },
  ],
  ['a first certificate by EST', { none: 'record', new: 'announce', waiting: 'waiting CaNotTrustedYet', trusted: 'record' }],
  ['a new certificate by EST', { none: 'record', new: 'announce', waiting: 'waiting CaNotTrustedYet', trusted: 'record' }],
  ['a certificate in a Secret', { none: 'record', new: 'announce', waiting: 'record', trusted: 'record' }],
])('%s', (which, expected) => {
  it.each(Object.entries(expected) as [TrustState, string][])('of a CA whose state is %s: %s', (state, what) => {
    expect(said(decide({ ...(DEVICES[which] as Input), trust: () => state }))).toBe(what);
  });
});

describe('a first certificate whose CA the broker does not trust yet', () => {
  const asked = (secondsAgo: number): Input => {
    const first = DEVICES['a first certificate by EST'] as Input;
    const createdAt = new Date(NOW - secondsAgo * 1_000).toISOString();
    return { ...first, requests: first.requests.map((one) => ({ ...one, createdAt })), trust: () => 'waiting' };
  };
  it('waits some seconds, so that who waits for Ready can connect', () =>
    expect([0, 9].map((ago) => said(decide(asked(ago))))).toEqual(['waiting CaNotTrustedYet', 'waiting CaNotTrustedYet']));
  it('waits no longer: the broker may be away for hours', () => expect(said(decide(asked(10)))).toBe('record'));
});

describe('a device that waits for its CA', () => {
  it('keeps what it has, and stays certified', () => {
    const decision = decide({ ...(DEVICES['a new certificate of a device that has one'] as Input), trust: () => 'waiting' });
    if (decision.do !== 'answer') throw new Error(decision.do);
    const { certified, certificate, entry: shown } = decision.answer;
    expect([certified.status, certificate, shown?.serial]).toEqual(['True', old, has.serial]);
  });

  it('is given the new one when the old one ends meanwhile: it has nothing to lose any more', () => {
    const late = { ...(DEVICES['a new certificate by EST'] as Input), now: NOW + 719 * HOUR - 1, trust: () => 'waiting' as const };
    expect(said(decide(late))).toBe('waiting CaNotTrustedYet');
    expect(said(decide({ ...late, ofDevice: [{ ...has, notAfter: new Date(NOW).toISOString() }] }))).toBe('record');
  });

  it('has it recorded, and with it revoked, when it is revoked meanwhile', () => {
    const revoked = { ...(DEVICES['a new certificate by EST'] as Input), lifecycle: 'Revoked' as const, trust: () => 'waiting' as const };
    expect(said(decide(revoked))).toBe('record');
  });
});
