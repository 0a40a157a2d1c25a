import { describe, expect, it } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import { FakeClock } from '../runtime/clock.ts';
import { type AdminDeny, adminDeny, createAdminDenies } from './admin-deny.ts';

const BROKER = { port: 8883, peers: [{ namespace: 'emqx', podLabels: { app: 'emqx' } }, { cidr: '192.0.2.7/32' }] };
const signal = new AbortController().signal;
const NAME = 'hedgerow-quarantine-berlin';
const refusal = (status: number): KubeError => new KubeError({ status, reason: 'Refused', message: 'refused' });

/** An API server with ClusterNetworkPolicies, or without. */
function scene(served = true) {
  const clock = new FakeClock();
  const objects = new Map<string, AdminDeny>();
  const calls: string[] = [];
  const world = { served, refuses: undefined as KubeError | undefined };
  const client = {
    async raw() {
      calls.push('discovery');
      if (!world.served) throw refusal(404);
      return { resources: [{ name: 'clusternetworkpolicies' }, { name: 'clusternetworkpolicies/status' }] };
    },
    async get(_type: unknown, { name }: { name: string }) {
      if (world.refuses !== undefined) throw world.refuses;
      return objects.get(name);
    },
    async apply(_type: unknown, object: AdminDeny) {
      calls.push('apply');
      objects.set(object.metadata.name ?? '', { ...object, metadata: { ...object.metadata, uid: 'u1' } });
      return object;
    },
    async delete(_type: unknown, { name }: { name: string }, { uid }: { uid?: string } = {}) {
      calls.push(`delete ${uid}`);
      return objects.delete(name);
    },
  };
  // Only the calls that are made.
  type Client = Parameters<typeof createAdminDenies>[0]['client'];
  const denies = createAdminDenies({ client: client as unknown as Client, broker: BROKER, clock, metrics: { applied: () => undefined } });
  return { clock, objects, calls, world, keep: (devices: string[]) => denies.keep('berlin', devices, signal) };
}

describe('the deny in the Admin tier', () => {
  const { spec } = adminDeny('berlin', ['thermo'], BROKER);

  it('selects the pods of these Devices in this namespace only', () => {
    expect(spec.subject).toEqual({
      pods: {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'berlin' } },
        podSelector: { matchExpressions: [{ key: 'hedgerow.dev/device', operator: 'In', values: ['thermo'] }] },
      },
    });
  });

  it('allows nothing by itself: DNS and the broker are passed to the NetworkPolicies, everything else is denied last', () => {
    expect([...spec.ingress, ...spec.egress].map(({ action }) => action)).not.toContain('Accept');
    expect(spec.ingress).toEqual([{ name: 'quarantine', action: 'Deny', from: [{ namespaces: {} }] }]);
    expect(spec.egress.map(({ name, action }) => `${action} ${name}`)).toEqual(['Pass dns', 'Pass broker', 'Deny quarantine']);
    expect(spec.egress.at(-1)?.to).toEqual([{ namespaces: {} }, { networks: ['0.0.0.0/0', '::/0'] }]);
    expect(spec.egress.at(-1)?.protocols).toBeUndefined();
  });

  it('comes after whatever the administrators of the cluster say in that tier', () =>
    expect([spec.tier, spec.priority]).toEqual(['Admin', 1000]));

  it('without a known broker passes DNS only', () => {
    expect(adminDeny('berlin', ['t'], { port: 8883, peers: [] }).spec.egress.map(({ name }) => name)).toEqual(['dns', 'quarantine']);
  });
});

describe('it is kept', () => {
  it('where the API is there: made, left alone, put back, and taken away with the last Device', async () => {
    const { keep, calls, objects } = scene();
    expect(await keep(['thermo'])).toBe(true);
    await keep(['thermo']);
    expect(calls).toEqual(['discovery', 'apply']);
    const held = objects.get(NAME);
    if (held !== undefined) objects.set(NAME, { ...held, spec: { ...held.spec, egress: [] } });
    await keep(['thermo']);
    expect(objects.get(NAME)?.spec).toEqual(adminDeny('berlin', ['thermo'], BROKER).spec);
    expect(await keep([])).toBe(false);
    expect([calls.at(-1), objects.size]).toEqual(['delete u1', 0]);
  });

  it("not where the API is not there, until it is: asked at most once a minute, and nothing of somebody else's is deleted", async () => {
    const { keep, calls, objects, world, clock } = scene(false);
    await keep(['thermo']);
    await keep(['thermo']);
    expect(calls).toEqual(['discovery']);
    world.served = true;
    await clock.advance(60_000);
    objects.set(NAME, { ...adminDeny('berlin', ['x'], BROKER), metadata: { name: NAME, uid: 'theirs' } });
    await keep([]);
    expect([calls, objects.size]).toEqual([['discovery', 'discovery'], 1]);
  });

  it('without the right to it nothing happens, and nothing is in the way of the NetworkPolicies', async () => {
    const { keep, world } = scene();
    world.refuses = refusal(403);
    expect(await keep(['thermo'])).toBe(false);
  });

  it('what the API server cannot answer is tried again', async () => {
    const { keep, world } = scene();
    world.refuses = refusal(500);
    await expect(keep(['thermo'])).rejects.toThrow('refused');
  });
});
