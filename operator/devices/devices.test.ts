import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceStatus } from '../api/device.ts';
import type { Authorization } from '../broker/broker.ts';
import type { IdentityResult, LedgerEntry, Rotation } from '../identity/identity.ts';
import type { Effective } from '../interventions/interventions.ts';
import { createStore } from '../kube/store.ts';
import { FakeClock } from '../runtime/clock.ts';
import type { EventNote } from '../runtime/events.ts';
import { silentLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { createDevices, type DeviceView, deviceIndexes, keyOfWireName } from './devices.ts';
import type { SummaryInput } from './summary.ts';

const KEY = 'berlin/thermo-1';
const AUTHORIZED: Authorization = { state: 'ok', reason: 'Authorized', message: 'read back' };
const PENDING: Authorization = { state: 'pending', reason: 'BrokerPending', message: 'first comparison' };
const ISSUED: IdentityResult = {
  outcome: { kind: 'requeue', afterMs: 3_600_000, reason: 'Renewal' },
  certified: { status: 'True', reason: 'Issued', message: 'valid' },
  certificate: 'PEM',
};
const WAITING: IdentityResult = {
  outcome: { kind: 'waiting', afterMs: 500, reason: 'Issuing', message: 'cert-manager works' },
  certified: { status: 'False', reason: 'Issuing', message: 'cert-manager works' },
};

const OLD = {
  ...{ id: 'old', device: 'thermo-1.berlin', deviceUid: 'u1', segment: 'office.berlin', issuer: 'Issuer/berlin/devices' },
  ...{ serial: 'old', md5: 'old', sha256: 'old', spki: 'old', via: 'CSR' },
  ...{ notBefore: '2026-11-01T00:00:00Z', notAfter: '2099-01-01T00:00:00Z' },
} as LedgerEntry;

function view(change: Partial<DeviceView> = {}): DeviceView {
  return {
    key: KEY,
    uid: 'u1',
    resourceVersion: '1',
    name: 'thermo-1',
    namespace: 'berlin',
    createdAt: '2026-11-25T12:00:00Z',
    enrollment: 'CSR',
    bootstrap: undefined,
    subject: undefined,
    serial: undefined,
    factory: undefined,
    issuerRef: undefined,
    durationMs: 1,
    renewBeforeMs: 1,
    secretName: 'thermo-1-tls',
    offlineBudgetMs: 0,
    csr: undefined,
    existing: undefined,
    handedOut: undefined,
    certificate: undefined,
    replacedKey: undefined,
    segment: 'office',
    lifecycle: 'Active',
    generation: 1,
    status: undefined,
    bootKeyInvalid: undefined,
    ...change,
  };
}

/** RFC 7396. */
function merged(target: object, patch: object): object {
  const result: Record<string, unknown> = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else if (typeof value === 'object' && !Array.isArray(value)) result[name] = merged((result[name] ?? {}) as object, value);
    else result[name] = value;
  }
  return result;
}

/** A world of fakes around the one real controller; the cache shows a write as soon as it was made. */
function scene() {
  const clock = new FakeClock();
  const store = createStore<DeviceView>(deviceIndexes);
  const world = {
    identity: ISSUED,
    authorization: AUTHORIZED,
    effective: { lifecycle: 'Active' } as Effective,
    banned: false,
    intervened: [] as string[],
    ledgerSynced: true,
    rotation: undefined as Rotation | undefined,
    bannedCertificates: new Set<string>(),
    inUse: undefined as string | undefined,
    limits: { is: 'within' } as SummaryInput['limits'],
    entries: [] as LedgerEntry[],
  };
  const seen = {
    writes: [] as DeviceStatus[],
    events: [] as EventNote[],
    wakes: [] as string[],
    by: [] as (string | undefined)[],
    rotations: [] as (Rotation | undefined)[],
    cleaned: 0,
  };
  const cleanup = async (): Promise<void> => {
    seen.cleaned += 1;
  };
  let version = 1;
  const put = (change: Partial<DeviceView>): void => {
    version += 1;
    for (const one of store.put(view({ ...store.get(KEY), ...change, resourceVersion: String(version) }))) devices.changed(one);
  };
  const devices = createDevices({
    client: {
      mergePatch: async (_type: unknown, _ref: unknown, body: { status: DeviceStatus }) => {
        const status = merged(store.get(KEY)?.status ?? {}, body.status) as DeviceStatus;
        seen.writes.push(status);
        put({ status, certificate: status.certificate });
        return { metadata: { resourceVersion: String(version) } };
      },
    } as never,
    store,
    identity: {
      ensure: async (_device, _lifecycle, context) => {
        seen.by.push(context.by);
        seen.rotations.push(context.rotation);
        return { ...world.identity, cleanup };
      },
      ledger: {
        get synced() {
          return world.ledgerSynced;
        },
        all: () => [],
        byMd5: (md5: string) => world.entries.find((entry) => entry.md5 === md5),
        byDevice: () => world.entries,
      } as never,
    },
    segments: { membership: () => ({ segmented: { status: 'True', reason: 'InSegment', message: '' } }), rights: () => [] },
    interventions: { effective: () => world.effective, rotation: () => world.rotation, devicesIn: () => world.intervened },
    broker: {
      wake: (reason, urgent) => void seen.wakes.push(urgent === true ? `urgent: ${reason}` : reason),
      authorization: () => world.authorization,
      banned: () => world.banned,
      overridden: () => false,
      ownRules: () => ({ held: false, durable: true, connectedWith: undefined }),
      bannedCertificate: (md5) => world.bannedCertificates.has(md5),
      inUse: () => world.inUse,
    },
    limits: { verdict: () => world.limits },
    touch: { look: () => [], touch: () => 'unknown', lastSeen: () => undefined },
    recorder: { event: (_regarding, note) => void seen.events.push(note) },
    clock,
    log: silentLog,
    metrics: createMetrics(),
  });
  store.markSynced();
  const stop = new AbortController();
  void devices.controller.run(stop.signal);
  /** Lets the reconciles that are due run to their end. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const reconcile = async (): Promise<void> => {
    devices.controller.queue.add(KEY);
    await settle();
  };
  return { clock, store, world, seen, put, devices, settle, reconcile };
}

describe('the Device controller', () => {
  let s: ReturnType<typeof scene>;
  beforeEach(() => {
    s = scene();
  });

  it('writes one status for a Device whose certificate comes within seconds, and tidies up after it', async () => {
    s.world.identity = WAITING;
    s.put({});
    await s.settle();
    expect(s.seen.writes).toEqual([]);
    s.world.identity = ISSUED;
    await s.reconcile();
    expect(s.seen.writes.map((status) => status.certificate)).toEqual(['PEM']);
    expect(s.seen.cleaned).toBeGreaterThan(0);
    await s.reconcile();
    expect(s.seen.writes).toHaveLength(1);
  });

  it('names the Devices whose pods are shut: by the manifest or by an Intervention, and only those that are there and not Active', () => {
    expect(s.devices.shutIn('berlin')).toEqual([]);
    s.put({ lifecycle: 'Quarantined' });
    s.world.effective = { lifecycle: 'Quarantined' };
    expect([s.devices.shutIn('berlin'), s.devices.shutIn('paris')]).toEqual([['thermo-1'], []]);
    s.put({ lifecycle: 'Active' });
    expect(s.devices.shutIn('berlin')).toEqual([]);
    s.world.intervened = ['thermo-1', 'gone'];
    expect(s.devices.shutIn('berlin')).toEqual(['thermo-1']);
    s.world.effective = { lifecycle: 'Active' };
    expect(s.devices.shutIn('berlin')).toEqual([]);
  });

  it('says what it waits for once that takes longer', async () => {
    s.world.identity = WAITING;
    s.put({});
    await s.settle();
    await s.clock.advance(10_000);
    await s.reconcile();
    expect(s.seen.writes[0]?.conditions?.find(({ type }) => type === 'Reconciling')?.reason).toBe('Issuing');
  });

  it('leaves a Ready Device as it is while a restarted operator has not compared the broker yet', async () => {
    s.put({});
    await s.settle();
    s.world.authorization = PENDING;
    await s.reconcile();
    await s.clock.advance(9_000);
    await s.reconcile();
    expect(s.seen.writes).toHaveLength(1);
    await s.clock.advance(2_000);
    await s.reconcile();
    expect(s.seen.writes[1]?.conditions?.find(({ type }) => type === 'Authorized')?.status).toBe('Unknown');
  });

  it('hands a new certificate out at once, also while the broker is being compared', async () => {
    s.world.authorization = PENDING;
    s.put({});
    await s.settle();
    expect(s.seen.writes[0]?.certificate).toBe('PEM');
  });

  it('wakes the broker urgently when a Device is revoked, and tells the ledger who did it', async () => {
    s.put({});
    await s.settle();
    s.world.effective = { lifecycle: 'Revoked', by: 'Intervention x of alice', reason: 'stolen', since: '' };
    await s.reconcile();
    expect(s.seen.wakes).toContain(`urgent: ${KEY} is Revoked`);
    expect(s.seen.by.at(-1)).toBe('Intervention x of alice');
  });

  it('wakes the broker for what concerns it, and not for its own status', async () => {
    s.put({});
    await s.settle();
    s.seen.wakes.length = 0;
    s.put({ status: { conditions: [] } });
    expect(s.seen.wakes).toEqual([]);
    s.put({ segment: 'lab' });
    expect(s.seen.wakes).toEqual([`${KEY} changed`]);
    for (const change of s.store.remove(KEY)) s.devices.changed(change);
    expect(s.seen.wakes).toHaveLength(2);
  });

  it('records an Event when a Device stalls, once', async () => {
    s.world.identity = { ...WAITING, outcome: { kind: 'stalled', reason: 'WeakKey', message: 'HR-ID-007' } };
    s.put({});
    await s.settle();
    await s.reconcile();
    expect(s.seen.events.map(({ reason }) => reason)).toEqual(['WeakKey']);
  });

  it('leaves the Event of an Intervention to its own room', async () => {
    s.world.effective = { lifecycle: 'Quarantined', by: 'Intervention x of alice', reason: 'odd', since: '' };
    s.put({});
    await s.settle();
    expect(s.seen.events).toEqual([]);
  });

  it('passes on what an Intervention asks for, and shows how far it has come', async () => {
    const at = new Date(s.clock.now()).toISOString();
    s.world.rotation = { at, compromised: { at, by: 'Intervention r1 of alice' } };
    s.world.entries = [{ ...OLD, revoked: { at, reason: 'Compromised', by: 'Intervention r1 of alice' } }];
    s.put({});
    await s.settle();
    expect(s.seen.rotations.at(-1)).toEqual(s.world.rotation);
    expect(s.seen.writes.at(-1)?.rotation?.steps?.map(({ step }) => step)).toEqual(['Ledger']);
    s.world.bannedCertificates.add(OLD.md5);
    await s.reconcile();
    expect(s.seen.writes.at(-1)?.rotation?.steps?.map(({ step }) => step)).toEqual(['Ledger', 'Broker']);
  });

  it('says by itself when a renewal becomes overdue, once, whatever the Device waits for', async () => {
    const overdueAt = s.clock.now() + 60_000;
    const outcome = { kind: 'stalled', reason: 'WeakKey', message: 'HR-ID-007' } as const;
    s.world.identity = { ...ISSUED, outcome, renewal: { overdueAt, overdue: undefined } };
    s.put({});
    await s.settle();
    const said = () => s.seen.writes.at(-1)?.conditions?.find(({ type }) => type === 'RenewalOverdue')?.status;
    expect(said()).toBeUndefined();
    s.world.identity = { ...ISSUED, outcome, renewal: { overdueAt, overdue: 'HR-ID-066: late. Cure: see' } };
    await s.clock.advance(60_000);
    await s.settle();
    expect(said()).toBe('True');
    await s.reconcile();
    expect(s.seen.events.filter(({ reason }) => reason === 'RenewalOverdue')).toHaveLength(1);
    s.world.identity = ISSUED;
    await s.reconcile();
    expect(said()).toBeUndefined();
  });

  it('reports a superseded certificate when its grace ends, and takes it back when the newest is used', async () => {
    const from = s.clock.now();
    const lived = (startMs: number, endMs: number) => ({
      notBefore: new Date(from + startMs).toISOString(),
      notAfter: new Date(from + endMs).toISOString(),
    });
    s.world.entries = [
      { ...OLD, ...lived(-50_000, 90_000) },
      { ...OLD, ...lived(0, 100_000), id: 'new', md5: 'new', serial: 'new' },
    ];
    s.world.inUse = OLD.md5;
    s.put({});
    await s.settle();
    const said = () => s.seen.writes.at(-1)?.conditions?.find(({ type }) => type === 'SupersededCertificateUsed')?.status;
    expect(said()).toBeUndefined();
    await s.clock.advance(10_000);
    await s.settle();
    expect(said()).toBe('True');
    expect(s.seen.events.map(({ reason }) => reason)).toContain('SupersededCertificateUsed');
    s.world.inUse = 'new';
    await s.reconcile();
    expect(said()).toBeUndefined();
  });

  it('does not say what the broker should hold before the ledger was read', () => {
    s.world.ledgerSynced = false;
    expect(() => s.devices.desired()).toThrow('ledger');
  });
});

it('finds a Device by its name on the wire', () => {
  expect(keyOfWireName('thermo-1.berlin')).toBe(KEY);
});
