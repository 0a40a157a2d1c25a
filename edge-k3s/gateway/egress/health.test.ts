import { describe, expect, it } from 'vitest';
import type { MessageOf } from '../../../operator/api/egress.ts';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import type { Output } from '../core/output.ts';
import { admit } from './gate.ts';
import { createHealth, type HealthReadings } from './health.ts';

const DAY_MS = 86_400_000;

async function world(more: Partial<HealthReadings> = {}) {
  const clock = new FakeClock();
  const outputs: Output[] = [];
  const readings = { devices: 7, suppressed: 3, spoolBytes: 10, spoolMaxBytes: 100, certificateEndsMs: undefined, ...more };
  const health = createHealth({ out: (output) => outputs.push(output), clock, read: () => readings });
  const stop = new AbortController();
  const running = health.run(stop.signal);
  return {
    ...{ clock, outputs, health, readings },
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}
const bodyOf = (output: Output | undefined) => output?.body as MessageOf<'Health'>;

describe('the health of a site', () => {
  it('is told every five minutes in numbers of these minutes, and may leave', async () => {
    const { clock, outputs, health, readings, stop } = await world();
    for (const device of ['a', 'b', 'a']) health.heard(device);
    health.refused();
    readings.suppressed += 2;
    const fromMs = clock.now();
    await clock.advance(300_000);
    expect(outputs).toMatchObject([{ fromMs, toMs: fromMs + 300_000 }]);
    expect(bodyOf(outputs[0])).toEqual({
      ...{ type: 'Health', devices: 7, heard: 2, messages: 3, refused: 1, suppressed: 2, spoolBytes: 10, spoolMaxBytes: 100 },
    });
    await clock.advance(300_000);
    expect(bodyOf(outputs[1])).toMatchObject({ heard: 0, messages: 0, refused: 0, suppressed: 0 });
    const gate = { site: 'berlin', segment: () => undefined, refOf: () => undefined };
    for (const output of outputs) expect(admit(output, gate, clock.now())).toMatchObject({ class: 'security' });
    await stop();
  });

  it('does not say how many of four devices were heard: it would say who is there', async () => {
    const { clock, outputs, health, stop } = await world({ devices: 4 });
    health.heard('a');
    await clock.advance(300_000);
    expect(bodyOf(outputs[0])).not.toHaveProperty('heard');
    await stop();
  });

  it.each([
    [40.5, 40],
    [-0.5, -1],
  ])('says of a certificate that ends in %d days that it is %d', async (days, said) => {
    const { clock, outputs, readings, stop } = await world();
    Object.assign(readings, { certificateEndsMs: clock.now() + 300_000 + days * DAY_MS });
    await clock.advance(300_000);
    expect(bodyOf(outputs[0]).certificateDays).toBe(said);
    await stop();
  });
});
