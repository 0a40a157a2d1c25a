// A picture as Mermaid, which Git hosts show in Markdown. Names and topics are other people's: nothing of them is left to be read as Mermaid or HTML. Pure.
import type { Picture } from './picture.ts';

export function mermaidOf({ boxes, lines }: Picture): string {
  return [
    'flowchart LR',
    ...boxes.map(({ lines: text, trust }, at) => {
      const label = `"${text.map(escaped).join('<br/>')}"`;
      return trust === undefined ? `  n${at}([${label}])` : `  n${at}[${label}]`;
    }),
    ...lines.map(
      ({ from, to, kind, labels }) => `  n${from} ${kind === 'ports' ? '-->' : '-.->'}|"${labels.map(escaped).join('<br/>')}"| n${to}`,
    ),
    '',
  ].join('\n');
}

/** Mermaid's entity codes, by number, for all that is neither letter, digit nor harmless. */
const escaped = (text: string): string => text.replaceAll(/[^\p{L}\p{N} ./:,_{}()+@~=-]/gu, (character) => `#${character.codePointAt(0)};`);
