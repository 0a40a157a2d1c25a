// The words of the protocol between the driver of a rollout and a device: docs/reference/firmware-protocol.md.

export const DIRECTIVE_TYPE = 'application/vnd.hedgerow.firmware.directive.v1+json';
export const BOOT_TYPE = 'application/vnd.hedgerow.firmware.boot.v1+json';

/** Install: stage and activate. Revert: back to the image of the other slot. */
export const ACTIONS = ['Install', 'Stage', 'Activate', 'Cancel', 'Revert'] as const;
export type Action = (typeof ACTIONS)[number];

export const STATES = [
  'Idle',
  'Accepted',
  'Deferred',
  'Rejected',
  'Downloading',
  'Verified',
  'Staged',
  'Rebooting',
  'Testing',
  'Confirmed',
  'RolledBack',
  'Failed',
] as const;
export type DeviceState = (typeof STATES)[number];

/** What ends a directive, by its action; the states before it are on the way. */
export const ENDS: Readonly<Record<Action, readonly DeviceState[]>> = {
  Install: ['Rejected', 'Confirmed', 'RolledBack', 'Failed'],
  Stage: ['Rejected', 'Staged', 'Failed'],
  Activate: ['Rejected', 'Confirmed', 'RolledBack', 'Failed'],
  Cancel: ['Rejected', 'Idle'],
  Revert: ['Rejected', 'Confirmed', 'RolledBack', 'Failed'],
};

/** States that a directive of this action can be in at all. */
export const WAY: Readonly<Record<Action, readonly DeviceState[]>> = {
  Install: ['Accepted', 'Deferred', 'Downloading', 'Verified', 'Staged', 'Rebooting', 'Testing', ...ENDS.Install],
  Stage: ['Accepted', 'Deferred', 'Downloading', 'Verified', ...ENDS.Stage],
  Activate: ['Accepted', 'Deferred', 'Rebooting', 'Testing', ...ENDS.Activate],
  Cancel: ENDS.Cancel,
  Revert: ['Accepted', 'Deferred', 'Rebooting', 'Testing', ...ENDS.Revert],
};

/** The error codes of devices. What a second try would end in as well is never tried again. */
export const FAULTS = [
  { code: 1, name: 'Signature', again: false },
  { code: 2, name: 'Digest', again: false },
  { code: 3, name: 'Hardware', again: false },
  { code: 4, name: 'Downgrade', again: false },
  { code: 5, name: 'Dependency', again: false },
  { code: 6, name: 'Expired', again: false },
  { code: 7, name: 'Storage', again: true },
  { code: 8, name: 'Network', again: true },
  { code: 9, name: 'Power', again: true },
  { code: 10, name: 'SelfTest', again: true },
  { code: 11, name: 'Watchdog', again: true },
  { code: 12, name: 'BootLoop', again: true },
  { code: 13, name: 'UserDenied', again: true },
  { code: 14, name: 'Busy', again: true },
  { code: 15, name: 'Unsupported', again: false },
  { code: 16, name: 'Internal', again: true },
] as const;

/** Bytes on the wire; more is refused before it is read. */
export const MOST_BYTES = { directive: 16_384, state: 4096, hello: 8192, log: 8192 } as const;

/** `device`: `<device>.<namespace>`. */
export const topicsOf = (device: string) =>
  ({
    directive: `ota/v1/d/${device}/directive`,
    state: `ota/v1/d/${device}/state`,
    hello: `ota/v1/d/${device}/hello`,
    log: `ota/v1/d/${device}/log`,
  }) as const;
