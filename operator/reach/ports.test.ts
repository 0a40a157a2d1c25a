import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Connections,
  connectionsText,
  EVERYTHING,
  equal,
  intersection,
  isEverything,
  NOTHING,
  PROTOCOLS,
  type Protocol,
  ports,
  union,
} from './ports.ts';

const some: fc.Arbitrary<Connections> = fc
  .array(
    fc
      .tuple(fc.constantFrom(...PROTOCOLS), fc.integer({ min: 1, max: 12 }), fc.nat(4))
      .map(([protocol, from, length]) => ports(protocol, from, from + length)),
    { maxLength: 6 },
  )
  .map((list) => list.reduce(union, NOTHING));
const holds = (connections: Connections, protocol: Protocol, port: number): boolean =>
  (connections.get(protocol) ?? []).some(([from, to]) => from <= port && port <= to);
const PROBES = PROTOCOLS.flatMap((protocol) => Array.from({ length: 20 }, (_, port) => [protocol, port] as const));

describe('sets of connections', () => {
  it('unite and intersect port by port', () => {
    fc.assert(
      fc.property(some, some, (a, b) => {
        for (const [protocol, port] of PROBES) {
          expect(holds(union(a, b), protocol, port)).toBe(holds(a, protocol, port) || holds(b, protocol, port));
          expect(holds(intersection(a, b), protocol, port)).toBe(holds(a, protocol, port) && holds(b, protocol, port));
        }
      }),
    );
  });

  it('have one text for one set, whatever it was made from', () => {
    fc.assert(
      fc.property(some, some, some, (a, b, c) => {
        expect(connectionsText(union(union(a, b), c))).toBe(connectionsText(union(c, union(b, a))));
        expect(equal(union(a, EVERYTHING), EVERYTHING) && equal(intersection(a, EVERYTHING), a)).toBe(true);
      }),
    );
  });

  it.each([
    ['nothing', NOTHING, 'No Connections'],
    ['everything', EVERYTHING, 'All Connections'],
    ['every port of every protocol', PROTOCOLS.map((protocol) => ports(protocol)).reduce(union), 'All Connections'],
    ['every port of one', ports('TCP'), 'TCP 1-65535'],
    ['neighbours', union(ports('TCP', 80, 80), ports('TCP', 81, 90)), 'TCP 80-90'],
    [
      'three protocols',
      [ports('UDP', 9090, 9090), ports('TCP', 8080, 8081), ports('SCTP', 7070, 7070)].reduce(union),
      'SCTP 7070,TCP 8080-8081,UDP 9090',
    ],
    ['gaps', [ports('TCP', 9090, 9090), ports('TCP', 8080, 8080)].reduce(union), 'TCP 8080,9090'],
  ])('%s is written "%s"', (_name, connections, text) => {
    expect(connectionsText(connections)).toBe(text);
    expect(isEverything(connections)).toBe(text === 'All Connections');
  });
});
