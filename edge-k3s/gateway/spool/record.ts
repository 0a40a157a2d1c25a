// One record of the log: what is on disk, byte by byte (docs/reference/edge-spool.md). Pure.
import { crc32 } from 'node:zlib';
import { CLASSES, type Class } from './layout.ts';

/** What is given to the spool. Times are ms since 1970 of what it is about, not of now. */
export type Entry = {
  class: Class;
  /** Names it for good: who gets two records with the same key has the same record twice. */
  key: string;
  /** Trend: its stream; alert: the key by which it is one of many; security: its source. */
  subject: string;
  /** The one device that it is about; empty where it is about more. Records go when their device is erased. */
  device: string;
  fromMs: number;
  toMs: number;
  /** Of a trend: 0, then one more with each correction of the same window. */
  revision: number;
  payload: Uint8Array;
};

/** `seq`: its number within its class. `lost`: not 0 for a record of loss, which says how many records of this class between these times are missing. */
export type Stored = Entry & { seq: number /** Place in its commit. */; place: number; lost: number };

export type Hole = { at: number; end: number };
export type Scan = { records: readonly (Stored & Hole)[]; holes: readonly Hole[] };

const MAGIC = 0x4872;
export const HEADER = 50;
const MAGIC_BYTES = Buffer.from([0x48, 0x72]);
const MOST_KEY = 1_024;
const MOST_DEVICE = 64;
/** How many bytes are summed in search of the next whole record, in multiples of the file: a payload can be made to look like the beginning of many. */
const SEARCH_FACTOR = 16;

/** How many bytes it has on disk; undefined when a field does not fit. */
export function sizeOf(one: Entry): number | undefined {
  const [key, subject, device] = [Buffer.byteLength(one.key), Buffer.byteLength(one.subject), Buffer.byteLength(one.device)];
  if (key > MOST_KEY || subject > MOST_KEY || device > MOST_DEVICE) return undefined;
  const isRevision = Number.isInteger(one.revision) && one.revision >= 0 && one.revision <= 0xffff_ffff;
  if (!Number.isFinite(one.fromMs) || !Number.isFinite(one.toMs) || !isRevision) return undefined;
  return HEADER + key + subject + device + one.payload.length;
}

/** Of one that `sizeOf` finds fit. */
export function encode(one: Stored, salt: number): Buffer {
  const [key, subject, device] = [Buffer.from(one.key), Buffer.from(one.subject), Buffer.from(one.device)];
  const bytes = Buffer.alloc(HEADER + key.length + subject.length + device.length + one.payload.length);
  bytes.writeUInt16BE(MAGIC, 0);
  bytes.writeUInt32BE(bytes.length, 2);
  bytes.writeUInt8(CLASSES.indexOf(one.class), 10);
  bytes.writeUIntBE(one.seq, 11, 6);
  bytes.writeUInt32BE(one.place, 17);
  bytes.writeDoubleBE(one.fromMs, 21);
  bytes.writeDoubleBE(one.toMs, 29);
  bytes.writeUInt32BE(one.revision, 37);
  bytes.writeUInt32BE(Math.min(one.lost, 0xffff_ffff), 41);
  bytes.writeUInt16BE(key.length, 45);
  bytes.writeUInt16BE(subject.length, 47);
  bytes.writeUInt8(device.length, 49);
  let at = HEADER;
  for (const part of [key, subject, device, one.payload]) {
    bytes.set(part, at);
    at += part.length;
  }
  bytes.writeUInt32BE(sumOf(bytes, salt), 6);
  return bytes;
}

/** Every whole record of a file, in order, and what between them is none. */
export function scan(bytes: Buffer, of: Class, salt: number): Scan {
  const records: (Stored & Hole)[] = [];
  const holes: Hole[] = [];
  let [at, last] = [0, 0];
  const budget = { left: SEARCH_FACTOR * bytes.length };
  while (at < bytes.length) {
    const found = recordAt(bytes, at, of, salt, last, budget) ?? search(bytes, at + 1, of, salt, last, budget);
    if (found === undefined) {
      holes.push({ at, end: bytes.length });
      break;
    }
    if (found.at > at) holes.push({ at, end: found.at });
    records.push(found);
    at = found.end;
    last = found.seq;
  }
  return { records, holes };
}

function search(bytes: Buffer, from: number, of: Class, salt: number, last: number, budget: { left: number }): (Stored & Hole) | undefined {
  for (let at = bytes.indexOf(MAGIC_BYTES, from); at >= 0 && budget.left > 0; at = bytes.indexOf(MAGIC_BYTES, at + 1)) {
    const found = recordAt(bytes, at, of, salt, last, budget);
    if (found !== undefined) return found;
  }
  return undefined;
}

function recordAt(bytes: Buffer, at: number, of: Class, salt: number, last: number, budget: { left: number }): (Stored & Hole) | undefined {
  if (at + HEADER > bytes.length || bytes.readUInt16BE(at) !== MAGIC) return undefined;
  const length = bytes.readUInt32BE(at + 2);
  if (length < HEADER || at + length > bytes.length || CLASSES[bytes.readUInt8(at + 10)] !== of) return undefined;
  const seq = bytes.readUIntBE(at + 11, 6);
  const sizes = [bytes.readUInt16BE(at + 45), bytes.readUInt16BE(at + 47), bytes.readUInt8(at + 49)] as const;
  if (seq <= last || HEADER + sizes[0] + sizes[1] + sizes[2] > length) return undefined;
  const one = bytes.subarray(at, at + length);
  const sum = sumOf(one, salt);
  if (sum !== one.readUInt32BE(6)) {
    budget.left -= length;
    return undefined;
  }
  const ends = [HEADER + sizes[0], HEADER + sizes[0] + sizes[1], HEADER + sizes[0] + sizes[1] + sizes[2]] as const;
  return {
    ...{ at, end: at + length, class: of, seq, place: one.readUInt32BE(17), fromMs: one.readDoubleBE(21), toMs: one.readDoubleBE(29) },
    ...{ revision: one.readUInt32BE(37), lost: one.readUInt32BE(41), key: one.toString('utf8', HEADER, ends[0]) },
    ...{ subject: one.toString('utf8', ends[0], ends[1]), device: one.toString('utf8', ends[1], ends[2]), payload: one.subarray(ends[2]) },
  };
}

/** The salt is drawn once for a spool: nobody who only sends payloads can write one that holds a valid record. */
function sumOf(record: Buffer, salt: number): number {
  return crc32(record.subarray(10), crc32(record.subarray(2, 6), salt));
}
