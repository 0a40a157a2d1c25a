import { describe, expect, it } from 'vitest';
import type { DeviceStatus } from '../api/device.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import { type MoveInput, moveOf } from './move.ts';

const NOW = '2026-11-25T12:00:00.000Z';
const LATER = '2026-11-25T12:05:00.000Z';
const OFFICE = 'office.berlin';
const LAB = 'lab.berlin';

const certificate = (segment: string, change: Partial<LedgerEntry> = {}): LedgerEntry => ({
  id: `e-${segment}`,
  device: 'thermo-1.berlin',
  deviceUid: 'u1',
  segment,
  issuer: 'Issuer/berlin/site-ca',
  serial: '01',
  md5: segment,
  sha256: segment,
  spki: segment,
  notBefore: '2026-11-01T00:00:00Z',
  notAfter: '2026-12-01T00:00:00Z',
  via: 'CSR',
  ...change,
});
const over = (segment: string): LedgerEntry => certificate(segment, { revoked: { at: NOW, reason: 'Moved', by: 'hedgerow' } });

function input(change: Partial<MoveInput>): MoveInput {
  return {
    uid: 'u1',
    segment: LAB,
    lifecycle: 'Active',
    enrollment: 'CSR',
    entries: [certificate(OFFICE)],
    ownRules: { held: true, durable: true, connectedWith: OFFICE },
    banned: () => true,
    confirmed: true,
    before: undefined,
    now: NOW,
    ...change,
  };
}

/** The status after each of the changes, one after the other. */
function story(...changes: Partial<MoveInput>[]) {
  let before: DeviceStatus | undefined;
  return changes.map((change) => {
    const { condition, move } = moveOf(input({ before, ...change }));
    const type = 'SegmentInCertificate';
    before = {
      ...(move === undefined ? {} : { move }),
      conditions: condition === undefined ? [] : [{ type, ...condition, lastTransitionTime: NOW }],
    };
    return { reason: condition?.reason, from: move?.from, to: move?.to, steps: move?.steps.map(({ step }) => step), move, condition };
  });
}

describe('what the status says of a segment move', () => {
  it('nothing about a Device that is where its certificates say', () => {
    expect(moveOf(input({ segment: OFFICE, ownRules: { held: false, durable: true, connectedWith: undefined } }))).toEqual({
      condition: undefined,
      move: undefined,
    });
  });

  it('the steps in their order, from the first rights to the end', () => {
    const both = [certificate(OFFICE), certificate(LAB)];
    const ended = [over(OFFICE), certificate(LAB)];
    const inUse = { held: true, durable: true, connectedWith: LAB };
    const told = story(
      { confirmed: false, ownRules: { held: false, durable: true, connectedWith: undefined } },
      {},
      { entries: both },
      { entries: ended, ownRules: inUse },
      { entries: ended, ownRules: { ...inUse, held: false, durable: false } },
      { entries: ended, ownRules: { held: false, durable: true, connectedWith: undefined } },
      { entries: ended, ownRules: { held: false, durable: true, connectedWith: undefined }, now: LATER },
    );
    expect(told.map(({ reason }) => reason)).toEqual([
      'CertificateAwaited',
      'CertificateAwaited',
      'UseAwaited',
      'OldCertificatesGoing',
      'OldCertificatesGoing',
      undefined,
      undefined,
    ]);
    const all = ['RightsMoved', 'CertificateIssued', 'CertificateInUse', 'OldCertificatesOver', 'Done'];
    expect(told.map(({ steps }) => steps?.length)).toEqual([0, 1, 2, 4, 4, 5, 5]);
    expect(told.at(-1)).toMatchObject({ from: [OFFICE], to: LAB, steps: all });
    expect(told.at(-1)?.move).toEqual(told.at(-2)?.move);
  });

  it.each<[MoveInput['enrollment'], RegExp]>([
    ['CSR', /put a request of a new key with OU=lab[.]berlin into spec[.]identity[.]csr/],
    ['EST', /when it re-enrols/],
    ['Managed', /cert-manager issues/],
    ['Existing', /re-enrols by EST/],
  ])('says how a certificate of the new segment comes to a device of enrollment %s', (enrollment, words) => {
    expect(moveOf(input({ enrollment })).condition?.message).toMatch(words);
  });

  it('a younger certificate of the old segment than the one in use is named', () => {
    const entries = [certificate(OFFICE), certificate(LAB)];
    const { condition } = moveOf(input({ entries, ownRules: { held: true, durable: true, connectedWith: LAB } }));
    expect(condition).toMatchObject({ status: 'False', reason: 'YoungerCertificateOut' });
    expect(condition?.message).toContain(OFFICE);
  });

  it('no step is reported that a broker which is killed would forget', () => {
    const young = { held: true, durable: false, connectedWith: OFFICE };
    expect(story({ ownRules: young }, {}).map(({ steps }) => steps)).toEqual([[], ['RightsMoved']]);
  });

  it('old certificates are over when the broker was seen to ban them, in quarantine too', () => {
    const ended = { entries: [over(OFFICE), certificate(LAB)], lifecycle: 'Quarantined' as const };
    const told = story({}, { ...ended, banned: () => false }, ended);
    expect(told.map(({ reason }) => reason)).toEqual(['CertificateAwaited', 'OldCertificatesGoing', undefined]);
    expect(told.map(({ steps }) => steps?.includes('OldCertificatesOver'))).toEqual([false, false, true]);
  });

  it('a policy that is missing does not keep a move from its end', () => {
    const ended = { entries: [over(OFFICE), certificate(LAB)], confirmed: false };
    expect(story({}, { ...ended, ownRules: { held: false, durable: true, connectedWith: undefined } }).at(-1)?.reason).toBeUndefined();
  });

  it('moved back before anything was issued: over as soon as the rules of its own are gone', () => {
    const told = story({}, { segment: OFFICE }, { segment: OFFICE, ownRules: { held: false, durable: true, connectedWith: undefined } });
    expect(told.map(({ reason }) => reason)).toEqual(['CertificateAwaited', 'OldCertificatesGoing', undefined]);
    expect(told.at(-1)).toMatchObject({ from: [LAB], to: OFFICE });
    expect(told.at(-1)?.steps?.at(-1)).toBe('Done');
  });

  it('moved on before the first move was over: the steps begin anew and both segments are named', () => {
    const told = story({}, { segment: 'doors.berlin', confirmed: false });
    expect(told.at(-1)).toMatchObject({ from: [LAB, OFFICE], to: 'doors.berlin', steps: [] });
  });

  it('the same move a second time has times of its own', () => {
    const done = { entries: [over(OFFICE), certificate(LAB)], ownRules: { held: false, durable: true, connectedWith: undefined } };
    const back = {
      segment: OFFICE,
      entries: [certificate(OFFICE, { id: 'new' })],
      ownRules: { held: false, durable: true, connectedWith: undefined },
    };
    const told = story({}, done, back, { now: LATER });
    expect(told.at(-1)?.move?.steps).toEqual([{ step: 'RightsMoved', at: LATER }]);
  });

  it('in quarantine the move ends without waiting for rules that stay for another reason', () => {
    const done = { entries: [over(OFFICE), certificate(LAB)], lifecycle: 'Quarantined' as const };
    expect(story({}, done).at(-1)?.reason).toBeUndefined();
  });

  it('a Device that is revoked in the middle of a move says so and nothing of the move', () => {
    const told = story({}, { lifecycle: 'Revoked', entries: [over(OFFICE)] });
    expect(told.at(-1)).toMatchObject({ reason: undefined, steps: ['RightsMoved'] });
  });
});
