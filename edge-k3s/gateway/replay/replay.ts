// Turns away messages that were there before, also over restarts: what was accepted is on disk before the message is acknowledged to the broker.
import type { Clock } from '../../../operator/runtime/clock.ts';
import { type GatewayCode, type Refused, refusedBy } from '../errors.ts';
import type { Disk } from '../spool/disk.ts';
import { decide, type Rules, type Track } from './decide.ts';
import type { Envelope } from './envelope.ts';
import { readTracks, stepLine, wholeLine } from './tracks-file.ts';

export type Verdict =
  | { accepted: true /** Resolves when that it was there is on disk: only then may the broker hear of it. */; certain: Promise<void> }
  | { accepted: false; code: GatewayCode };

export type Replay = {
  /** `device`: as its certificate names it, never as its message does. */
  check(device: string, envelope: Omit<Envelope, 'm'>, rules: Rules): Verdict;
  /** The device is deleted: its certificate opens nothing any more. Gone from the disk when it resolves. */
  forget(device: string): Promise<void>;
  /** Lines that the disk gave back damaged at the start. What they held may be sent again as long as its time is not too far off. */
  readonly damaged: number;
  devices(): number;
};

export type ReplayOptions = { disk: Disk; clock: Clock; maxDevices: number };

const FILE = /^replay\.([0-9]{8})\.log$/;
const fileOf = (generation: number): string => `replay.${String(generation).padStart(8, '0')}.log`;
/** From then on it is begun anew with what there is of each device, and so much more. */
const LEAST_FILE_BYTES = 1024 ** 2;
/** As the spool: a window changes when this one message is certain. */
const COMMIT_AFTER_MS = 100;
const COMMIT_RECORDS = 100;

export async function openReplay({ disk, clock, maxDevices }: ReplayOptions): Promise<Replay> {
  const { tracks, damaged, ...read } = await boot(disk);
  let { generation, bytes } = read;
  let least = bytes;
  let waiting: { line: string; resolve(): void; reject(error: unknown): void }[] = [];
  let timer: { cancel(): void } | undefined;
  let failed: Refused | undefined;
  let lane: Promise<void> = Promise.resolve();

  /** The state and the lines that wait are of one moment: whatever is accepted later is in the next commit. */
  async function commit(anew: boolean): Promise<void> {
    const now = waiting;
    waiting = [];
    timer?.cancel();
    timer = undefined;
    try {
      if (failed !== undefined) throw failed;
      if (anew || bytes > 2 * least + LEAST_FILE_BYTES) await begin();
      else if (now.length > 0) {
        const lines = Buffer.from(now.map(({ line }) => line).join(''));
        await disk.append(fileOf(generation), lines);
        await disk.sync(fileOf(generation));
        bytes += lines.length;
      }
      for (const { resolve } of now) resolve();
    } catch (error) {
      // What waits was accepted here and is on no disk: only a new start brings the two together.
      failed = refusedBy(error);
      for (const { reject } of now) reject(failed);
      throw failed;
    }
  }

  async function begin(): Promise<void> {
    const whole = Buffer.from([...tracks].map(([device, track]) => wholeLine(device, track)).join(''));
    const [old, next] = [fileOf(generation), fileOf(generation + 1)];
    await disk.remove(`${next}.new`);
    await disk.append(`${next}.new`, whole);
    await disk.sync(`${next}.new`);
    await disk.rename(`${next}.new`, next);
    await disk.syncNames();
    await disk.remove(old);
    await disk.syncNames();
    generation += 1;
    bytes = whole.length;
    least = whole.length;
  }

  const commitNow = (anew = false): Promise<void> => {
    const done = lane.then(() => commit(anew));
    lane = done.catch(() => undefined);
    return done;
  };
  if (read.isNew) await commitNow(true);

  return {
    damaged,
    devices: () => tracks.size,
    check(device, envelope, rules) {
      if (failed !== undefined) return { accepted: false, code: failed.code };
      const known = tracks.get(device);
      if (known === undefined && tracks.size >= maxDevices) return { accepted: false, code: 'HR-GW-207' };
      const found = decide(known, envelope, rules, clock.now());
      if (typeof found === 'string') return { accepted: false, code: found };
      tracks.set(device, found);
      const line =
        known?.boot === found.boot && known.seen.size === found.seen.size
          ? stepLine(device, found, envelope.seq)
          : wholeLine(device, found);
      const certain = new Promise<void>((resolve, reject) => waiting.push({ line, resolve, reject }));
      if (waiting.length >= COMMIT_RECORDS) void commitNow().catch(() => undefined);
      else timer ??= clock.setTimer(COMMIT_AFTER_MS, () => void commitNow().catch(() => undefined));
      return { accepted: true, certain };
    },
    async forget(device) {
      if (tracks.delete(device)) await commitNow(true);
    },
  };
}

async function boot(disk: Disk) {
  const names = (await disk.list()).map(({ name }) => name);
  const generations = names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map(Number);
  const generation = Math.max(0, ...generations);
  for (const name of names) if (name.startsWith('replay.') && name !== fileOf(generation)) await disk.remove(name);
  await disk.syncNames();
  if (generations.length === 0) return { tracks: new Map<string, Track>(), damaged: 0, generation, bytes: 0, isNew: true };
  const file = await disk.read(fileOf(generation));
  const found = readTracks(file);
  if (found.bytes < file.length) {
    await disk.truncate(fileOf(generation), found.bytes);
    await disk.sync(fileOf(generation));
  }
  return { ...found, generation, isNew: false };
}
