// Sets of protocols and ports: what may pass between two peers. Pure, immutable.

export const PROTOCOLS = ['SCTP', 'TCP', 'UDP'] as const;
export type Protocol = (typeof PROTOCOLS)[number];
/** Closed, within 1..65535. */
export type PortRange = readonly [from: number, to: number];
/** For each protocol the ranges in order, neither overlapping nor touching. A protocol without ports is absent. */
export type Connections = ReadonlyMap<Protocol, readonly PortRange[]>;

const MOST = 65_535;
const EVERY_PORT: readonly PortRange[] = [[1, MOST]];

export const NOTHING: Connections = new Map();
export const EVERYTHING: Connections = new Map(PROTOCOLS.map((protocol) => [protocol, EVERY_PORT]));

export function isProtocol(text: string): text is Protocol {
  return (PROTOCOLS as readonly string[]).includes(text);
}

export const ports = (protocol: Protocol, from = 1, to = MOST): Connections => new Map([[protocol, [[from, to]]]]);

export function union(a: Connections, b: Connections): Connections {
  if (a.size === 0 || isEverything(b)) return b;
  if (b.size === 0 || isEverything(a)) return a;
  return each((protocol) => tidy([...(a.get(protocol) ?? []), ...(b.get(protocol) ?? [])]));
}

export function intersection(a: Connections, b: Connections): Connections {
  if (isEverything(a) || b.size === 0) return b;
  if (isEverything(b) || a.size === 0) return a;
  return each((protocol) => {
    const both = (a.get(protocol) ?? []).flatMap(([from, to]) =>
      (b.get(protocol) ?? []).map(([otherFrom, otherTo]): PortRange => [Math.max(from, otherFrom), Math.min(to, otherTo)]),
    );
    return tidy(both.filter(([from, to]) => from <= to));
  });
}

/** What is in `all` and not in `some`. */
export function difference(all: Connections, some: Connections): Connections {
  return each((protocol) => {
    const gaps = tidy([...(some.get(protocol) ?? [])]);
    return (all.get(protocol) ?? []).flatMap(([from, to]) => {
      const left: PortRange[] = [];
      let next = from;
      for (const [start, end] of gaps) {
        if (end < next || start > to) continue;
        if (start > next) left.push([next, start - 1]);
        next = end + 1;
      }
      return next <= to ? [...left, [next, to] as const] : left;
    });
  });
}

export const isNothing = (connections: Connections): boolean => connections.size === 0;

export function isEverything(connections: Connections): boolean {
  if (connections === EVERYTHING) return true;
  return PROTOCOLS.every((protocol) => {
    const [only, ...more] = connections.get(protocol) ?? [];
    return only !== undefined && more.length === 0 && only[0] === 1 && only[1] === MOST;
  });
}

export function equal(a: Connections, b: Connections): boolean {
  return a === b || connectionsText(a) === connectionsText(b);
}

/** `All Connections`, `No Connections`, or `SCTP 7070,TCP 8080-8081,UDP 9090`. */
export function connectionsText(connections: Connections): string {
  if (isNothing(connections)) return 'No Connections';
  if (isEverything(connections)) return 'All Connections';
  return PROTOCOLS.flatMap((protocol) => {
    const ranges = connections.get(protocol) ?? [];
    return ranges.length === 0 ? [] : `${protocol} ${ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(',')}`;
  }).join(',');
}

function each(rangesOf: (protocol: Protocol) => readonly PortRange[]): Connections {
  return new Map(
    PROTOCOLS.flatMap((protocol) => {
      const ranges = rangesOf(protocol);
      return ranges.length === 0 ? [] : [[protocol, ranges] as const];
    }),
  );
}

function tidy(ranges: readonly PortRange[]): PortRange[] {
  const tidied: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = tidied.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else tidied.push([from, to]);
  }
  return tidied;
}
