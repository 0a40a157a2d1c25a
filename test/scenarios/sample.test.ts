// The smart office of crds/samples as the README's reader applies it: two commands, and every device is certified, in its segment and authorized.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../operator/api/device.ts';
import type { Condition } from '../../operator/api/meta.ts';
import type { SegmentPolicy } from '../../operator/api/segment-policy.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { objectsIn, SAMPLE_DIR } from '../harness/manifests.ts';
import { type System, startSystem } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';

const BERLIN = 'berlin';

let system: System;

beforeAll(async () => {
  const cluster = await sharedCluster();
  const dir = join(cluster.dir, `sample-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  const { kubectl, helmTemplate, kubeconfigFor } = cluster;
  system = await startSystem({ cluster: { dir, kubectl, helmTemplate, kubeconfigFor }, sites: [BERLIN], probe: true });
});

afterAll(async () => {
  // The namespace stays: other files of this run use one of this name.
  await system.kubectl('delete', 'devices,segmentpolicies', '--all', '-n', BERLIN);
  await system.stop();
});

const condition = (of: { status?: { conditions?: Condition[] } }, type: string): Condition | undefined =>
  of.status?.conditions?.find((one) => one.type === type);

describe('the smart office', () => {
  it('is applied and Ready with the two commands of the README', async () => {
    await system.kubectl('apply', '-f', SAMPLE_DIR);
    await system.kubectl('wait', '--for=condition=Ready', 'device', '--all', '-n', BERLIN, '--timeout=60s');
    const { items } = await system.get<{ items: Device[] }>('devices', '-n', BERLIN);
    const sample = objectsIn(SAMPLE_DIR).filter(({ kind }) => kind === 'Device');
    expect(items.map(({ metadata }) => metadata.name).sort()).toEqual(sample.map(({ metadata }) => metadata.name).sort());
    for (const device of items) expect(device.status?.identity?.serialNumber, device.metadata.name).toMatch(/^[0-9a-f]+$/i);
  });

  it('gives the gateway, which is software, a Secret of its own, and nobody else', async () => {
    const { items } = await system.get<{ items: { metadata: { name: string }; type: string }[] }>('secrets', '-n', BERLIN);
    const keys = items.filter(({ type }) => type === 'kubernetes.io/tls').map(({ metadata }) => metadata.name);
    // The second is the CA of the site.
    expect(keys.sort()).toEqual(['gateway-1-tls', 'hedgerow-devices-ca']);
  });

  it('has no conduit that only one side grants, and says of every segment that it holds', async () => {
    await system.kubectl('wait', '--for=condition=Ready', 'segmentpolicy', '--all', '-n', BERLIN, '--timeout=60s');
    const { items } = await system.get<{ items: SegmentPolicy[] }>('segmentpolicies', '-n', BERLIN);
    expect(
      items.map((policy) => [policy.metadata.name, condition(policy, 'Ready')?.status, condition(policy, 'Conflicted')?.status]),
    ).toEqual(['building-services', 'gateways', 'meeting-rooms', 'office-sensors'].map((name) => [name, 'True', 'False']));
    const counts = Object.fromEntries(items.map(({ metadata, status }) => [metadata.name, status?.counts?.conduits]));
    expect(counts).toEqual({ 'building-services': 1, gateways: 1, 'meeting-rooms': 1, 'office-sensors': 0 });
  });

  it('is shut as a site, and the NetworkPolicies of its segments are there', async () => {
    const expected = [
      'building-services allow-in',
      'building-services allow-out',
      'building-services deny',
      'gateways allow-in',
      'gateways allow-out',
      'gateways deny',
      'meeting-rooms allow-out',
      'meeting-rooms deny',
      'site site-deny',
    ];
    let roles: string[] = [];
    await waitFor(
      'exactly these NetworkPolicies',
      async () => {
        const { items } = await system.get<{ items: { metadata: { labels: Record<string, string> } }[] }>('networkpolicies', '-n', BERLIN);
        roles = items
          .map(({ metadata: { labels } }) => `${labels['hedgerow.dev/segment'] ?? 'site'} ${labels['hedgerow.dev/role']}`)
          .sort();
        return isDeepStrictEqual(roles, expected) || undefined;
      },
      { describe: () => roles.join(', ') },
    );
  });

  it('is enforced at the broker as far as it was tried, and the client that tried it left neither key nor request', async () => {
    await untilEnforced('office-sensors', 'True', 'Probed');
    await untilEnforced('gateways', 'Unknown', 'NetworkNotProbed');
    const { items: requests } = await system.get<{ items: { metadata: { name: string } }[] }>('certificaterequests', '-n', BERLIN);
    expect(requests.map(({ metadata }) => metadata.name)).not.toContain('hedgerow-probe');
    const { items: secrets } = await system.get<{ items: { metadata: { name: string } }[] }>('secrets', '-n', BERLIN);
    expect(secrets.map(({ metadata }) => metadata.name).sort()).toEqual(['gateway-1-tls', 'hedgerow-devices-ca']);
  });

  it('is not when the broker gives back the right text and enforces another, with an event; and is again when that is repaired', async () => {
    await system.operator().stop();
    const file = '/authorization/sources/file';
    const { rules } = (await system.standIn().request('GET', file)).body as { rules: string };
    system.standIn().enforceInstead('{allow, all}.');
    await system.startOperator();
    await untilEnforced('office-sensors', 'False', 'ProbeFailed');
    await untilEnforced('gateways', 'False', 'ProbeFailed');
    // What a read finds is still what was written: nothing of it was repaired, because nothing of it was seen.
    expect(((await system.standIn().request('GET', file)).body as { rules: string }).rules).toBe(rules);
    await waitFor('an event', async () => {
      const { items } = await system.get<{ items: { reason: string }[] }>('events.events.k8s.io', '-n', BERLIN);
      return items.some(({ reason }) => reason === 'ProbeFailed') || undefined;
    });
    await system.standIn().request('PUT', file, { body: { type: 'file', enable: true, rules } });
    await untilEnforced('office-sensors', 'True', 'Probed');
  });
});

async function untilEnforced(name: string, status: string, reason: string): Promise<void> {
  let last: Condition | undefined;
  await waitFor(
    `Enforced of ${name} to be ${status} ${reason}`,
    async () => {
      last = condition(await system.get<SegmentPolicy>('segmentpolicy', name, '-n', BERLIN), 'Enforced');
      return (last?.status === status && last.reason === reason) || undefined;
    },
    { timeoutMs: 120_000, describe: () => JSON.stringify(last) },
  );
}
