import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ACTIONS, ENDS, FAULTS, MOST_BYTES, STATES, topicsOf, WAY } from './protocol.ts';

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'reference', 'firmware-protocol.md'), 'utf8');
const rows = (heading: string): string[][] => {
  const section = page.slice(page.indexOf(`\n## ${heading}\n`) + 1).split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
};

describe('the page of the protocol says what the driver goes by', () => {
  it('topics and their bounds', () => {
    const said = rows('Topics').map(([topic, , , , most]) => [topic?.replaceAll('`', ''), Number(most?.replace(',', ''))]);
    const topics = topicsOf('<device>');
    expect(new Map(said as [string, number][])).toEqual(
      new Map((['directive', 'state', 'hello', 'log'] as const).map((name) => [topics[name], MOST_BYTES[name]])),
    );
  });

  it('states, and which ends which directive', () => {
    const table = rows('States').map(([state = '', , , ...marks]) => [state.replaceAll('`', ''), marks] as const);
    expect(table.map(([state]) => state)).toEqual([...STATES]);
    const order = ['Install', 'Stage', 'Activate', 'Revert', 'Cancel'] as const;
    expect([...order].sort()).toEqual([...ACTIONS].sort());
    for (const [at, action] of order.entries()) {
      const having = (wanted: (mark: string) => boolean): string[] =>
        table.filter(([, marks]) => wanted(marks[at] ?? '')).map(([state]) => state);
      expect(having((mark) => mark === 'ends').sort(), action).toEqual([...ENDS[action]].sort());
      expect(having((mark) => mark !== '').sort(), action).toEqual([...WAY[action]].sort());
    }
  });

  it('error codes, and which are tried again', () =>
    expect(rows('Error codes').map(([code, name, again]) => ({ code: Number(code), name, again: again === 'yes' }))).toEqual([...FAULTS]));
});
