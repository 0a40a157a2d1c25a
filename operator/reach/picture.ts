// Segments and what is between them as a picture's parts: boxes by trust, lines with what passes. Pure, and the same for the same fleet.
import { graphOf } from './arrows.ts';
import { byCodeUnits } from './connections.ts';
import type { Survey } from './survey.ts';

/** `trust` undefined: addresses outside. `lines` are its text, the name first. */
export type Box = { text: string; trust: number | undefined; lines: readonly string[] };
/** `from` and `to` are positions in the boxes. */
export type Line = { from: number; to: number; kind: 'ports' | 'topics'; labels: readonly string[] };
export type Picture = { boxes: readonly Box[]; lines: readonly Line[] };

/** What SegmentPolicies grant. A segment without any conduit is a box of its own. */
export function pictureOf(survey: Survey): Picture {
  const { segments, arrows } = graphOf(survey);
  const granted = arrows.filter(({ by }) => by === 'SegmentPolicies');
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
  const lines = granted.flatMap(({ from, to, ports, topics }): Line[] => {
    const [a, b] = [places.get(from.text), places.get(to.text)];
    if (a === undefined || b === undefined) return [];
    return [
      ...(ports.length > 0 ? [{ from: a, to: b, kind: 'ports' as const, labels: ports }] : []),
      ...(topics.length > 0 ? [{ from: a, to: b, kind: 'topics' as const, labels: topics }] : []),
    ];
  });
  return { boxes, lines };
}
