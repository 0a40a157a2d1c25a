import { expect, it } from 'vitest';
import { renderTable } from './table.ts';

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
  expect(line?.indexOf('21.4')).toBe(head?.indexOf('LAST READING'));
});

it('says why a device is not ready', () => {
  expect(renderTable([{ ...row, ready: 'False', reason: 'Revoked' }], 200)[1]).toContain('False (Revoked)');
});

it('never writes past the edge of the terminal', () => {
  for (const line of renderTable([row, { ...row, last: 'x'.repeat(300) }], 80)) expect(line.length).toBeLessThanOrEqual(80);
});
