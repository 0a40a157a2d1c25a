// Makes room in a class that is at its bound: the class decides what gives way, the oldest first.
import { type Coarsening, coarsen } from './coarsen.ts';
import { type Stored, sizeOf } from './record.ts';
import { bytesOf, load, rewrite, type Segment, type Segments } from './segments.ts';
import { firstAndLast, newerHalf } from './shrink.ts';

export type Room = { segmentBytes: number; classBytes: number; coarsening: Coarsening };

/** So many files become one at most. */
const RUN = 8;

/** What was merged is merged again, with more of its kind: 8 files to one, so often. */
const ALERT_LEVELS = 6;

/** As much as a file stays free: a file is written anew beside the old one. */
export const roomFor = (of: Segments, { segmentBytes, classBytes }: Room, bytes: number): boolean =>
  bytesOf(of) + bytes <= classBytes - segmentBytes;

/** Each step either frees bytes or leaves one file less that could still be merged, so it comes to an end. False when nothing is left that may go. */
export async function giveWay(of: Segments, room: Room): Promise<boolean> {
  const sealed = of.list.filter((one) => one !== of.growing);
  if (sealed.length === 0) {
    if (of.growing === undefined) return false;
    await of.disk.release(of.growing.file);
    of.growing = undefined;
    return true;
  }
  const levels = of.class === 'trend' ? room.coarsening.widthsMs.length : of.class === 'alert' ? ALERT_LEVELS : 0;
  for (let level = 1; level <= levels; level++) {
    const run = runBelow(sealed, level);
    if (run.length > 0) return await merge(of, room, sealed, run, level);
  }
  return await drop(of, sealed);
}

/** The oldest files that were not merged so far, next to each other. */
function runBelow(sealed: readonly Segment[], level: number): Segment[] {
  const start = sealed.findIndex(({ mark }) => mark < level);
  if (start < 0) return [];
  const end = sealed.findIndex(({ mark }, at) => at > start && mark >= level);
  return sealed.slice(start, Math.min(start + RUN, end < 0 ? sealed.length : end));
}

async function merge(of: Segments, room: Room, sealed: readonly Segment[], run: Segment[], level: number): Promise<boolean> {
  const [oldest] = run;
  const previous = oldest && sealed[sealed.indexOf(oldest) - 1];
  // The file before has what was too young to be merged then.
  const tries = [...(previous === undefined ? [] : [[previous, ...run]]), ...run.map((_, at) => run.slice(0, run.length - at))];
  for (const files of tries) {
    const records = (await Promise.all(files.map((one) => load(of, one)))).flat();
    const less = shrunk(of, room, records, level);
    const bytes = sizeOfAll(less);
    if (bytes > room.segmentBytes || bytes >= sizeOfAll(records)) continue;
    await rewrite(of, files, less, Math.max(level, previous?.mark ?? 0));
    return true;
  }
  for (const one of run) one.mark = level;
  return true;
}

function shrunk(of: Segments, { coarsening }: Room, records: readonly Stored[], level: number): Stored[] {
  const width = coarsening.widthsMs[level - 1] ?? 0;
  return of.class === 'trend' ? coarsen(records, width, coarsening, of.standing) : firstAndLast(records, of.standing, of.salt);
}

/** Files that cannot become smaller (records of loss, and little else) are left in front, and join the next loss. */
async function drop(of: Segments, sealed: readonly Segment[]): Promise<boolean> {
  const run: Segment[] = [];
  const records: Stored[] = [];
  for (const one of sealed) {
    run.push(one);
    records.push(...(await load(of, one)));
    const less = newerHalf(records, of.standing, of.salt);
    if (sizeOfAll(less) >= sizeOfAll(records)) continue;
    await rewrite(of, run, less, Math.max(...run.map(({ mark }) => mark)));
    return true;
  }
  return false;
}

const sizeOfAll = (records: readonly Stored[]): number => records.reduce((sum, one) => sum + (sizeOf(one) ?? 0), 0);
