import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPeers, type PeerAlert, type Peers } from './peers.ts';

const START = Date.UTC(2026, 10, 26);
const MINUTE = 60_000;
const DEVICES = ['a', 'b', 'c', 'd', 'e'];

/** Five thermometers of a room, each with an offset of its own. `change` is what one of them does beside that. */
function minutes(
  peers: Peers,
  from: number,
  count: number,
  change: (device: string, n: number) => number | undefined = () => 0,
): PeerAlert[] {
  const found: PeerAlert[] = [];
  for (let n = from; n < from + count; n += 1)
    DEVICES.forEach((device, at) => {
      const changed = change(device, n);
      if (changed === undefined) return;
      const value = 21 + Math.sin(n / 200) + at * 0.2 + 0.05 * Math.sin(n * n * (at + 3)) + changed;
      found.push(...peers.observe(device, { atMs: START + n * MINUTE, value }));
    });
  return found;
}

function learned(): Peers {
  const peers = createPeers();
  expect(minutes(peers, 0, 2_000)).toEqual([]);
  return peers;
}

describe('a device among its peers', () => {
  it('that leaves them is told of once a day, in words', () => {
    const found = minutes(learned(), 2_000, 1_000, (device) => (device === 'b' ? 1.5 : 0));
    expect(found.map(({ device, kind, says }) => `${device} ${kind}: ${says}`)).toEqual([
      'b peers: is 1.307 above the middle of its 5 peers (20.75) for half an hour; usually 0.1945 below it',
    ]);
  });
  it('that drifts slowly is found before it is two degrees off', () => {
    const found = minutes(learned(), 2_000, 1_440, (device, n) => (device === 'd' ? (2 * (n - 2_000)) / 1_440 : 0));
    expect(found.map(({ device }) => device)).toEqual(['d']);
  });
  it('that goes with them is left alone, wherever they go', () =>
    expect(minutes(learned(), 2_000, 1_000, (_device, n) => (n - 2_000) / 50)).toEqual([]));
  it('is not judged where there are fewer than four', () => {
    const two = (device: string): boolean => device === 'a' || device === 'b';
    const peers = createPeers();
    minutes(peers, 0, 2_000, (device) => (two(device) ? 0 : undefined));
    expect(minutes(peers, 2_000, 1_000, (device) => (device === 'a' ? 9 : two(device) ? 0 : undefined))).toEqual([]);
  });
});

describe('whatever comes', () => {
  const reading = fc.record({
    device: fc.oneof(fc.constantFrom(...DEVICES, '__proto__', 'constructor'), fc.string({ maxLength: 3 })),
    atMs: fc.oneof(
      fc.integer({ min: 0, max: 200 }).map((n) => START + n * MINUTE * 10),
      fc.constantFrom(Number.NaN, Infinity, -1e15, 8e15),
    ),
    value: fc.oneof(fc.double({ min: -50, max: 50, noNaN: true }), fc.constantFrom(Number.NaN, Infinity, 1e100, -0)),
  });
  it('nothing throws, 64 devices are kept at most, and a restored group goes on exactly', () => {
    fc.assert(
      fc.property(fc.array(reading, { maxLength: 300, size: 'max' }), fc.nat(300), (all, cut) => {
        const whole = createPeers();
        let resumed = createPeers();
        all.forEach(({ device, ...one }, n) => {
          if (n === cut) resumed = createPeers(resumed.snapshot());
          expect(resumed.observe(device, one)).toEqual(whole.observe(device, one));
        });
        expect(resumed.snapshot()).toBe(whole.snapshot());
        expect(Object.keys((JSON.parse(whole.snapshot()) as { members: object }).members).length).toBeLessThanOrEqual(64);
      }),
      { numRuns: 50 },
    );
  });
});
