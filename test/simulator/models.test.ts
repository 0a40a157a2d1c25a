import { expect, it } from 'vitest';
import { tellingOf } from './models.ts';

const sensor = { model: 'tmp-2', segment: 'office-sensors', device: 'thermo-17', namespace: 'berlin', seed: 1 };

it('a sensor speaks under its segment and its own name', () => {
  expect(tellingOf(sensor, 700)).toMatchObject({ topic: 'dt/office-sensors.berlin/thermo-17.berlin/temperature', retain: false });
});

it('the state of a panel is retained, as its policy grants', () => {
  expect(tellingOf({ ...sensor, model: 'door-7', segment: 'meeting-rooms', device: 'panel' }, 700)).toMatchObject({
    topic: 'dt/meeting-rooms.berlin/panel.berlin/state',
    retain: true,
  });
});

it('a gateway speaks for its site only', () => {
  expect(tellingOf({ ...sensor, model: 'edge-gateway', segment: 'gateways', device: 'gateway-1' }, 700).topic).toBe('agg/berlin/climate');
});

it('an unknown model is not silent', () => {
  expect(tellingOf({ ...sensor, model: 'new' }, 700).m).toHaveProperty('celsius');
});

it('what a person reads is what is sent', () => {
  const { m, words } = tellingOf(sensor, 700);
  expect(words).toBe(`${m.celsius} °C, ${m.humidity} % humidity`);
});
