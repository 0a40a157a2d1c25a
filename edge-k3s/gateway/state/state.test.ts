import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import type { Event } from '../core/event.ts';
import type { Part } from '../core/part.ts';
import { afterCut, type Cut, type MemoryDisk, memoryDisk } from '../spool/testing/disk.ts';
import { readJournal, readSnapshot } from './lines.ts';
import { openState } from './state.ts';

type Seen = Part & { events: number[] };

/** Remembers the order of everything. */
function makePart(): Seen {
  const part: Seen = {
    name: 'seen',
    events: [],
    *snapshot() {
      for (const one of part.events) yield String(one);
    },
    restore(lines) {
      part.events = [...lines].map(Number);
    },
    forget: () => undefined,
  };
  return part;
}

const tick = (nowMs: number): Event => ({ kind: 'tick', nowMs, elapsedMs: nowMs });
const nameOf = (event: Event): number => (event.kind === 'tick' ? event.nowMs : 0);

async function open(disk: MemoryDisk, settled?: () => Promise<() => void>) {
  const [clock, part] = [new FakeClock(), makePart()];
  const apply = (event: Event): void => void part.events.push(nameOf(event));
  const state = await openState({ disk, clock, parts: [part], apply, ...(settled === undefined ? {} : { settled }) });
  const append = (event: Event): Promise<void> => {
    apply(event);
    return state.append(event);
  };
  return { clock, part, state, append };
}

/** Appends in bursts, with a snapshot now and then; when each event was certain, in operations of the disk. */
async function live() {
  const disk = memoryDisk();
  const { clock, state, append } = await open(disk);
  const certain: number[] = [];
  let n = 0;
  for (let round = 0; round < 12; round++) {
    const burst = Array.from({ length: 5 }, async () => {
      n += 1;
      const mine = n;
      await append(tick(mine));
      certain[mine] = disk.log.length;
    });
    if (round % 4 === 3) await state.snapshot();
    await clock.advance(100);
    await Promise.all(burst);
  }
  return { disk, certain, count: n };
}

describe('the state', () => {
  it('after a power cut at any operation and within any write is one that it was, with everything that was certain', async () => {
    const { disk, certain, count } = await live();
    for (let at = 0; at <= disk.log.length; at++) {
      const last = disk.log[at - 1];
      const within: Cut[] =
        last?.does === 'append' ? [1, 9, last.bytes.length >> 1].flatMap((bytes) => [{ torn: bytes }, { garbage: bytes }]) : [];
      for (const cut of ['all written', 'unsynced lost', { chance: at }, ...within] as Cut[]) {
        const { part, append, clock } = await open(memoryDisk(afterCut(disk.log, at, cut)));
        const events = [...part.events];
        expect(events, JSON.stringify(cut)).toEqual(Array.from({ length: events.length }, (_, n) => n + 1));
        expect(events.length).toBeGreaterThanOrEqual(certain.filter((when) => when <= at).length);
        const more = append(tick(count + 1));
        await clock.advance(100);
        await more;
      }
    }
  });

  it('has a whole start after a start that was cut', async () => {
    const { disk } = await live();
    const second = memoryDisk(disk.files());
    await open(second);
    for (let at = 0; at <= second.log.length; at++) {
      const { part } = await open(memoryDisk(afterCut([...disk.log, ...second.log], disk.log.length + at, 'unsynced lost')));
      expect(part.events).toHaveLength(60);
    }
  });

  it('does not take the place of a journal before what that gave out is certain', async () => {
    const disk = memoryDisk();
    const spooled = Promise.withResolvers<() => void>();
    const { state, append } = await open(disk, () => (disk.log.length > 8 ? spooled.promise : Promise.resolve(() => undefined)));
    while (disk.log.length <= 8) await state.snapshot();
    void append(tick(1));
    const snapshot = state.snapshot();
    const before = [...disk.files().keys()];
    await new Promise((resolve) => setImmediate(resolve));
    expect([...disk.files().keys()]).toEqual(before);
    let after: string[] = [];
    spooled.resolve(() => (after = [...disk.files().keys()]));
    await snapshot;
    expect([...disk.files().keys()]).not.toEqual(before);
    // What follows from it cannot be given out again, and not before.
    expect(after).toEqual([...disk.files().keys()]);
  });

  it('takes nothing more when the disk fails, since memory is ahead of it', async () => {
    const disk = memoryDisk();
    const { clock, append } = await open(disk);
    disk.faults.fail = (does) => (does === 'sync' ? Object.assign(new Error('no room'), { code: 'ENOSPC' }) : undefined);
    const first = append(tick(1));
    await clock.advance(100);
    await expect(first).rejects.toThrow(/^HR-GW-101/);
    disk.faults.fail = () => undefined;
    await expect(append(tick(2))).rejects.toThrow(/^HR-GW-101/);
  });

  it('says when something was damaged, and goes on with the rest', async () => {
    const { disk } = await live();
    const files = disk.files();
    const snapshot = [...files.keys()].find((one) => one.endsWith('snapshot')) ?? '';
    files.get(snapshot)?.writeUInt8(0x21, 40);
    const { state, part } = await open(memoryDisk(files));
    expect(state.damaged).toBe(1);
    expect(part.events).toEqual([]);
  });

  it('one promise stands for all that go to the disk together', async () => {
    const { append } = await open(memoryDisk());
    expect(append(tick(1))).toBe(append(tick(2)));
  });
});

describe('the files', () => {
  it('whatever they hold give events and lines, or none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(readSnapshot(Buffer.from(bytes))).toBeUndefined();
        expect(readJournal(Buffer.from(bytes)).events).toEqual([]);
      }),
    );
  });
});
