import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Accepted } from '../core/event.ts';
import { createTracks } from './tracks.ts';

const RULES = { window: 64, maxSkewMs: 120_000 };
const NOW = 1_790_000_000_000;
const event = (device: string, boot: number, seq: number): Accepted => ({
  ...{ kind: 'message', device, segment: 'office.berlin', stream: 'climate', group: '', boot, seq, atMs: NOW, backfill: false },
  ...{ heardMs: NOW, readings: [] },
});

describe('tracks', () => {
  it('accept each message once, also after they were written and read', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 300 })), { maxLength: 60 }),
        fc.nat(60),
        (sent, cut) => {
          const whole = createTracks({ maxDevices: 10 });
          const first = createTracks({ maxDevices: 10 });
          const verdicts = sent.map(([device, boot, seq]) => whole.take(event(device, boot, seq), RULES));
          const early = sent.slice(0, cut).map(([device, boot, seq]) => first.take(event(device, boot, seq), RULES));
          const second = createTracks({ maxDevices: 10 });
          second.restore(first.snapshot());
          const late = sent.slice(cut).map(([device, boot, seq]) => second.take(event(device, boot, seq), RULES));
          expect([...early, ...late]).toEqual(verdicts);
          const taken = sent.filter((_, at) => verdicts[at] === undefined).map(String);
          expect(new Set(taken).size).toBe(taken.length);
        },
      ),
    );
  });

  it('turn a device away rather than forget one', () => {
    const tracks = createTracks({ maxDevices: 1 });
    expect(tracks.take(event('a', 1, 1), RULES)).toBeUndefined();
    expect(tracks.take(event('b', 1, 1), RULES)).toBe('HR-GW-207');
    tracks.forget('a');
    expect(tracks.take(event('b', 1, 1), RULES)).toBeUndefined();
  });

  it('of another version begin as empty', () => {
    const tracks = createTracks({ maxDevices: 1 });
    tracks.restore(['tracks 9', 'what nobody knows']);
    expect(tracks.devices).toBe(0);
  });
});
