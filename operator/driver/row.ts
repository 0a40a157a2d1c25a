// A device as its driver knows it. All of it is bounded: whatever a device sends replaces what it sent before.
import type { KeyObject } from 'node:crypto';
import type { FirmwareRecord } from '../api/device.ts';
import type { Candidate, OpenDirective, Standing, StateReport } from '../firmware/firmware.ts';

/** What the cluster says of a device. */
export type DeviceFacts = {
  candidate: Candidate;
  /** status.firmware of the component. */
  record: FirmwareRecord | undefined;
  bootKey: KeyObject | undefined;
};

/** One file that devices of some hardware install. */
export type Image = { digest: string; size: number; version: string; securityCounter: number };

/**
 * Waiting: to be offered it, now or later. Busy: offered, and at work as far as anybody knows. Straggler: offered and away. Ended: at an end that stands in its status or
 * is about to. Out: in the step, and not to be offered anything.
 */
export type Place = 'Waiting' | 'Busy' | 'Straggler' | 'Ended' | 'Out';

/** A directive that was sent, and not more of it than is needed to send it again. */
export type Open = {
  of: OpenDirective;
  image: Image | undefined;
  /** When it was made, and until when the device may take it; seconds. */
  iat: number;
  exp: number;
  /** Nonce of the hello that it answers; none where no hello was heard. */
  echo: string | undefined;
};

/** The newest that a device said of itself. */
export type Heard = {
  boot: number;
  n: number;
  at: number;
  digest: string;
  /** Of a hello: a state does not say it. */
  version: string | undefined;
  securityCounter: number;
  nonce: string | undefined;
  /** The bootloader has signed that it started `digest` in this boot, for good. */
  isProven: boolean;
};

export type Result = NonNullable<FirmwareRecord['result']>;
export type End = { result: Result; code: number | undefined; proof: Standing['proof']; at: number; previous: Running | undefined };
/** Versions are what a device says in a hello; one that never said it runs an unknown one. */
export const UNKNOWN_VERSION = '0.0.0-unknown';
export type Running = { version: string; digest: string; securityCounter: number };

/** How far a directive has come; it only rises, so that a device cannot win time by going back. */
export type Phase = 'Offered' | 'Download' | 'Install' | 'Reboot' | 'Test';
export const PHASES: readonly Phase[] = ['Offered', 'Download', 'Install', 'Reboot', 'Test'];

export type Row = {
  readonly uid: string;
  /** On the wire, `<device>.<namespace>`. */
  readonly name: string;
  readonly rank: number;
  facts: DeviceFacts;
  image: Image | undefined;
  place: Place;
  /** How often the release was offered to it; 0: never. */
  attempt: number;
  /** The attempt that the next offer will be. */
  nextAttempt: number;
  /** When it was first offered, ms. */
  since: number;
  /** How often it was asked again without a failure. */
  asks: number;
  /** It was not answered the last time that it said hello. */
  owesEcho: boolean;
  /** How often the boot beside its open directive was raised. */
  rebased: number;
  /** Not to be offered it before. */
  notBefore: number;
  /** Holds the image in its other slot. */
  isStaged: boolean;
  hasAnswered: boolean;
  open: Open | undefined;
  standing: Standing | undefined;
  /** What a Cancel was sent for, until it is answered. */
  under: { open: Open; standing: Standing } | undefined;
  phase: Phase;
  /** When it came into its phase, and when that has lasted too long. */
  phaseAt: number;
  untilAt: number;
  /** When it is to be looked at. */
  dueAt: number | undefined;
  /** The one entry of the row among the alarms. */
  alarmAt: number | undefined;
  lastSeq: number;
  /** Whether the broker still keeps its directive, as far as was heard since the last connect. */
  isKept: boolean;
  /** When its directive was made, and when it was last published. */
  openedAt: number;
  sentAt: number;
  /** When it last told of a directive that is not the open one. */
  otherAt: number;
  isQueued: boolean;
  heard: Heard | undefined;
  /** Highest boot counter in which another image than the one of the release was heard of. */
  otherBoot: number;
  /** A state that came before the directive it belongs to, while the broker gives what it keeps. */
  held: StateReport | undefined;
  /** What ran before the image of the release, as its hello said. */
  before: Running | undefined;
  end: End | undefined;
  isRecorded: boolean;
  /** It was told to go back and did not. */
  hasStayed: boolean;
  /** Its last end was written here, and the cache may be older. */
  isAhead: boolean;
};

export const newRow = (name: string, rank: number, facts: DeviceFacts): Row => ({
  uid: facts.candidate.uid,
  ...{
    name,
    rank,
    facts,
    image: undefined,
    place: 'Out',
    attempt: 0,
    nextAttempt: 1,
    since: 0,
    asks: 0,
    rebased: 0,
    owesEcho: false,
    notBefore: 0,
  },
  ...{
    isStaged: false,
    hasAnswered: false,
    open: undefined,
    standing: undefined,
    under: undefined,
    phase: 'Offered',
    phaseAt: 0,
    untilAt: 0,
  },
  ...{ dueAt: undefined, alarmAt: undefined, lastSeq: 0, isKept: false, openedAt: 0, sentAt: 0, otherAt: 0, isQueued: false },
  ...{ heard: undefined, otherBoot: 0, held: undefined, before: undefined, end: undefined, isRecorded: false, hasStayed: false },
  isAhead: false,
});
