// Segments and what is between them as a picture's parts: boxes by trust, lines with what passes. Pure, and the same for the same fleet.
import { type Arrow, type Asked, graphOf } from './arrows.ts';
import type { Pending } from './broker-fleet.ts';
import { byCodeUnits } from './connections.ts';

/** `trust` undefined: addresses outside. `lines` are its text, the name first. */
export type Box = { text: string; trust: number | undefined; lines: readonly string[] };
/** `from` and `to` are positions in the boxes. */
export type Line = { from: number; to: number; kind: 'ports' | 'topics'; labels: readonly string[] };
export type Picture = { boxes: readonly Box[]; lines: readonly Line[] };

/** What SegmentPolicies grant, and topics by the broker's rules where those were read. A segment without any conduit is a box of its own. */
export function pictureOf(verifier: Asked): Picture {
  const { segments, arrows } = graphOf(verifier);
  const granted = arrows.filter(({ by }) => by !== 'NetworkPolicies');
  const outside = [...new Set(granted.flatMap(({ to }) => (to.kind === 'addresses' ? [to.text] : [])))].sort(byCodeUnits);
  const boxes: Box[] = [
    ...segments.map(({ key, trust, function: purpose, devices }) => ({
      text: key,
      trust,
      lines: [key, `trust ${trust}${purpose === undefined ? '' : `, ${purpose}`}`, `${devices} ${devices === 1 ? 'device' : 'devices'}`],
    })),
    ...outside.map((text) => ({ text, trust: undefined, lines: [text, 'outside'] })),
  ];
  const places = new Map(boxes.map(({ text }, at) => [text, at]));
  const ways = [...granted.map(wayOf), ...(verifier.fleet()?.pending() ?? []).map(waiting)];
  const lines = [...Map.groupBy(ways, ({ from, to }) => `${from} ${to}`).values()].flatMap((some): Line[] => {
    const [a, b] = [places.get(some[0]?.from ?? ''), places.get(some[0]?.to ?? '')];
    if (a === undefined || b === undefined) return [];
    return (['ports', 'topics'] as const).flatMap((kind): Line[] => {
      const labels = some.flatMap((way) => way[kind]);
      return labels.length > 0 ? [{ from: a, to: b, kind, labels }] : [];
    });
  });
  return { boxes, lines };
}

type Way = { from: string; to: string; ports: readonly string[]; topics: readonly string[] };

function wayOf({ from, to, ports, topics, rules }: Arrow): Way {
  const said = rules === undefined ? '' : rules.unsure ? ' (perhaps)' : rules.meant ? '' : ' (no policy grants it)';
  return { from: from.text, to: to.text, ports, topics: topics.map((topic) => `${topic}${said}`) };
}

const waiting = ({ from, to, topic }: Pending): Way => ({ from, to, ports: [], topics: [`${topic} (not in force at the broker)`] });
