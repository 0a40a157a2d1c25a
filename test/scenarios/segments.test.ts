// SegmentPolicies against a real API server: what is there when they come, change, expire and go, and when somebody meddles.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SegmentPolicy } from '../../operator/api/segment-policy.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { runner, type System } from '../harness/system.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { CLUSTER_NETWORK_POLICY_CRD } from './cluster-network-policy.ts';
import { conditionOf, installKinds, type Rooms, segmentPolicy, startRooms } from './segments-room.ts';

type NetworkPolicy = {
  metadata: {
    name: string;
    uid: string;
    resourceVersion: string;
    labels: Record<string, string>;
    ownerReferences?: unknown[];
    managedFields?: { manager: string }[];
  };
  spec: { podSelector: unknown; policyTypes: string[]; ingress?: unknown[]; egress?: unknown[] };
};

let cluster: Cluster;
let run: Pick<System, 'apply' | 'kubectl' | 'get'>;
let rooms: Rooms;
let ns: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  run = runner(cluster);
  await installKinds(cluster);
  rooms = await startRooms(cluster);
});
afterAll(() => rooms?.stop());
beforeEach(async () => {
  ns = await ownNamespace(cluster, 'segments');
});

const PORT = [{ protocol: 'TCP', port: 8883 }];
const pods = (app: string) => [{ podSelector: { matchLabels: { app } } }];
const sensors = (spec: object = {}, namespace = ns) =>
  segmentPolicy('sensors', namespace, {
    workloads: pods('sensor'),
    conduits: [{ name: 'up', to: { segment: 'gateways' }, ports: PORT }],
    ...spec,
  });
const gateways = (spec: object = {}) =>
  segmentPolicy('gateways', ns, { trust: 3, workloads: pods('gateway'), acceptFrom: [{ segment: 'sensors', ports: PORT }], ...spec });

async function policies(namespace = ns): Promise<NetworkPolicy[]> {
  return (await run.get<{ items: NetworkPolicy[] }>('networkpolicies', '-n', namespace, '--show-managed-fields')).items;
}
const rolesOf = (list: NetworkPolicy[], segment: string): string[] =>
  list
    .flatMap(({ metadata: { name, labels } }) =>
      labels['hedgerow.dev/segment'] === segment ? [name.replace(/^.*-[0-9a-f]{10}-/, '')] : [],
    )
    .sort();

function until(what: string, look: (list: NetworkPolicy[]) => boolean, namespace?: string): Promise<NetworkPolicy[]> {
  let last: NetworkPolicy[] = [];
  return waitFor(
    what,
    async () => {
      last = await policies(namespace);
      return look(last) ? last : undefined;
    },
    { timeoutMs: 20_000, describe: () => JSON.stringify(last.map(({ metadata, spec }) => [metadata.name, spec])) },
  );
}

async function untilReady(name: string, status: string, reason?: string, type = 'Ready'): Promise<SegmentPolicy> {
  let last: SegmentPolicy | undefined;
  return waitFor(
    `${type} of ${name} to be ${status} ${reason ?? ''}`,
    async () => {
      last = await run.get<SegmentPolicy>('segmentpolicy', name, '-n', ns);
      const condition = conditionOf(last, type);
      const current = condition?.observedGeneration === last.metadata.generation;
      return current && condition?.status === status && (reason === undefined || condition.reason === reason) ? last : undefined;
    },
    { timeoutMs: 20_000, describe: () => JSON.stringify(last?.status) },
  );
}

const pod = (app: string, namespace = ns): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: app, namespace, labels: { app } },
  spec: { automountServiceAccountToken: false, containers: [{ name: 'c', image: 'registry.invalid/none' }] },
});
/** The ServiceAccount `default` of a new namespace comes a moment later. */
const makePod = (object: object): Promise<true> => waitFor('a pod to be made', async () => run.apply([object]).then(() => true as const));
const find = (list: NetworkPolicy[], suffix: string): NetworkPolicy => {
  const found = list.find(({ metadata }) => metadata.name.endsWith(suffix));
  if (found === undefined) throw new Error(`no NetworkPolicy …${suffix}`);
  return found;
};

describe('a SegmentPolicy becomes NetworkPolicies', () => {
  it('a deny for its pods and what both sides grant; the status says what was seen and no more', async () => {
    await run.apply([sensors(), gateways()]);
    const policy = await untilReady('sensors', 'True');
    const list = await policies();
    expect(rolesOf(list, 'sensors')).toEqual(['allow-out', 'deny']);
    expect(rolesOf(list, 'gateways')).toEqual(['allow-in', 'allow-out', 'deny']);
    const deny = find(
      list.filter(({ metadata }) => metadata.name.includes('sensors')),
      '-deny',
    );
    expect(deny.spec).toEqual({ podSelector: { matchLabels: { app: 'sensor' } }, policyTypes: ['Ingress', 'Egress'] });
    // An owner reference would let the garbage collector open the pods when the policy goes.
    expect(list.every(({ metadata }) => metadata.ownerReferences === undefined)).toBe(true);
    expect(list.every(({ metadata }) => metadata.managedFields?.every(({ manager }) => manager === 'hedgerow'))).toBe(true);
    expect(conditionOf(policy, 'Enforced')).toMatchObject({ status: 'Unknown', reason: 'NotProbed' });
    expect(policy.status?.gaps?.map(({ reason }) => reason)).toContain('NotProbed');
    expect(policy.status?.counts).toMatchObject({ conduits: 1, networkPolicies: 2 });
    expect(policy.status?.reach).toMatchObject({ pairs: 1, removed: 0, modelDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
  });

  it('a conduit that the other side does not accept opens nothing, and says whose grant is missing', async () => {
    await run.apply([sensors(), gateways({ acceptFrom: [] })]);
    const policy = await untilReady('sensors', 'False', 'NotAccepted');
    expect(conditionOf(policy, 'Ready')?.message).toContain(`${ns}/gateways does not accept TCP 8883`);
    expect(rolesOf(await policies(), 'gateways')).toEqual(['allow-out', 'deny']);
    await run.apply([gateways()]);
    await untilReady('sensors', 'True');
    expect(rolesOf(await policies(), 'gateways')).toEqual(['allow-in', 'allow-out', 'deny']);
  });

  it('mode: Audit reports and applies nothing; what was enforced before stays', async () => {
    await run.apply([sensors({ mode: 'Audit' }), gateways()]);
    const fresh = await untilReady('sensors', 'True', 'Audited');
    expect(conditionOf(fresh, 'Enforced')).toMatchObject({ status: 'False', reason: 'AuditOnly' });
    expect(fresh.status?.counts).toMatchObject({ conduits: 1, networkPolicies: 2 });
    expect(rolesOf(await policies(), 'sensors')).toEqual([]);
    await run.apply([sensors()]);
    await untilReady('sensors', 'True', 'Ready');
    const enforced = await policies();
    expect(rolesOf(enforced, 'sensors')).toEqual(['allow-out', 'deny']);
    await run.apply([sensors({ mode: 'Audit', conduits: [] })]);
    const again = await untilReady('sensors', 'True', 'Audited');
    expect(again.status?.counts).toMatchObject({ conduits: 0 });
    expect(again.status?.accepted?.spec).toMatchObject({ mode: 'Enforce' });
    expect((await policies()).map(({ spec }) => spec)).toEqual(enforced.map(({ spec }) => spec));
  });

  it('across namespaces too', async () => {
    const other = await ownNamespace(cluster, 'segments');
    await run.apply([sensors({}, other), gateways({ acceptFrom: [{ namespace: other, segment: 'sensors', ports: PORT }] })]);
    await run.apply([sensors({ conduits: [{ name: 'up', to: { namespace: ns, segment: 'gateways' }, ports: PORT }] }, other)]);
    const list = await until('the gateway to let the other namespace in', (all) => rolesOf(all, 'gateways').includes('allow-in'));
    expect(find(list, '-allow-in').spec.ingress).toEqual([
      {
        from: [
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': other } }, podSelector: { matchLabels: { app: 'sensor' } } },
        ],
        ports: PORT,
      },
    ]);
  });

  it('is settled: nothing is written while nothing changes', async () => {
    await run.apply([sensors(), gateways()]);
    await untilReady('sensors', 'True');
    await untilReady('gateways', 'True');
    const versions = async () => [
      (await policies()).map(({ metadata }) => metadata.resourceVersion),
      (await run.get<{ items: SegmentPolicy[] }>('segmentpolicies', '-n', ns)).items.map(({ metadata }) => metadata.resourceVersion),
    ];
    const before = await versions();
    await pause(1_500);
    expect(await versions()).toEqual(before);
  });
});

describe('somebody meddles', () => {
  it.each([
    [
      'rules added to a deny are taken out',
      '-deny',
      '[{"op":"add","path":"/spec/ingress","value":[{}]},{"op":"add","path":"/spec/egress","value":[{}]}]',
    ],
    [
      'a selector that was changed comes back',
      '-deny',
      '[{"op":"replace","path":"/spec/podSelector","value":{"matchLabels":{"app":"nobody"}}}]',
    ],
    ['a direction that was taken away comes back', '-deny', '[{"op":"replace","path":"/spec/policyTypes","value":["Ingress"]}]'],
    ['an allow that was widened is as declared again', '-allow-out', '[{"op":"add","path":"/spec/egress/-","value":{}}]'],
    ['labels that were taken away come back', '-deny', '[{"op":"remove","path":"/metadata/labels"}]'],
  ])('%s', async (_name, suffix, patch) => {
    await run.apply([sensors({ conduits: [] })]);
    await untilReady('sensors', 'True');
    const before = find(await policies(), suffix);
    await run.kubectl('patch', 'networkpolicy', before.metadata.name, '-n', ns, '--type=json', '-p', patch);
    const after = await until('the repair', (list) => {
      const now = find(list, suffix);
      return (
        now.metadata.resourceVersion !== before.metadata.resourceVersion &&
        JSON.stringify([now.spec, now.metadata.labels]) === JSON.stringify([before.spec, before.metadata.labels])
      );
    });
    expect(find(after, suffix).spec).toEqual(before.spec);
    await waitFor('the event', () =>
      rooms.events.find(({ reason, message }) => reason === 'NetworkPolicyRepaired' && message.includes(before.metadata.name)),
    );
  });

  it('a policy that was deleted comes back', async () => {
    await run.apply([sensors({ conduits: [] })]);
    await untilReady('sensors', 'True');
    const before = find(await policies(), '-deny');
    await run.kubectl('delete', 'networkpolicy', before.metadata.name, '-n', ns);
    const after = await until('the deny to come back', (list) =>
      list.some(({ metadata }) => metadata.name === before.metadata.name && metadata.uid !== before.metadata.uid),
    );
    expect(find(after, '-deny').spec).toEqual(before.spec);
  });

  it('a foreign NetworkPolicy that widens what pods of the segment may reach is named and left alone', async () => {
    await makePod(pod('sensor'));
    await run.apply([sensors({ conduits: [] })]);
    const foreign = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'theirs', namespace: ns },
      spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{}] },
    };
    await run.apply([foreign]);
    const policy = await untilReady('sensors', 'True', 'ForeignAllow', 'GapsPresent');
    expect(policy.status?.gaps?.find(({ reason }) => reason === 'ForeignAllow')?.affects).toContain('theirs');
    expect((await policies()).some(({ metadata }) => metadata.name === 'theirs')).toBe(true);
  });
});

describe('deleting opens nothing', () => {
  it('what was allowed goes, and the deny stays while a pod matches it', async () => {
    await makePod(pod('sensor'));
    await run.apply([sensors({ conduits: [] })]);
    await untilReady('sensors', 'True');
    await run.kubectl('delete', 'segmentpolicy', 'sensors', '-n', ns);
    await until('only the deny to be left', (list) => rolesOf(list, 'sensors').join() === 'deny');
    await pause(500);
    expect(rolesOf(await policies(), 'sensors')).toEqual(['deny']);

    await run.kubectl('delete', 'pod', 'sensor', '-n', ns, '--grace-period=0', '--force');
    await until('the deny to go with the last pod', (list) => list.length === 0);
  });

  it('also when the operator was not there when it happened', async () => {
    await makePod(pod('sensor'));
    await run.apply([sensors({ conduits: [] })]);
    await untilReady('sensors', 'True');
    await rooms.stop();
    await run.kubectl('delete', 'segmentpolicy', 'sensors', '-n', ns);
    expect(rolesOf(await policies(), 'sensors')).toEqual(['allow-out', 'deny']);
    rooms = await startRooms(cluster);
    await until('only the deny to be left', (list) => rolesOf(list, 'sensors').join() === 'deny');
  });

  it('a deny that nobody owns any more is kept shut against meddling', async () => {
    await makePod(pod('sensor'));
    await run.apply([sensors({ conduits: [] })]);
    await untilReady('sensors', 'True');
    await run.kubectl('delete', 'segmentpolicy', 'sensors', '-n', ns);
    const [deny] = await until('only the deny to be left', (list) => list.length === 1);
    await run.kubectl(
      'patch',
      'networkpolicy',
      deny?.metadata.name ?? '',
      '-n',
      ns,
      '--type=json',
      '-p',
      '[{"op":"add","path":"/spec/ingress","value":[{}]}]',
    );
    await until(
      'the deny to be empty again',
      (list) =>
        list.length === 1 && list[0]?.metadata.resourceVersion !== deny?.metadata.resourceVersion && list[0]?.spec.ingress === undefined,
    );
  });

  it('the deny of pods that nobody owns goes once the whole namespace is shut', async () => {
    await makePod(pod('sensor'));
    await run.apply([sensors({ conduits: [] })]);
    await untilReady('sensors', 'True');
    await run.kubectl('delete', 'segmentpolicy', 'sensors', '-n', ns);
    await until('only the deny to be left', (list) => rolesOf(list, 'sensors').join() === 'deny' && list.length === 1);
    await run.kubectl('label', 'namespace', ns, 'hedgerow.dev/site=');
    await until('only the deny of the site to be left', (list) => list.length === 1 && list[0]?.metadata.name === 'hedgerow-site-deny');
  });
});

describe('labels of the namespace', () => {
  it('hedgerow.dev/site shuts the whole namespace, and taking it away opens it again', async () => {
    await run.kubectl('label', 'namespace', ns, 'hedgerow.dev/site=berlin');
    const [deny] = await until('the deny of the site', (list) => list.length === 1);
    expect(deny?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    await run.kubectl('delete', 'networkpolicy', 'hedgerow-site-deny', '-n', ns);
    await until('the deny to come back', (list) => list.length === 1 && list[0]?.metadata.uid !== deny?.metadata.uid);
    await run.kubectl('label', 'namespace', ns, 'hedgerow.dev/site-');
    await until('the deny to go', (list) => list.length === 0);
  });

  it('hedgerow.dev/max-trust below the trust of a policy takes all it allowed away; its pods stay shut', async () => {
    await run.apply([sensors({ conduits: [], trust: 2, topics: { publish: [{ topic: 'dt/{segment}/{device}/#' }] } })]);
    await untilReady('sensors', 'True');
    const has = () => rooms.segments.rights().some(({ segment }) => segment === `sensors.${ns}`);
    expect(has()).toBe(true);
    await run.kubectl('label', 'namespace', ns, 'hedgerow.dev/max-trust=1');
    const policy = await untilReady('sensors', 'True', 'TrustTooHigh', 'Stalled');
    expect(conditionOf(policy, 'Ready')).toMatchObject({ status: 'False', reason: 'TrustTooHigh' });
    expect(has()).toBe(false);
    expect(rooms.segments.membership({ name: 'x', namespace: ns, segment: 'sensors' }).segmented).toMatchObject({
      status: 'False',
      reason: 'TrustTooHigh',
    });
    expect(rolesOf(await policies(), 'sensors')).toEqual(['deny']);
    await run.kubectl('label', 'namespace', ns, 'hedgerow.dev/max-trust-');
    await untilReady('sensors', 'True');
    expect([has(), rolesOf(await policies(), 'sensors')]).toEqual([true, ['allow-out', 'deny']]);
  });
});

describe('where the cluster has ClusterNetworkPolicies', () => {
  const name = CLUSTER_NETWORK_POLICY_CRD.metadata.name;
  const denied = async (): Promise<string[]> => {
    const text = await run.kubectl('get', name, '-o', 'jsonpath={range .items[*]}{.metadata.name} {.spec.egress[*].action}{"\\n"}{end}');
    return text.split('\n').filter((line) => line.startsWith(`hedgerow-quarantine-${ns} `));
  };

  it('pods of Devices in quarantine are denied in the Admin tier too, and not any more when it ends', async () => {
    await run.apply([CLUSTER_NETWORK_POLICY_CRD]);
    await run.kubectl('wait', '--for=condition=Established', `crd/${name}`, '--timeout=60s');
    await rooms.stop();
    rooms = await startRooms(cluster);
    try {
      rooms.shut.set(ns, ['thermo']);
      rooms.segments.shutChanged(ns);
      await waitFor('the deny to be there', async () => (await denied()).length === 1, { timeoutMs: 20_000 });
      expect(await denied()).toEqual([`hedgerow-quarantine-${ns} Pass Pass Deny`]);
      expect((await policies()).map(({ metadata }) => metadata.name)).toContain('hedgerow-quarantine');
      rooms.shut.delete(ns);
      rooms.segments.shutChanged(ns);
      await waitFor('the deny to be gone', async () => (await denied()).length === 0, { timeoutMs: 20_000 });
    } finally {
      await run.kubectl('delete', 'crd', name);
    }
  });
});

describe('topics of other segments', () => {
  it('of another namespace: who asks for all of ours gets nothing and hears whose grant is missing, until we grant it', async () => {
    const other = await ownNamespace(cluster, 'segments');
    const telemetry = (acceptFrom: object[]) =>
      segmentPolicy('telemetry', other, { topics: { publish: [{ topic: 'dt/{segment}/{device}/#' }] }, acceptFrom });
    await run.apply([
      telemetry([]),
      segmentPolicy('reader', ns, { topics: { subscribe: [{ topic: 'dt/#' }, { topic: 'cmd/{segment}/{device}/#' }] } }),
    ]);
    const policy = await untilReady('reader', 'False', 'TopicNotAccepted');
    expect(conditionOf(policy, 'Ready')?.message).toContain(`${other}/telemetry`);
    const topics = () =>
      rooms.segments
        .rights()
        .find(({ segment }) => segment === `reader.${ns}`)
        ?.subscribe.map(({ topic }) => topic);
    expect(topics()).toEqual(['cmd/{segment}/{device}/#']);
    await run.apply([telemetry([{ namespace: ns, segment: 'reader', topics: [{ topic: 'dt/{segment}/+/temp', action: 'subscribe' }] }])]);
    await untilReady('reader', 'True');
    expect(topics()).toEqual(['cmd/{segment}/{device}/#', `dt/telemetry.${other}/+/temp`]);
  });
});

describe('time and conflicts', () => {
  it('a conduit closes at its end by itself, on both sides', async () => {
    const expires = new Date(Date.now() + 4_000).toISOString().replace(/\.\d+/, '');
    await run.apply([gateways(), sensors({ conduits: [{ name: 'up', to: { segment: 'gateways' }, ports: PORT, expires }] })]);
    await until('the conduit to open', (list) => rolesOf(list, 'gateways').includes('allow-in'));
    const list = await until('the conduit to close', (all) => !rolesOf(all, 'gateways').includes('allow-in'));
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expires));
    expect(
      JSON.stringify(
        find(
          list.filter(({ metadata }) => metadata.name.includes('sensors')),
          '-allow-out',
        ).spec,
      ),
    ).not.toContain('gateway');
    const policy = await untilReady('sensors', 'True');
    expect(conditionOf(policy, 'Compiled')?.message).toContain('expired: up');
  });

  it('a pod in two segments takes the conduits of both away until it is in one again', async () => {
    await run.apply([
      gateways(),
      sensors(),
      segmentPolicy('doors', ns, { workloads: [{ podSelector: { matchLabels: { door: 'yes' } } }] }),
    ]);
    await untilReady('sensors', 'True');
    await makePod({ ...(pod('sensor') as object), metadata: { name: 'both', namespace: ns, labels: { app: 'sensor', door: 'yes' } } });
    await untilReady('sensors', 'True', 'Conflicted', 'Conflicted');
    await untilReady('doors', 'True', 'Conflicted', 'Conflicted');
    await waitFor('an Event about both', async () => {
      const told = rooms.events.filter(({ reason }) => reason === 'Conflicted').map(({ name }) => name);
      return told.includes('sensors') && told.includes('doors');
    });
    await until('the conduit to close', (list) => !rolesOf(list, 'gateways').includes('allow-in'));
    await run.kubectl('label', 'pod', 'both', '-n', ns, 'door-');
    await untilReady('sensors', 'True');
    await until('the conduit to open again', (list) => rolesOf(list, 'gateways').includes('allow-in'));
  });
});

describe('what the other rooms see', () => {
  it('membership follows the policy, and those who listen are told', async () => {
    const device = { name: 'thermo', namespace: ns, segment: 'sensors' };
    expect(rooms.segments.membership(device).segmented).toMatchObject({ status: 'False', reason: 'SegmentNotFound' });
    await run.apply([sensors({ conduits: [], workloads: [] })]);
    await waitFor('the device to be in its segment', () =>
      rooms.segments.membership(device).segmented.status === 'True' ? true : undefined,
    );
    await waitFor('the change to be told', () => (rooms.changedSegments.includes(`${ns}/sensors`) ? true : undefined));
    await run.kubectl('delete', 'segmentpolicy', 'sensors', '-n', ns);
    await waitFor('the device to be out of it', () =>
      rooms.segments.membership(device).segmented.reason === 'SegmentNotFound' ? true : undefined,
    );
    expect(rooms.segments.rights().some(({ segment }) => segment === `sensors.${ns}`)).toBe(false);
  });
});
