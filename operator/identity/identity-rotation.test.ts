// Rotates in the room of identity, in memory: which keys live at the end, whatever fails or dies in between.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Device } from '../api/device.ts';
import { DEVICES, ISSUERS } from '../api/resources.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { seededRandom } from '../runtime/random.ts';
import { decodeEntry, type LedgerEntry } from './ledger-entry.ts';
import type { Rotation } from './renewal.ts';
import { issue, makeCsr } from './testing/authority.ts';
import type { Fault } from './testing/fake-api.ts';
import { FakeCluster, type Life } from './testing/fake-cluster.ts';
import { type Room, startRoom } from './testing/room.ts';
import { HOUR, iso, NOW } from './testing/scene.ts';
import { readCertificate } from './x509.ts';

/** Keys that the device makes one after the other, each with more certificates than a run can ask for, made before: signing in the middle would need real time. */
const keys = await Promise.all(
  Array.from({ length: 5 }, async () => {
    const csr = await makeCsr({ device: 'a' });
    const certificates = await Promise.all(Array.from({ length: 8 }, () => issue(csr, { notBefore: NOW, notAfter: NOW + 720 * HOUR })));
    return { csr, certificates, spki: readCertificate(certificates[0] ?? '')?.spki ?? '' };
  }),
);
const certificatesOf = new Map(keys.map(({ csr, certificates }) => [csr, certificates]));

function world() {
  const clock = new FakeClock(NOW);
  const cluster = new FakeCluster(clock, (csr, times) => certificatesOf.get(csr)?.[times - 1] ?? '');
  const { api } = cluster;
  api.timestamp = () => iso(Math.floor(clock.now() / 1_000) * 1_000);
  let life: Life = { alive: false };
  let room: Room | undefined;
  let rotation: Rotation | undefined;
  const w = {
    clock,
    cluster,
    api,
    /** The operator is killed where it stands, and another one begins. */
    start(): void {
      life.alive = false;
      life = { alive: true };
      const shared = { client: cluster.client(life), clock, random: seededRandom(1), log: silentLog, metrics: createMetrics() };
      const defaultIssuer = { name: 'site-ca', kind: 'Issuer' } as const;
      room = startRoom({ ...shared, namespace: 'hedgerow', defaultIssuer, rotationOf: () => rotation });
    },
    rotate(compromised: boolean): void {
      // As the interventions room says it: of those that give keys up in one second each is a millisecond later.
      const second = Date.parse(api.timestamp());
      const before = Date.parse(rotation?.compromised?.at ?? '');
      const lostAt = iso(before >= second ? before + 1 : second + 1);
      const lost = compromised ? { at: lostAt, by: 'Intervention r of alice' } : rotation?.compromised;
      const at = lost !== undefined && Date.parse(lost.at) > second ? lost.at : iso(second);
      rotation = { at, ...(lost === undefined ? {} : { compromised: lost }) };
      room?.wake('berlin/a');
    },
    apply(key: number): void {
      const ref = { name: 'a', namespace: 'berlin' };
      const spec = { segment: 'office', identity: { enrollment: 'CSR', csr: keys[key]?.csr } };
      const object = { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: ref, spec };
      const exists = api.objects.has('devices/berlin/a');
      api.asOthers(() => (exists ? api.mergePatch(DEVICES, ref, { spec }) : api.create(DEVICES, object)));
    },
    status: () => (api.objects.get('devices/berlin/a') as unknown as Device | undefined)?.status,
    ledger: (): LedgerEntry[] =>
      [...api.objects].flatMap(([id, page]) =>
        id.startsWith('certificateledgers/')
          ? Object.entries((page.spec as { entries: Record<string, string> }).entries).map(
              ([k, text]) => decodeEntry(k, text) as LedgerEntry,
            )
          : [],
      ),
  };
  const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
  api.asOthers(() => api.create(ISSUERS, { metadata: { name: 'site-ca', namespace: 'berlin' }, status: ready } as never));
  return w;
}

type Step = { do: 'newKey' | 'routine' | 'compromised' | 'crash' } | { do: 'wait'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'newKey' }) },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ do: 'routine' }, { do: 'compromised' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'crash' }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 40, 55, 90, 130, 200, 700, 3_000) }) },
);
const fault: fc.Arbitrary<Fault | undefined> = fc.option(
  fc.record({ when: fc.constantFrom('before' as const, 'after' as const), status: fc.constantFrom(0, 409, 500) }),
  { nil: undefined, freq: 4 },
);

it('whatever fails or dies: keys from before are given up, the key that follows is certified and kept, and a routine Rotate revokes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), fc.array(fault, { maxLength: 40 }), async (steps, faults) => {
      const w = world();
      let writes = 0;
      w.api.faults = () => faults[writes++];
      w.start();
      let key = 0;
      /** Keys that the ledger had when somebody said that they are in other hands. */
      const lost = new Set<string>();
      let isFresh = true;
      let everLost = false;
      w.apply(key);
      for (const s of steps) {
        if (s.do === 'wait') await w.clock.advance(s.ms);
        else if (s.do === 'crash') w.start();
        else if (s.do === 'routine') w.rotate(false);
        else if (s.do === 'compromised') {
          for (const entry of w.ledger()) lost.add(entry.spki);
          everLost = true;
          isFresh = false;
          w.rotate(true);
        } else if (key + 1 < keys.length) {
          w.apply(++key);
          isFresh = true;
        }
      }
      w.api.faults = () => undefined;
      w.start();
      await w.clock.advance(180_000);
      const ledger = w.ledger();
      for (const entry of ledger) {
        if (lost.has(entry.spki)) expect(entry.revoked?.reason).toBe('Compromised');
        if (!everLost) expect(entry.revoked).toBeUndefined();
      }
      const shown = readCertificate(w.status()?.certificate ?? '');
      const wanted = keys[key]?.spki ?? '';
      // The newest key was made after everything was given up: it is in use, and stays.
      if (isFresh && !lost.has(wanted)) {
        expect(shown?.spki).toBe(wanted);
        expect(ledger.find((entry) => entry.sha256 === shown?.sha256)?.revoked).toBeUndefined();
      }
    }),
    { numRuns: 150 },
  );
}, 300_000);
