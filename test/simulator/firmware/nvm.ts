// A value that is replaced as a whole or not at all: an append-only log of snapshots with CRC, in two files that take turns when one is full.
import { crc32 } from 'node:zlib';
import type { Flash } from './flash.ts';

const FULL_BYTES = 16_384;
const HEAD = 8;

export type Nvm<T> = { readonly value: T; save(value: T): void };

export function openNvm<T>(flash: Flash, name: string, first: T): Nvm<T> {
  const files = [`${name}.0`, `${name}.1`] as const;
  const found = files.map((file) => scan<T>(flash.read(file)));
  let at = (found[1]?.last?.generation ?? 0) > (found[0]?.last?.generation ?? 0) ? 1 : 0;
  let end = found[at]?.end ?? 0;
  let generation = found[at]?.last?.generation ?? 0;
  let value = found[at]?.last?.value ?? first;
  return {
    get value() {
      return value;
    },
    save(next) {
      generation += 1;
      if (end > FULL_BYTES) {
        at = 1 - at;
        end = 0;
        // The newest snapshot is in the other file.
        flash.truncate(files[at] ?? '', 0);
      }
      const record = encode({ generation, value: next });
      flash.write(files[at] ?? '', end, record);
      flash.sync(files[at] ?? '');
      end += record.length;
      value = next;
    },
  };
}

type Snapshot<T> = { generation: number; value: T };

function encode(snapshot: Snapshot<unknown>): Buffer {
  const body = Buffer.from(JSON.stringify(snapshot));
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([head, body]);
}

function scan<T>(bytes: Buffer): { last: Snapshot<T> | undefined; end: number } {
  let last: Snapshot<T> | undefined;
  let end = 0;
  while (end + HEAD <= bytes.length) {
    const length = bytes.readUInt32BE(end);
    const body = bytes.subarray(end + HEAD, end + HEAD + length);
    if (length === 0 || body.length < length || crc32(body) !== bytes.readUInt32BE(end + 4)) break;
    const next = JSON.parse(body.toString()) as Snapshot<T>;
    // What an earlier turn of this file has left behind the end.
    if (last !== undefined && next.generation <= last.generation) break;
    last = next;
    end += HEAD + length;
  }
  return { last, end };
}
