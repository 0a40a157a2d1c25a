import { expect, it } from 'vitest';
import { type Alerted, createLastAlerts } from './alerted.ts';

const alert = (n: number): Alerted => ({
  kind: 'range',
  atMs: n,
  says: `${n} is above 25, the highest allowed`,
  stream: 'climate',
  field: 'celsius',
});

it('the last eight alerts of a device are kept, the newest last', () => {
  const alerts = createLastAlerts();
  for (let n = 0; n < 20; n++) alerts.found('a.berlin', alert(n));
  expect(alerts.of('a.berlin').map(({ atMs }) => atMs)).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
  expect(alerts.of('b.berlin')).toEqual([]);
});

it('of more devices than there is room for, those that were alerted last are kept', () => {
  const alerts = createLastAlerts(2);
  for (const [n, device] of ['a', 'b', 'a', 'c'].entries()) alerts.found(device, alert(n));
  expect(['a', 'b', 'c'].map((device) => alerts.of(device).length)).toEqual([2, 0, 1]);
});

it('a snapshot has all of it, but for a device that was erased, and one of another make is as none', () => {
  const alerts = createLastAlerts();
  for (const device of ['a', 'b']) alerts.found(device, alert(1));
  alerts.forget('a');
  const lines = [...alerts.snapshot()];
  expect(lines.join()).not.toContain('"a"');
  const restored = createLastAlerts();
  restored.restore(lines);
  expect([restored.of('a'), restored.of('b')]).toEqual([[], [alert(1)]]);
  restored.restore(['alerted 0', ...lines.slice(1)]);
  expect(restored.of('b')).toEqual([]);
});
