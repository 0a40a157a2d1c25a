// What the gateway of a site is told, against a real API server: only where somebody made the ConfigMap, the same bytes for the same policies, and as declared again
// when somebody meddles.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readGatewayConfig } from '../../operator/api/gateway-config.ts';
import type { SegmentPolicy } from '../../operator/api/segment-policy.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { runner, type System } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { conditionOf, installKinds, type Rooms, segmentPolicy, startRooms } from './segments-room.ts';

type ConfigMap = { metadata: { resourceVersion: string }; data?: Record<string, string> };

let cluster: Cluster;
let run: Pick<System, 'apply' | 'kubectl' | 'get'>;
let rooms: Rooms;
let ns: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  run = runner(cluster);
  await installKinds(cluster);
  rooms = await startRooms(cluster);
  ns = await ownNamespace(cluster, 'gateway-config');
});
afterAll(async () => {
  await rooms?.stop();
  await cluster.kubectl(['delete', 'namespace', ns, '--wait=false']);
});

const sensors = (spec: object = {}) => segmentPolicy('sensors', ns, spec);
const policy = () => run.get<SegmentPolicy>('segmentpolicies', 'sensors', '-n', ns);
const map = () => run.get<ConfigMap>('configmaps', 'hedgerow-gateway', '-n', ns);

function until(
  what: string,
  look: (config: Exclude<ReturnType<typeof readGatewayConfig>, { code: string }>) => boolean,
): Promise<ConfigMap> {
  return waitFor(what, async () => {
    const there = await map();
    const read = readGatewayConfig(there.data?.['gateway.json'] ?? '');
    return !('code' in read) && look(read) ? there : undefined;
  });
}
const gap = async () => (await policy()).status?.gaps?.find(({ reason }) => reason === 'NoGateway')?.surface;

it('a site without a gateway gets no ConfigMap, and what only a gateway keeps is a gap', async () => {
  await run.apply([sensors({ egress: 'Alerts' })]);
  await waitFor('the gap to be told', async () => ((await gap()) === 'gateway' ? true : undefined));
  expect(await run.kubectl('get', 'configmap', 'hedgerow-gateway', '-n', ns, '--ignore-not-found')).toBe('');
});

it('with one it is told the policies in force, the gap goes, and nothing is written again while nothing changes', async () => {
  await run.apply([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'hedgerow-gateway', namespace: ns } }]);
  const there = await until('the policy to be told', ({ segments }) => segments[0]?.egress === 'Alerts');
  await waitFor('the gap to go', async () => ((await gap()) === undefined ? true : undefined));
  await run.apply([sensors({ egress: 'Alerts', function: 'thermometer' })]);
  await waitFor('the change to be seen', async () => ((await policy()).status?.observedGeneration === 2 ? true : undefined));
  expect((await map()).metadata.resourceVersion).toBe(there.metadata.resourceVersion);
});

it('a schema that is none is refused with a code, and the gateway keeps what it had', async () => {
  const before = await map();
  const schemas = [{ topic: 'dt/{segment}/{device}/x', schema: { type: 'nummer' } }];
  await run.apply([sensors({ egress: 'None', payload: { schemas } })]);
  const refused = await waitFor('the refusal', async () => {
    const accepted = conditionOf(await policy(), 'Accepted');
    return accepted?.status === 'False' ? accepted : undefined;
  });
  expect(refused).toMatchObject({ reason: 'SchemaRefused', message: expect.stringContaining('HR-SEG-006') });
  expect((await map()).data).toEqual(before.data);
});

it('raw data leave until their time is over, with an Event at either end', async () => {
  const expires = new Date(Date.now() + 6_000).toISOString();
  await run.apply([sensors({ egress: 'Raw', rawEgress: { justification: 'ticket 4711', expires } })]);
  await until('raw data to leave', ({ segments }) => segments[0]?.egress === 'Raw');
  await until('them to leave no more', ({ segments }) => segments[0]?.egress === 'Aggregates');
  await waitFor('both Events', () => {
    const reasons = rooms.events.map(({ reason }) => reason);
    return ['RawEgressOpen', 'RawEgressOver'].every((one) => reasons.includes(one)) ? true : undefined;
  });
}, 60_000);

it('what somebody else writes there is as declared again, and a policy that is gone is gone from it', async () => {
  await run.kubectl('patch', 'configmap', 'hedgerow-gateway', '-n', ns, '--type=merge', '-p', '{"data":{"gateway.json":"{}"}}');
  await until('the repair', ({ segments }) => segments.length === 1);
  await run.kubectl('delete', 'segmentpolicy', 'sensors', '-n', ns);
  await until('the policy to go', ({ segments }) => segments.length === 0);
});
