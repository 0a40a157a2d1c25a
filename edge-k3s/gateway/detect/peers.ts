// Does a device still agree with those beside it? Devices that measure the same (a class of a room) go up and down together; one that leaves the others drifts,
// was moved, or is not what it says. In steps of ten minutes: each device's mean against the median of all, less what it was always off by.
import { type Alert, short } from './alert.ts';
import { isLike } from './snapshot.ts';

export type Peers = {
  /** Alerts of the steps that have ended by now. `device`: any name, the same for all its readings. */
  observe(device: string, reading: { atMs: number; value: number }): PeerAlert[];
  /** Nothing of the device stays. */
  forget(device: string): void;
  snapshot(): string;
};

export type PeerAlert = Alert & { device: string };

type Member = {
  sum: number;
  count: number;
  /** What the device is always off by, and by how much that varies. */
  offset: number;
  spread: number;
  steps: number;
  lastMs: number;
  over: number;
  told: number;
  /** The farthest that it was off on each of the last days, and today. */
  days: number[];
  today: number;
};
type State = { version: number; endsMs: number; members: Record<string, Member> };

const VERSION = 1;
const STEP_MS = 600_000;
/** A median of fewer says little, and of two nobody knows which is wrong. */
const LEAST_DEVICES = 4;
/** More have a room of their own; what does not fit is not judged. */
const MOST_DEVICES = 64;
/** Of ten minutes each. */
const STEPS_OF_DAY = 144;
/** The first steps are far from an offset that is not one yet. */
const SETTLED = 30;
/** What a device is off by is remembered for three days: a slower drift is taken for its nature. */
const MEMORY = 432;
const FAR = 4;
/** Some devices leave the others at noon every day, some on Mondays. */
const DAYS = 14;
const FARTHER_THAN_EVER = 1.2;
const NEAR = 3;
/** Three steps in a row: half an hour. */
const OVER = 3;
const FORGOTTEN_MS = 86_400_000;

export function createPeers(snapshot?: string): Peers {
  const state = (snapshot === undefined ? undefined : restored(snapshot)) ?? { version: VERSION, endsMs: 0, members: {} };
  return {
    observe: (device, reading) => observe(state, device, reading),
    forget: (device) => void delete state.members[device],
    snapshot: () => JSON.stringify(state),
  };
}

const newMember = (): Member => ({ sum: 0, count: 0, offset: 0, spread: 0, steps: 0, lastMs: 0, over: 0, told: 0, days: [], today: 0 });

function restored(snapshot: string): State | undefined {
  try {
    const state = JSON.parse(snapshot) as State;
    const members = Object.values(state.members);
    const whole =
      state.version === VERSION &&
      isLike(state.endsMs, 0) &&
      members.length <= MOST_DEVICES &&
      members.every((one) => isLike(one, newMember()));
    return whole ? { ...state, members: Object.assign(Object.create(null) as State['members'], state.members) } : undefined;
  } catch {
    return undefined;
  }
}

function observe(state: State, device: string, { atMs, value }: { atMs: number; value: number }): PeerAlert[] {
  if (!(Math.abs(value) <= 1e100 && Math.abs(atMs) <= 8.64e15)) return [];
  const found = atMs >= state.endsMs ? endStep(state, atMs) : [];
  // What comes late for a step that has ended would be compared with the wrong others.
  if (atMs < state.endsMs - STEP_MS) return found;
  const known = Object.hasOwn(state.members, device) ? state.members[device] : undefined;
  if (known === undefined && Object.keys(state.members).length >= MOST_DEVICES) return found;
  const member = known ?? newMember();
  if (known === undefined)
    Object.defineProperty(state.members, device, { value: member, enumerable: true, writable: true, configurable: true });
  member.sum += value;
  member.count += 1;
  member.lastMs = atMs;
  return found;
}

function endStep(state: State, atMs: number): PeerAlert[] {
  const endsMs = state.endsMs;
  const present = Object.entries(state.members).filter(([, { count }]) => count > 0);
  // Without what each is always off by: or one that leaves would move the middle for all who are on its way.
  const middle = median(present.map(([, { sum, count, offset }]) => sum / count - offset));
  const found =
    present.length < LEAST_DEVICES ? [] : present.flatMap(([device, member]) => judge(device, member, middle, present.length, endsMs));
  for (const [device, member] of Object.entries(state.members)) {
    if (atMs - member.lastMs > FORGOTTEN_MS) delete state.members[device];
    member.sum = 0;
    member.count = 0;
  }
  state.endsMs = (Math.floor(atMs / STEP_MS) + 1) * STEP_MS;
  return found;
}

function judge(device: string, member: Member, middle: number, of: number, atMs: number): PeerAlert[] {
  const off = member.sum / member.count - middle;
  const left = Math.abs(off - member.offset);
  const least = Math.max(FAR * member.spread, FARTHER_THAN_EVER * Math.max(0, ...member.days)) + 1e-9 + 1e-6 * Math.abs(middle);
  const far = member.days.length > 0 && left > least;
  member.over = far ? member.over + 1 : 0;
  follow(member, off - member.offset);
  if (member.over < OVER || member.told > 0) return [];
  member.told = STEPS_OF_DAY;
  const usually = `${short(Math.abs(member.offset))} ${member.offset < 0 ? 'below' : 'above'}`;
  const says = `is ${short(Math.abs(off))} ${off < 0 ? 'below' : 'above'} the middle of its ${of} peers (${short(middle)}) for half an hour; usually ${usually} it`;
  return [{ kind: 'peers', device, atMs, says }];
}

function follow(member: Member, left: number): void {
  if (member.told > 0) member.told -= 1;
  member.steps += 1;
  // A device that has left must not teach what is ordinary.
  if (member.days.length === 0 || Math.abs(left) <= NEAR * member.spread) {
    const weight = Math.max(1 / member.steps, 1 / MEMORY);
    member.offset += weight * left;
    member.spread += weight * (Math.abs(left) - member.spread);
  }
  if (member.steps > SETTLED) member.today = Math.max(member.today, Math.abs(left));
  if (member.steps % STEPS_OF_DAY !== 0) return;
  if (member.told === 0 && member.over === 0) member.days.push(member.today);
  if (member.days.length > DAYS) member.days.shift();
  member.today = 0;
}

function median(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b);
  const half = ordered.length / 2;
  return ((ordered[Math.floor(half)] ?? 0) + (ordered[Math.ceil(half) - 1] ?? 0)) / 2;
}
