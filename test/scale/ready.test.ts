// 500 Devices become Ready in one run, and what that costs the API server: counts, so that they are the same on every machine.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../controlplane/cluster.ts';
import { tallyWrites } from '../harness/audit.ts';
import { makeFleet } from '../harness/fleet.ts';
import { segmentManifest } from '../harness/manifests.ts';
import { parallel } from '../harness/parallel.ts';
import { connectPlainly, type PlainApi } from '../harness/plain-api.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, type System, startSystem } from '../harness/system.ts';
import { pause, waitFor } from '../harness/wait.ts';

const SITE = 'fleet';
const FLEET = 500;
const OPERATOR_USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_ACCOUNT}`;
/** Against standing still, not against slow machines: speed is for the bench. */
const ISSUING_LIMIT_MS = 600_000;
/** What operator/identity/ledger.ts waits at least for others to join, and how many pages 500 entries make. */
const GROUP_WAITS_MS = 120;
const PAGES = 5;
/** Longer than the quiet time of a Device, a batch of the broker and the delay of a segment's counters. */
const CALM_MS = 5_000;

type Device = { metadata: { name: string }; status?: { certificate?: string; conditions?: { type: string; status: string }[] } };

describe('500 Devices with CSRs', () => {
  let cluster: Cluster;
  let system: System;
  let admin: PlainApi;
  let writes: Record<string, number>;
  let later: Record<string, number>;
  let tookMs: number;
  const ledgerWrites = (): number => (writes['create certificateledgers'] ?? 0) + (writes['patch certificateledgers'] ?? 0);
  const devices = `/apis/hedgerow.dev/v1alpha1/namespaces/${SITE}/devices`;
  const list = async (): Promise<Device[]> => (await admin.send<{ items: Device[] }>('GET', devices)).items;
  const since = async (fromMs: number, toMs: number) =>
    (
      await tallyWrites(cluster.auditLogFile, OPERATOR_USER, (event) => {
        const at = Date.parse(event.requestReceivedTimestamp);
        return at >= fromMs && at < toMs;
      })
    ).writes;

  beforeAll(async () => {
    cluster = await startCluster({
      name: `scale-${process.pid}`,
      with: ['controller-manager', 'cert-manager'],
      auditLog: true,
      freshData: true,
    });
    system = await startSystem({ cluster, sites: [SITE] });
    admin = await connectPlainly(cluster.adminKubeconfig, 24);
    await system.apply([segmentManifest('sensors', SITE)]);
    await waitFor("the segment's rights at the broker", async () =>
      (await system.standIn().request('GET', '/authorization/sources/file')).text.includes(SITE) ? true : undefined,
    );
  });
  afterAll(async () => {
    await admin?.close();
    await system?.stop();
    await cluster?.down();
  });

  it('become Ready, all of them, in one run', { timeout: 2 * ISSUING_LIMIT_MS }, async () => {
    const fleet = await makeFleet({ count: FLEET, namespace: SITE, segment: 'sensors' });
    const startMs = Date.now();
    await parallel(fleet, 24, async ({ manifest }) => void (await admin.send('POST', devices, manifest)));
    let ready = 0;
    await waitFor(
      `${FLEET} Devices to be Ready`,
      async () => {
        ready = (await list()).filter(isReady).length;
        return ready === FLEET ? true : undefined;
      },
      { timeoutMs: ISSUING_LIMIT_MS, everyMs: 1_000, describe: () => `${ready} are` },
    );
    await waitFor('the requests to be deleted', async () =>
      (await system.kubectl('get', 'certificaterequests', '-n', SITE, '-o', 'name')).includes('/device-') ? undefined : true,
    );
    const endMs = Date.now();
    tookMs = endMs - startMs;
    await pause(CALM_MS);
    writes = await since(startMs, endMs);
    later = await since(endMs, Date.now());
    expect(new Set((await list()).map(({ status }) => status?.certificate)).size).toBe(FLEET);
  });

  it('cost one request each, made once, approved once and deleted once', () => {
    expect(writes['create certificaterequests']).toBe(FLEET);
    expect(writes['patch certificaterequests/status']).toBe(FLEET);
    expect(writes['delete certificaterequests']).toBe(FLEET);
  });

  it('cost one write of status each, since a wait that is soon over leaves no trace', () => {
    expect(writes['patch devices/status']).toBeGreaterThanOrEqual(FLEET);
    // A conflict or a slow machine may make it two for a few: the wait became long enough to be told.
    expect(writes['patch devices/status']).toBeLessThanOrEqual(FLEET * 1.05);
  });

  it('share the writes of the ledger: never more than one in the time that a group is waited for', () => {
    const ledger = ledgerWrites();
    expect(ledger).toBeGreaterThan(0);
    // How many come together depends on the machine; that they are waited for does not.
    expect(ledger).toBeLessThanOrEqual(tookMs / GROUP_WAITS_MS + PAGES);
    expect(ledger).toBeLessThan(FLEET);
  });

  it('cost no more than four writes each beside the ledger, all told', () => {
    // The Lease is written by the second, however long it takes.
    const { 'update leases': _heartbeat, ...rest } = writes;
    expect(total(rest) - ledgerWrites()).toBeLessThanOrEqual(FLEET * 4.05);
  });

  it('cost nothing once they are Ready: the API server is no message bus', () => {
    const { 'update leases': _heartbeat, ...rest } = later;
    expect(total(rest)).toBeLessThanOrEqual(3); // the last counters of the segment
  });
});

const isReady = ({ status }: Device): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
const total = (writes: Record<string, number>): number => Object.values(writes).reduce((sum, count) => sum + count, 0);
