// What of the records of a few files stays when the class has no more room, and the one record that says what is lost. Pure.
import type { Class } from './layout.ts';
import { type Stored, sizeOf } from './record.ts';

/** `acked`: everybody has it. `offered`: somebody may have it, so it is neither merged nor counted as lost while there is another way. */
export type Standing = 'acked' | 'offered' | 'free';
export type StandingOf = (seq: number) => Standing;

/** `bound`: no more room. `expired`: kept for as long as agreed. `damage`: the disk gave back something else than was written; `lost` is then the most that it can be. */
export type LossReason = 'bound' | 'expired' | 'damage';

/** Of alerts that are one of many (same subject) the first and the last. */
export function firstAndLast(records: readonly Stored[], standing: StandingOf, salt: number): Stored[] {
  const ends = new Map<string, { first: number; last: number }>();
  const free = records.filter((one) => one.lost === 0 && standing(one.seq) === 'free');
  for (const { subject, seq } of free) ends.set(subject, { first: ends.get(subject)?.first ?? seq, last: seq });
  const middle = free.filter(({ subject, seq }) => ends.get(subject)?.first !== seq && ends.get(subject)?.last !== seq);
  return without(records, middle, standing, salt);
}

/** The older half by bytes; what somebody may have only when nothing else is there. */
export function newerHalf(records: readonly Stored[], standing: StandingOf, salt: number): Stored[] {
  const left = records.filter((one) => one.lost === 0 && standing(one.seq) !== 'acked');
  const free = left.filter(({ seq }) => standing(seq) === 'free');
  const from = free.length > 0 ? free : left;
  const half = from.reduce((sum, one) => sum + (sizeOf(one) ?? 0), 0) / 2;
  let sum = 0;
  const older: Stored[] = [];
  for (const one of from) {
    if (sum >= half) break;
    sum += sizeOf(one) ?? 0;
    older.push(one);
  }
  return without(records, older, standing, salt);
}

/** Records of loss of one reason that nobody may have yet become one. */
export function without(
  records: readonly Stored[],
  dropped: readonly Stored[],
  standing: StandingOf,
  salt: number,
  reason: 'bound' | 'expired' = 'bound',
): Stored[] {
  const gone = new Set(dropped);
  const left = records.filter((one) => !gone.has(one) && standing(one.seq) !== 'acked');
  const open = left.filter((one) => one.lost > 0 && standing(one.seq) === 'free');
  const made = (['bound', 'expired', 'damage'] as const)
    .map((one) => lossOf([...(one === reason ? dropped : []), ...open.filter(({ subject }) => subject === one)], one, salt))
    .filter((one) => one !== undefined);
  return [...left.filter((one) => !open.includes(one)), ...made].sort((a, b) => a.seq - b.seq);
}

function lossOf(of: readonly Stored[], reason: LossReason, salt: number): Stored | undefined {
  const [first] = of;
  if (first === undefined) return undefined;
  return lossRecord({
    ...{ class: first.class, reason, salt, seq: Math.max(...of.map(({ seq }) => seq)) },
    ...{ fromMs: Math.min(...of.map(({ fromMs }) => fromMs)), toMs: Math.max(...of.map(({ toMs }) => toMs)) },
    lost: of.reduce((sum, one) => sum + Math.max(1, one.lost), 0),
  });
}

export function lossRecord(o: {
  class: Class;
  reason: LossReason;
  salt: number;
  seq: number;
  fromMs: number;
  toMs: number;
  lost: number;
}): Stored {
  const { class: of, reason, salt, seq, fromMs, toMs, lost } = o;
  const key = `loss/${salt.toString(16)}/${of}/${seq}`;
  return { class: of, key, subject: reason, device: '', fromMs, toMs, revision: 0, payload: new Uint8Array(), seq, place: 0, lost };
}
