// What devices send, read as what it is: bytes of somebody who may be hostile. Pure; nothing here believes anything.
import type { Problem } from './errors.ts';
import { readBounded } from './json.ts';
import { type Hello, isHello, isStateReport, type StateReport } from './messages.ts';
import { type DeviceState, MOST_BYTES } from './protocol.ts';

export type Read<T> = { ok: true; message: T } | { ok: false; problem: Problem };

/** `device`: the one of the topic, which the broker vouches for. */
export function readState(device: string, bytes: Uint8Array): Read<StateReport> {
  if (bytes.length > MOST_BYTES.state) return tooLarge(bytes);
  const value = readBounded(bytes, MOST_BYTES.state);
  if (!isStateReport(value)) return malformed(isStateReport.where());
  const wrong = fieldsThatDoNotFit(value);
  if (wrong !== undefined) return malformed(`${wrong} does not go with ${value.state}`);
  return value.device === device ? { ok: true, message: value } : otherDevice(device);
}

export function readHello(device: string, bytes: Uint8Array): Read<Hello> {
  if (bytes.length > MOST_BYTES.hello) return tooLarge(bytes);
  const value = readBounded(bytes, MOST_BYTES.hello);
  if (!isHello(value)) return malformed(isHello.where());
  if (new Set(value.components.map(({ component }) => component)).size < value.components.length)
    return malformed('a component stands twice');
  return value.device === device ? { ok: true, message: value } : otherDevice(device);
}

/** A log of a device for a person: cut to its bound, and nothing in it that a terminal obeys. */
export function readLog(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-8').decode(bytes.subarray(0, MOST_BYTES.log));
  return text.replaceAll(/[^\P{C}\n\t]/gu, '\ufffd');
}

/** Fields that only some states have; in these they must be there, unless `may`. */
const FIELDS: readonly { field: keyof StateReport; states: readonly DeviceState[]; may?: true }[] = [
  { field: 'offset', states: ['Downloading'] },
  { field: 'total', states: ['Downloading'] },
  { field: 'until', states: ['Deferred'] },
  { field: 'code', states: ['Rejected', 'RolledBack', 'Failed'] },
  { field: 'staged', states: ['Staged', 'Rebooting'], may: true },
  { field: 'selfTest', states: ['Testing', 'Confirmed', 'RolledBack', 'Failed'], may: true },
  { field: 'bootReport', states: ['Testing', 'Confirmed', 'RolledBack', 'Failed', 'Rejected'], may: true },
];

function fieldsThatDoNotFit(report: StateReport): keyof StateReport | undefined {
  const wrong = FIELDS.find(({ field, states, may }) => {
    const isThere = report[field] !== undefined;
    return states.includes(report.state) ? !isThere && may === undefined : isThere;
  });
  if (wrong !== undefined) return wrong.field;
  if ((report.offset ?? 0) > (report.total ?? 0)) return 'offset';
  // 0 is the sequence of a device that no directive has reached yet: it is idle, and quotes none.
  const isOfNone = report.seq === 0;
  if (isOfNone !== (report.nonce === undefined)) return 'nonce';
  return isOfNone && report.state !== 'Idle' ? 'seq' : undefined;
}

const tooLarge = (bytes: Uint8Array): Read<never> => ({
  ok: false,
  problem: { code: 'HR-FW-101', found: `the message has ${bytes.length} bytes` },
});
const malformed = (where: string): Read<never> => ({
  ok: false,
  problem: { code: 'HR-FW-102', ...(where === '' ? {} : { found: `the form is wrong at: ${where}` }) },
});
const otherDevice = (device: string): Read<never> => ({
  ok: false,
  problem: { code: 'HR-FW-103', found: `a message on the topic of ${device} names another device` },
});
