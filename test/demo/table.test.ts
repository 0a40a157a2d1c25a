import { expect, it } from 'vitest';
import { createPaint } from './paint.ts';
import { paintTable, renderTable } from './table.ts';

const row = {
  device: 'thermo-1',
  segment: 'office-sensors',
  ready: 'True',
  reason: 'Ready',
  connected: true,
  accepted: 12,
  refused: 0,
  last: '21.4 °C',
};

it('aligns the columns under their headings', () => {
  const [head, line] = renderTable([row], 200);
  expect(line?.indexOf('office-sensors')).toBe(head?.indexOf('SEGMENT'));
  expect(line?.indexOf('21.4')).toBe(head?.indexOf('LAST'));
});

it('says why a device is not ready', () => {
  expect(renderTable([{ ...row, ready: 'False', reason: 'Revoked' }], 200)[1]).toContain('False (Revoked)');
});

it('never writes past the edge of the terminal', () => {
  for (const line of renderTable([row, { ...row, last: 'x'.repeat(300) }], 80)) expect(line.length).toBeLessThanOrEqual(80);
});

it('fits the terminal and counts what it leaves out', () => {
  const rows = Array.from({ length: 10 }, (_, at) => ({ ...row, device: `thermo-${at}` }));
  const lines = paintTable(rows, createPaint(false), 100, 6);
  expect(lines).toHaveLength(6);
  expect(lines.at(-1)).toBe('… and 6 more');
  expect(paintTable(rows, createPaint(false), 100, 11)).toHaveLength(11);
});

it('colours change no letter', () => {
  const rows = [row, { ...row, ready: 'False', reason: 'Revoked', connected: false }, { ...row, ready: 'Unknown', reason: '' }];
  const plain = paintTable(rows, createPaint(false), 60, 20);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is being removed
  expect(paintTable(rows, createPaint(true), 60, 20).map((line) => line.replace(/\u001b\[\d+m/g, ''))).toEqual(plain);
});
