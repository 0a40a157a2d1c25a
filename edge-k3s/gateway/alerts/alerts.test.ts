import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { egressProblem, type MessageOf } from '../../../operator/api/egress.ts';
import type { Output } from '../core/output.ts';
import { createAlerts, type Found } from './alerts.ts';

const START_MS = 1_790_000_000_000;
const MINUTE_MS = 60_000;

function world() {
  const outputs: Output[] = [];
  const alerts = createAlerts(
    (output) => outputs.push(output),
    (_segment, stream, field) => (field === 'celsius' ? `${stream}:celsius` : undefined),
  );
  alerts.configure({ version: 1, site: 'berlin', segments: [] });
  const at = (minutes: number): void =>
    alerts.tick({ kind: 'tick', nowMs: START_MS + minutes * MINUTE_MS, elapsedMs: 1 + minutes * MINUTE_MS });
  at(0);
  return {
    ...{ alerts, outputs, at },
    find(device: number, minutes: number, more: Partial<Found> = {}): void {
      const atMs = START_MS + minutes * MINUTE_MS + 123;
      const where = { device: `d-${device}.berlin`, segment: 'office.berlin', stream: 'climate', field: 'celsius' };
      alerts.found({ ...where, kind: 'level', atMs, score: 4.4321, ...more });
    },
  };
}

const bodies = (outputs: readonly Output[]) => outputs.map(({ rev, body }) => ({ ...(body as MessageOf<'Alert'>), rev }));

describe('alerts', () => {
  it('tells of a thing at once, and then when it is over how often it came', () => {
    const { find, at, outputs } = world();
    find(1, 0);
    expect(outputs).toMatchObject([{ device: 'd-1.berlin', rev: 0, fromMs: START_MS, toMs: START_MS }]);
    for (let n = 1; n < 100; n++) find(1, n / 60);
    at(14);
    expect(outputs).toHaveLength(1);
    at(16);
    expect(bodies(outputs)).toMatchObject([
      { rev: 0, kind: 'level', metric: 'climate:celsius', score: 4.43, count: 1 },
      { rev: 1, count: 100 },
    ]);
    expect(outputs[1]?.id).toBe(outputs[0]?.id);
    expect(outputs[1]?.toMs).toBe(START_MS + 99_000);
  });

  it('says nothing more of what came once', () => {
    const { find, at, outputs } = world();
    find(1, 0);
    at(60);
    expect(outputs).toHaveLength(1);
  });

  it('tells anew of what comes again after a quiet time, and of what never ends', () => {
    const { find, at, outputs } = world();
    find(1, 0);
    at(20);
    find(1, 20);
    expect(new Set(outputs.map(({ id }) => id)).size).toBe(2);
    for (let minutes = 21; minutes < 400; minutes += 5) {
      at(minutes);
      find(1, minutes);
    }
    expect(new Set(outputs.map(({ id }) => id)).size).toBe(3);
  });

  it('does not take two devices, two values, two kinds or two rules for one thing', () => {
    const { find, outputs } = world();
    for (const more of [
      {},
      { field: 'other' },
      { kind: 'gap' as const },
      { kind: 'rule' as const, rule: 'a' },
      { kind: 'rule' as const, rule: 'b' },
    ])
      find(1, 0, more);
    find(2, 0);
    expect(outputs).toHaveLength(6);
  });

  it('calls a value that only few devices have by no name of theirs', () => {
    const { find, outputs } = world();
    find(1, 0, { field: 'alice-is-at-home' });
    expect(bodies(outputs)).toMatchObject([{ metric: 'other' }]);
  });

  it('makes one alert of a storm, with every alert in it counted', () => {
    const { find, at, outputs } = world();
    for (let device = 0; device < 500; device++) find(device, 0, { kind: device % 2 === 0 ? 'gap' : 'level' });
    expect(outputs).toHaveLength(60);
    at(1);
    expect(bodies(outputs).at(-1)).toEqual({ rev: 0, type: 'Alert', kind: 'storm', count: 440, kinds: { gap: 220, level: 220 } });
    expect(outputs.at(-1)?.device).toBe('');
    at(2);
    expect(outputs).toHaveLength(61);
    find(501, 2);
    expect(bodies(outputs).at(-1)).toMatchObject({ kind: 'level', count: 1 });
  });

  it('lets one device not use up what the others may say', () => {
    const { find, at, outputs } = world();
    for (let n = 0; n < 500; n++) find(1, 0, { field: `made-up-${n}` });
    for (let device = 2; device < 42; device++) find(device, 0);
    at(1);
    const devices = outputs.map(({ device }) => device);
    expect(devices.filter((device) => device === 'd-1.berlin')).toHaveLength(16);
    expect(new Set(devices).size).toBe(42);
  });

  it('knows nothing of an erased device', () => {
    const { find, at, outputs, alerts } = world();
    find(1, 0);
    find(1, 0.1);
    alerts.forget('d-1.berlin');
    expect([...alerts.snapshot()].join()).not.toContain('d-1');
    at(60);
    expect(outputs).toHaveLength(1);
  });

  it('counts every finding once, sends only what may leave, and goes on after a snapshot as if nothing had been', () => {
    const step = fc.oneof(
      fc.record({ device: fc.nat(3), kind: fc.constantFrom('gap', 'level', 'rate'), field: fc.constantFrom('celsius', 'x y') }),
      fc.record({ minutes: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ burst: fc.integer({ min: 1, max: 90 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(60), (steps, cut) => {
        const [whole, halved] = [world(), world()];
        let [minutes, found] = [0, 0];
        for (const [n, one] of steps.entries()) {
          if (n === cut) halved.alerts.restore([...halved.alerts.snapshot()]);
          if ('minutes' in one) minutes += one.minutes;
          for (const { find, at } of [whole, halved]) {
            if ('minutes' in one) at(minutes);
            else if ('burst' in one) for (let device = 0; device < one.burst; device++) find(100 + device, minutes);
            else find(one.device, minutes, { kind: one.kind as Found['kind'], field: one.field });
          }
          found += 'minutes' in one ? 0 : 'burst' in one ? one.burst : 1;
        }
        for (const { at } of [whole, halved]) {
          at(minutes + 600);
          at(minutes + 1200);
        }
        expect(halved.outputs).toEqual(whole.outputs);
        const last = new Map<string, number>();
        for (const { id, body, device, fromMs, toMs, rev } of whole.outputs) {
          const place = { segment: 'office', ...(device === '' ? {} : { device }) };
          expect(egressProblem({ ...body, ...place, v: 1, site: 'berlin', key: id, rev, fromMs, toMs })).toBeUndefined();
          last.set(id, (body as MessageOf<'Alert'>).count);
        }
        expect([...last.values()].reduce((sum, count) => sum + count, 0)).toBe(found);
      }),
      { numRuns: 60 },
    );
  });

  it('begins as empty with the lines of another version', () => {
    const { find, alerts } = world();
    find(1, 0);
    const [, ...rest] = alerts.snapshot();
    alerts.restore(['alerts 0', ...rest]);
    expect([...alerts.snapshot()]).toHaveLength(2);
  });
});
