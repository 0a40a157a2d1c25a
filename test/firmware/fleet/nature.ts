// What is wrong with a device of the virtual fleet: one thing each. `per`: how many of 1,000 devices are so.
import type { DeviceState } from '../../../operator/firmware/protocol.ts';

/** What a device would say, and what goes out instead of it. */
export type Lie = (said: Said, past: readonly string[]) => (Said | string)[];
export type Said = { state: DeviceState; digest: string; boot: number; n: number; securityCounter: number } & Record<string, unknown>;

export type Nature = {
  name: string;
  per: number;
  clock?: 'of 1970' | 'none';
  /** The power goes when it comes into this state: once, but in Testing each time, or a second try would end in another way. */
  cutAt?: DeviceState;
  /** It says this in the place of the state after `at`, so many times. */
  fails?: { at: 'Accepted' | 'Downloading'; state: 'Rejected' | 'Failed'; code: number; times: number };
  selfTest?: 'fails' | 'hangs' | 'loops';
  defers?: true;
  /** Out of reach: from the start of the world, or when it restarts. `hours` undefined: for good. */
  away?: { from: 'Start' | 'Rebooting'; hours?: [least: number, most: number] };
  wire?: 'acknowledgements lost' | 'messages lost' | 'out of order and twice' | 'slow';
  /** A lie about an update to this image. From its first false word on it does nothing that it says. */
  lie?: (target: { digest: string; securityCounter: number }) => Lie;
  /** With its retained state, or its boot counter. */
  plays?: 'erases' | 'spams' | 'resets' | 'replays';
  key?: true;
};

const STATES_TO_CUT = ['Accepted', 'Downloading', 'Verified', 'Staged', 'Rebooting', 'Testing', 'Confirmed'] as const;
const ALWAYS = 1000;

/** Nobody can tell it from a device that tells the truth: it has no boot key, and its lie is consistent. */
export const FORGER = 'forges, no boot key registered';

/** From Staged on: says `change` instead, and no more. */
const from =
  (change: (said: Said) => Partial<Said>): Lie =>
  (said) =>
    said.state === 'Staged' ? [{ ...said, staged: undefined, state: 'Confirmed', ...change(said) }] : [];

const forged = (target: { digest: string; securityCounter: number }): Lie => from(({ boot }) => ({ ...target, boot: boot + 1, n: 1 }));

export const natures: readonly Nature[] = [
  ...STATES_TO_CUT.map((cutAt): Nature => ({ name: `power cut in ${cutAt}`, per: 12, cutAt })),
  { name: 'acknowledgements lost', per: 40, wire: 'acknowledgements lost' },
  { name: 'messages lost', per: 30, wire: 'messages lost' },
  { name: 'messages out of order and twice', per: 40, wire: 'out of order and twice' },
  { name: 'a slow line', per: 20, wire: 'slow' },
  { name: 'clock of 1970', per: 30, clock: 'of 1970' },
  { name: 'no clock', per: 30, clock: 'none' },
  { name: 'boot key', per: 60, key: true },
  { name: 'puts it off', per: 10, defers: true },
  { name: 'busy at first', per: 6, fails: { at: 'Accepted', state: 'Rejected', code: 14, times: 1 } },
  { name: 'an old release at the server', per: 4, fails: { at: 'Accepted', state: 'Rejected', code: 4, times: ALWAYS } },
  { name: 'a statement without signatures', per: 4, fails: { at: 'Accepted', state: 'Rejected', code: 1, times: ALWAYS } },
  { name: 'other hardware', per: 4, fails: { at: 'Accepted', state: 'Rejected', code: 3, times: ALWAYS } },
  { name: 'flash full', per: 5, fails: { at: 'Downloading', state: 'Failed', code: 7, times: ALWAYS } },
  { name: 'flash full once', per: 5, fails: { at: 'Downloading', state: 'Failed', code: 7, times: 1 } },
  { name: 'image altered', per: 5, fails: { at: 'Downloading', state: 'Failed', code: 2, times: ALWAYS } },
  { name: 'network gone once', per: 5, fails: { at: 'Downloading', state: 'Failed', code: 8, times: 1 } },
  { name: 'self-test fails', per: 8, selfTest: 'fails' },
  { name: 'hangs', per: 4, selfTest: 'hangs' },
  { name: 'boot loop', per: 4, selfTest: 'loops' },
  { name: 'self-test fails, boot key', per: 4, selfTest: 'fails', key: true },
  { name: 'offline for hours', per: 25, away: { from: 'Start', hours: [0.5, 5] } },
  { name: 'offline for good', per: 5, away: { from: 'Start' } },
  { name: 'offline after the restart', per: 4, away: { from: 'Rebooting' } },
  { name: 'says Confirmed on the old image', per: 4, lie: () => from(() => ({})) },
  { name: 'says Confirmed in the same boot', per: 4, lie: (target) => from(() => target) },
  { name: 'says Confirmed with the old counter', per: 4, lie: ({ digest }) => from(({ boot }) => ({ digest, boot: boot + 1, n: 1 })) },
  {
    name: 'says Confirmed for another directive',
    per: 4,
    lie: (target) => from(({ boot, seq }) => ({ ...target, boot: boot + 1, n: 1, seq: Number(seq) + 1 })),
  },
  { name: 'forges, boot key registered', per: 4, lie: forged, key: true },
  { name: FORGER, per: 4, lie: forged },
  { name: 'erases its state', per: 15, plays: 'erases' },
  { name: 'spams', per: 15, plays: 'spams' },
  { name: 'replays its states', per: 15, plays: 'replays' },
  { name: 'resets its boot counter', per: 5, plays: 'resets' },
];

/** Multiples of it spread evenly over [0, 1). */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

const honest: Nature = { name: 'honest', per: 0 };

/** Of the device with this number: each kind as often as `per` says in any thousand of them, `seed` says which. */
export function natureOf(at: number, seed: number): Nature {
  let left = ((at * GOLDEN + seed * Math.SQRT2) % 1) * 1000;
  for (const nature of natures) {
    left -= nature.per;
    if (left < 0) return nature;
  }
  return honest;
}
