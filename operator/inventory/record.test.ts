import { describe, expect, it } from 'vitest';
import { type FirmwareRecord, hasRolledBack, isSame, type Running, recordWith } from './record.ts';

const NOW = '2026-11-26T12:00:00.000Z';
const digest = (n: number): string => `sha256:${String(n).repeat(64)}`;
const OLD: Running = { version: '1.0.0', digest: digest(1), securityCounter: 3 };
const NEW: Running = { version: '2.0.0', digest: digest(2), securityCounter: 4 };
const ATTEMPT = { release: 'berlin/pump-2', releaseUid: 'u', step: 1, attempt: 2, endedAt: '2026-11-01T00:00:00Z' } as const;
const confirmed: FirmwareRecord = {
  ...NEW,
  ...ATTEMPT,
  result: 'Confirmed',
  proof: 'Proven',
  previous: OLD,
  confirmedAt: '2026-11-01T00:00:00Z',
};

describe('the record of a component', () => {
  it('begins with the first hello', () => expect(recordWith(undefined, OLD, NOW)).toEqual(OLD));

  it('says RolledBack when a device that had confirmed runs another image; what the attempt was stays, its proof does not', () => {
    const after = recordWith(confirmed, OLD, NOW);
    expect(after).toEqual({ ...OLD, ...ATTEMPT, result: 'RolledBack', endedAt: NOW, confirmedAt: '2026-11-01T00:00:00Z' });
    expect(hasRolledBack(confirmed, after)).toBe(true);
    // Once: the next hello of the old image changes nothing, one of yet another image is no second rollback.
    expect(isSame(after, OLD)).toBe(true);
    expect(hasRolledBack(after, recordWith(after, { ...OLD, digest: digest(9) }, NOW))).toBe(false);
  });

  it.each(['Rejected', 'Failed', 'RolledBack', 'TimedOut', 'Lost', 'Cancelled', 'Reverted'] as const)(
    'keeps the end %s when another image runs',
    (result) => {
      const before: FirmwareRecord = { ...OLD, ...ATTEMPT, result, code: 11 };
      expect(recordWith(before, NEW, NOW)).toEqual({ ...before, ...NEW });
    },
  );

  it('with the same image and another counter or version is no rollback', () => {
    expect(recordWith(confirmed, { ...NEW, securityCounter: 9 }, NOW)).toEqual({ ...confirmed, securityCounter: 9 });
    expect(recordWith(confirmed, { ...NEW, version: '2.0.1' }, NOW)).toEqual({ ...confirmed, version: '2.0.1' });
  });

  it.each([
    [{ ...OLD }, true],
    [{ ...OLD, version: '1.0.1' }, false],
    [{ ...OLD, digest: digest(3) }, false],
    [{ ...OLD, securityCounter: 4 }, false],
    [{ version: OLD.version, digest: OLD.digest }, false],
    [undefined, false],
  ])('%j says what runs: %s', (record, is) => expect(isSame(record, OLD)).toBe(is));
});
