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
} as const;

export type GatewayCode = keyof typeof ERRORS;

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: GatewayCode;
  constructor(code: GatewayCode, cause?: unknown) {
    const { title, cause: why, cure } = ERRORS[code];
    super(`${code} ${title}: ${why}. ${cure}.`, { cause });
    this.code = code;
  }
}

/** What the system says is kept as the cause. */
export function refusedBy(error: unknown): Refused {
  if (error instanceof Refused) return error;
  const isFull = error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
  return new Refused(isFull ? 'HR-GW-101' : 'HR-GW-102', error);
}
