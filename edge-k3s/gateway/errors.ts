// Why the gateway does not take something. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-GW-101': {
    title: 'DiskFull',
    cause: 'the disk has no room, though the spool is within its bytes: others have filled it',
    cure: 'give the spool a volume of its own, or free the disk; what was not taken is offered again by whoever sent it',
  },
  'HR-GW-102': {
    title: 'DiskFailed',
    cause: 'the directory of the spool could not be read or written',
    cure: 'look at the disk: the log has the error of the system; what was acknowledged before is kept, or named by a DataLoss record',
  },
  'HR-GW-103': {
    title: 'RecordUnfit',
    cause: 'the record is larger than a quarter of a segment, its key or subject is longer than 1,024 bytes, or its times are no numbers',
    cure: 'give the spool more bytes, or send smaller records',
  },
  'HR-GW-104': {
    title: 'SpoolBusy',
    cause: 'more records wait to be written than a segment holds: they come faster than the disk takes them',
    cure: 'send again when those before are acknowledged; if it lasts, use a faster disk',
  },
  'HR-GW-105': {
    title: 'SpoolClosed',
    cause: 'the gateway is stopping',
    cure: 'send again when it runs',
  },
  'HR-GW-201': {
    title: 'EnvelopeMalformed',
    cause:
      'a message is not wrapped in {v, boot, seq, ts, m}: another version, a number that is no whole one from 1 on, or a field that none has',
    cure: 'see docs/reference/edge-replay.md for what firmware has to send',
  },
  'HR-GW-202': {
    title: 'Replayed',
    cause: 'the sequence number of this start of the device was there before',
    cure: 'nothing when the broker delivered a message again; otherwise somebody sends recorded messages: look at who connects as this device',
  },
  'HR-GW-203': {
    title: 'TooLate',
    cause: 'so many messages with higher numbers came first that nobody can say any more whether this one was there before',
    cure: 'let the device send in order, or raise spec.payload.replay.window of the segment',
  },
  'HR-GW-204': {
    title: 'BootReplaced',
    cause: 'the device has started anew since: its boot counter was higher already',
    cure: 'nothing for a message that was under way; otherwise let the firmware count its starts in memory that keeps them',
  },
  'HR-GW-205': {
    title: 'ClockOff',
    cause: "the time of the message is further from the gateway's than spec.payload.replay.maxSkew",
    cure: 'set the clock of the device (or of the gateway); send what was stored with backfill: true',
  },
  'HR-GW-206': {
    title: 'OutsideGap',
    cause: 'the message says that it was stored, and is of a time at which the device was heard, or of the future',
    cure: 'send with backfill: true only what was measured while nothing could be sent',
  },
  'HR-GW-207': {
    title: 'TooManyDevices',
    cause: 'as many devices are known as the gateway remembers; forgetting one would let its messages be sent again',
    cure: 'give the gateway more, or delete Devices that are gone',
  },
  'HR-GW-301': {
    title: 'DevicesFileUnfit',
    cause: 'the file of --devices-file is no list of devices of this site',
    cure: 'write it as docs/reference/edge-gateway.md says; while the gateway runs, the devices before stay known',
  },
} as const;

export type GatewayCode = keyof typeof ERRORS;

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: GatewayCode;
  /** `found`: what was seen, in a few words; never a payload. */
  constructor(code: GatewayCode, cause?: unknown, found?: string) {
    const { title, cause: why, cure } = ERRORS[code];
    super(`${code} ${title}: ${why}${found === undefined ? '' : ` (${found})`}. ${cure}.`, { cause });
    this.code = code;
  }
}

/** What the system says is kept as the cause. */
export function refusedBy(error: unknown): Refused {
  if (error instanceof Refused) return error;
  const isFull = error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
  return new Refused(isFull ? 'HR-GW-101' : 'HR-GW-102', error);
}
