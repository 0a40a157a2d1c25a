import { describe, expect, it } from 'vitest';
import type { GatewayConfig, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Entry } from '../spool/record.ts';
import { memoryDisk } from '../spool/testing/disk.ts';
import { drain, open } from '../spool/testing/world.ts';
import { outgoing } from './gate.ts';
import { retentionOf } from './retention.ts';

const DAY_MS = 86_400_000;
const NOW = 1_790_000_000_000;
const segment = (name: string, days: number): GatewaySegment => ({
  ...{ name: `${name}.berlin`, egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 5, detect: [], rules: [] },
  retentionMs: { trend: days * DAY_MS, alert: 2 * days * DAY_MS, security: 3 * days * DAY_MS },
});
const CONFIG: GatewayConfig = { version: 1, site: 'berlin', segments: [segment('office', 10), segment('lab', 20)] };
const GATE = { site: 'berlin', segment: (name: string) => CONFIG.segments.find((one) => one.name === name) };

let made = 0;
function entry(of: Entry['class'], name: string, daysAgo: number): Entry {
  made += 1;
  const [toMs, key] = [NOW - daysAgo * DAY_MS, `${of}/${name}/${daysAgo}/${made}`];
  const payload = Buffer.from(JSON.stringify({ type: 'Alert', kind: 'level', count: 1, ...(name === '' ? {} : { segment: name }) }));
  return { class: of, key, subject: `${of} ${name}`, device: '', fromMs: toMs - 1000, toMs, revision: 0, payload };
}

/** What is left of these after the retention, by key; and losses as the cloud hears of them. */
async function left(entries: readonly Entry[]) {
  const disk = memoryDisk();
  const spool = await open(disk, 1024 ** 2);
  await Promise.all(entries.map((one) => spool.append(one)));
  const { isOver, beforeMs } = retentionOf(CONFIG, NOW) ?? expect.fail();
  const expired = await spool.expire(isOver, beforeMs);
  const again = await open(memoryDisk(disk.files()), 1024 ** 2);
  const [now, later] = [await drain(spool), await drain(again)];
  expect(later.map(({ key }) => key).sort()).toEqual(now.map(({ key }) => key).sort());
  const losses = now.filter(({ lost }) => lost > 0).map((one) => outgoing(one, GATE, NOW));
  const text = [...disk.files()].map(([, bytes]) => String(bytes)).join();
  return { expired, kept: now.filter(({ lost }) => lost === 0).map(({ key }) => key), losses, text };
}

describe('what waits for the cloud', () => {
  it('is kept for as long as the policy of its segment says, each class by itself, and what is over is named as a loss', async () => {
    const over = [entry('trend', 'office', 11), entry('trend', 'lab', 21), entry('alert', 'office', 21), entry('security', 'lab', 61)];
    const due = [entry('trend', 'office', 9), entry('trend', 'lab', 19), entry('alert', 'office', 19), entry('security', 'lab', 59)];
    const { expired, kept, losses, text } = await left([...over, ...due]);
    expect(expired).toBe(4);
    expect(kept.sort()).toEqual(due.map(({ key }) => key).sort());
    for (const { key } of over) expect(text).not.toContain(key);
    const said = losses.map((one) => JSON.parse(typeof one === 'string' ? expect.fail(one) : one.payload));
    expect(said.map(({ class: of, reason, count }) => `${of} ${reason} ${count}`).sort()).toEqual([
      'alert expired 1',
      'security expired 1',
      'trend expired 2',
    ]);
  });

  it('and is about the site, or of a segment without a policy, is kept as long as the longest', async () => {
    const due = [entry('security', '', 59), entry('alert', 'gone', 39)];
    const { kept } = await left([...due, entry('security', '', 61), entry('alert', 'gone', 41)]);
    expect(kept.sort()).toEqual(due.map(({ key }) => key).sort());
  });

  it('stays whole when nothing of it is over', async () => {
    const due = Array.from({ length: 50 }, (_, n) => entry('trend', 'office', n / 10));
    const { expired, kept, losses } = await left(due);
    expect([expired, kept.length, losses]).toEqual([0, 50, []]);
  });

  it('is kept when there is no policy', () => {
    expect(retentionOf({ ...CONFIG, segments: [] }, NOW)).toBeUndefined();
  });
});
