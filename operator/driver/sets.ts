// Who is where. Every count is the size of a set of devices, so that a driver that starts anew counts the same.
import type { FirmwareWaveStatus } from '../api/firmware-wave.ts';
import type { Result, Row } from './row.ts';

export type Counts = NonNullable<FirmwareWaveStatus['counts']>;

const NAMES = [
  'Waiting',
  'Busy',
  'Straggler',
  'Confirmed',
  'Unproven',
  'Failed',
  'RolledBack',
  'TimedOut',
  'Lost',
  'Reached',
  'Offered',
  'Unwritten',
] as const;
type Name = (typeof NAMES)[number];

/** Rejected counts as failed; who was told to stop, or to go back and did, is in none. */
const ENDS: Partial<Record<Result, Name>> = {
  Confirmed: 'Confirmed',
  Rejected: 'Failed',
  Failed: 'Failed',
  RolledBack: 'RolledBack',
  TimedOut: 'TimedOut',
  Lost: 'Lost',
};

export function createSets() {
  const all = new Map<string, Row>();
  const sets = Object.fromEntries(NAMES.map((name) => [name, new Set<Row>()])) as Record<Name, Set<Row>>;
  let changes = 0;
  return {
    /** After every change of a row. */
    place(row: Row): void {
      all.set(row.uid, row);
      const names = namesOf(row);
      for (const name of NAMES) {
        const isIn = names.includes(name);
        if (isIn === sets[name].has(row)) continue;
        changes += 1;
        if (isIn) sets[name].add(row);
        else sets[name].delete(row);
      }
    },
    /** Rises whenever a device comes into a set or leaves one. */
    changes: (): number => changes,
    remove(row: Row): void {
      changes += 1;
      all.delete(row.uid);
      for (const name of NAMES) sets[name].delete(row);
    },
    busy: sets.Busy as ReadonlySet<Row>,
    waiting: sets.Waiting as ReadonlySet<Row>,
    lost: sets.Lost as ReadonlySet<Row>,
    /** At an end that does not stand in the status of the device yet. */
    unwritten: sets.Unwritten as ReadonlySet<Row>,
    rows: all as ReadonlyMap<string, Row>,
    counts: (): Required<Omit<Counts, 'incompatible' | 'blocked'>> => ({
      matched: all.size,
      waiting: sets.Waiting.size,
      offered: sets.Offered.size,
      reached: sets.Reached.size,
      inFlight: sets.Busy.size,
      confirmed: sets.Confirmed.size,
      unproven: sets.Unproven.size,
      failed: sets.Failed.size,
      rolledBack: sets.RolledBack.size,
      timedOut: sets.TimedOut.size,
      lost: sets.Lost.size,
      straggler: sets.Straggler.size,
    }),
  };
}

export type Sets = ReturnType<typeof createSets>;

function namesOf(row: Row): Name[] {
  const { place, attempt, hasAnswered, end, isRecorded } = row;
  const result = place === 'Ended' ? end?.result : undefined;
  const own = place === 'Ended' ? (result === undefined ? undefined : ENDS[result]) : place === 'Out' ? undefined : place;
  const isReached = place === 'Ended' ? result !== 'Cancelled' : hasAnswered;
  return [
    ...(own === undefined ? [] : [own]),
    ...(own === 'Confirmed' && end?.proof !== 'Proven' ? (['Unproven'] as const) : []),
    ...(attempt > 0 || result !== undefined ? (['Offered'] as const) : []),
    ...(isReached ? (['Reached'] as const) : []),
    ...(place === 'Ended' && !isRecorded ? (['Unwritten'] as const) : []),
  ];
}
