// SIGKILL of the broker right after a revoke: EMQX loses the bans of its last 3 s (emqx.md), and the device is refused again within seconds of the broker's start.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_VERSION } from '../../operator/api/resources.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { type Fixture, type Member, startFixture } from './fixture.ts';

const DELAYS_MS = [0, 200, 1_000];
/** "Within seconds of its start", on a machine that is busy with something else. */
const REFUSED_WITHIN_MS = 15_000;
/** Several tries of a device that tries again every 100 ms. */
const HOLD_MS = 2_000;

describe('a device that was revoked just before the broker was killed', () => {
  let fixture: Fixture;
  let bystander: Member;
  let doomed: Member[];

  beforeAll(async () => {
    fixture = await startFixture('revoke-killed');
    const [site] = fixture.sites;
    doomed = await fixture.enrol(DELAYS_MS.length, { site, prefix: 'doomed', againAfterMs: 100 });
    [bystander] = (await fixture.enrol(1, { site, prefix: 'bystander' })) as [Member];
  });
  afterAll(() => fixture?.stop());

  it.each(DELAYS_MS.map((delayMs, index) => ({ when: `${delayMs} ms later`, delayMs, index })))(
    'is refused again when that was $when',
    async ({ delayMs, index }) => {
      const { device, connection } = doomed[index] as Member;
      await waitFor('the device to be connected', () => connection.connected() || undefined);
      await fixture.admin.send('POST', `/apis/${API_VERSION}/namespaces/${device.namespace}/interventions`, {
        apiVersion: API_VERSION,
        kind: 'Intervention',
        metadata: { name: device.name, namespace: device.namespace },
        spec: { target: { kind: 'Device', name: device.name }, action: 'Revoke', requestedBy: 'admin', reason: 'ticket 4711' },
      });
      await pause(delayMs);
      await fixture.system.standIn().kill();
      await fixture.system.standIn().restart();

      const startedAt = performance.now();
      const refusedBefore = connection.refused();
      await waitFor('a refusal', () => (connection.refused() > refusedBefore && !connection.connected()) || undefined, {
        timeoutMs: REFUSED_WITHIN_MS,
        everyMs: 10,
      });
      console.log(
        `killed ${delayMs} ms after the revoke: refused ${Math.round(performance.now() - startedAt)} ms after the broker's start`,
      );

      const [accepted, refused, told] = [connection.accepted(), connection.refused(), bystander.told()];
      await pause(HOLD_MS);
      expect(connection.accepted()).toBe(accepted);
      expect(connection.refused()).toBeGreaterThan(refused);
      expect(connection.connected()).toBe(false);
      // Not everybody is refused.
      await waitFor('the bystander to be connected', () => bystander.connection.connected() || undefined);
      expect(bystander.told()).toBeGreaterThanOrEqual(told);
    },
  );
});
