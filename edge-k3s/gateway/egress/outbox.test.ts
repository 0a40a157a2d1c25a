import { describe, expect, it } from 'vitest';
import type { Output } from '../core/output.ts';
import { type GatewayCode, Refused } from '../errors.ts';
import type { Entry } from '../spool/record.ts';
import { createOutbox } from './outbox.ts';

const LOSS: Output = {
  ...{ segment: '', device: '', id: 'x', subject: 's', rev: 0, fromMs: 0, toMs: 0 },
  body: { type: 'DataLoss', class: 'trend', reason: 'bound', count: 1 },
};

function world(append: (entry: Entry) => Promise<void>) {
  const results: (GatewayCode | 'taken')[] = [];
  const timers: (() => void)[] = [];
  const stood: number[] = [];
  let turn = 0;
  const outbox = createOutbox({
    gate: { site: 'berlin', segment: () => undefined, refOf: () => undefined },
    spool: { append, turn: () => turn++, stands: (one) => void stood.push(one) },
    clock: {
      now: () => 0,
      setTimer: (_afterMs, fn) => {
        timers.push(fn);
        return { cancel: () => undefined };
      },
    },
    count: (_type, result) => void results.push(result),
  });
  return { outbox, results, timers, stood };
}

describe('the outbox', () => {
  it('is settled when everything that was put is on disk, and not before', async () => {
    const disk = Promise.withResolvers<void>();
    const { outbox, results } = world(() => disk.promise);
    outbox.put(LOSS);
    let isSettled = false;
    const settled = outbox.settled().then(() => (isSettled = true));
    await Promise.resolve();
    expect(isSettled).toBe(false);
    disk.resolve();
    await settled;
    expect(results).toEqual(['taken']);
  });

  it('says to the spool what can no more be put again, when it is told so', async () => {
    const { outbox, stood } = world(async () => undefined);
    outbox.put(LOSS);
    const stands = await outbox.settled();
    outbox.put(LOSS);
    await outbox.settled();
    expect(stood).toEqual([]);
    stands();
    expect(stood).toEqual([0]);
  });

  it('counts what the gate turns away, and does not wait for it', async () => {
    const { outbox, results } = world(async () => undefined);
    outbox.put({ ...LOSS, segment: 'office.berlin', body: { type: 'Alert', kind: 'gap', count: 1 } });
    await outbox.settled();
    expect(results).toEqual(['HR-GW-403']);
  });

  it('asks a full disk again until it has room, and keeps what it was given', async () => {
    let tries = 0;
    const { outbox, results, timers } = world(async () => {
      tries += 1;
      if (tries < 3) throw new Refused('HR-GW-101');
    });
    outbox.put(LOSS);
    const settled = outbox.settled();
    for (let round = 0; round < 2; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      timers.shift()?.();
    }
    await settled;
    expect([tries, results]).toEqual([3, ['taken']]);
  });

  it('fails when the disk does: what was given out is not certain, and the journal must stay', async () => {
    const { outbox } = world(() => Promise.reject(new Refused('HR-GW-102')));
    outbox.put(LOSS);
    await expect(outbox.settled()).rejects.toMatchObject({ code: 'HR-GW-102' });
    await expect(outbox.failed).rejects.toMatchObject({ code: 'HR-GW-102' });
  });

  it('does not wait for what no spool takes: a record of loss stands in its place, and none for one that is too large itself', async () => {
    const taken: Entry[] = [];
    const { outbox, results } = world(async (entry) => {
      if (!entry.key.includes('unfit')) throw new Refused('HR-GW-103');
      taken.push(entry);
    });
    outbox.put({
      ...LOSS,
      body: { type: 'Health', devices: 1, messages: 1, refused: 0, suppressed: 0, spoolBytes: 1, spoolMaxBytes: 2 },
    });
    await outbox.settled();
    expect(results).toEqual(['taken', 'HR-GW-103']);
    expect(taken.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()))).toEqual([
      { type: 'DataLoss', class: 'security', reason: 'bound', count: 1 },
    ]);
    outbox.put(LOSS);
    await outbox.settled();
    expect([results.at(-1), taken.length]).toEqual(['HR-GW-103', 1]);
  });

  it('fails before what waits fills the memory', async () => {
    const { outbox } = world(() => new Promise(() => undefined));
    for (let n = 0; n < 16_385; n++) outbox.put(LOSS);
    await expect(outbox.failed).rejects.toMatchObject({ code: 'HR-GW-104' });
  });
});
