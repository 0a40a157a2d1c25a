// What happens to a fleet in one round, told as its administrator would do it: devices come, connect, and then some are revoked, quarantined, moved or deleted.
import { API_VERSION } from '../../../operator/api/resources.ts';
import { type Connection, keepConnected } from '../../harness/connections.ts';
import { type FleetDevice, makeFleet } from '../../harness/fleet.ts';
import { segmentManifest } from '../../harness/manifests.ts';
import { parallel } from '../../harness/parallel.ts';
import { PlainError } from '../../harness/plain-api.ts';
import { waitFor } from '../../harness/wait.ts';
import type { CrashWorld } from './world.ts';

export const SEGMENTS = ['sensors', 'panels'] as const;
const LIMIT_MS = 240_000;
const LANES = 8;

/** Of every twelve devices five have a fate; the others stay as they are. */
const FATES = ['revokedByHand', 'revokedInGit', 'quarantined', 'deleted', 'moved'] as const;
export type Fate = (typeof FATES)[number] | 'none';
export const fateOf = (index: number): Fate => FATES[index % 12] ?? 'none';
export const staysConnected = (fate: Fate): boolean => fate === 'none' || fate === 'quarantined' || fate === 'moved';

/** Writes of the operator that one round takes at least: four a device, and one more for each fate but deletion. */
export const leastWrites = (count: number): number => 4 * count;

export type Round = {
  /** What the names of this round begin with. */
  prefix: string;
  fleet: FleetDevice[];
  connections: Map<string, Connection>;
};

/** The two segments, whose pods have NetworkPolicies. The same text again changes nothing. */
export async function prepareSegments(world: CrashWorld): Promise<void> {
  await world.system.apply(
    SEGMENTS.map((name) => {
      const policy = segmentManifest(name, world.site) as { spec: object };
      return { ...policy, spec: { ...policy.spec, workloads: [{ podSelector: { matchLabels: { segment: name } } }] } };
    }),
  );
}

export async function newRound(world: CrashWorld, prefix: string, count: number): Promise<Round> {
  const fleet = await makeFleet({ count, namespace: world.site, segment: SEGMENTS[0], prefix: `${prefix}-device` });
  for (const { manifest } of fleet) manifest.metadata.labels = { round: prefix };
  return { prefix, fleet, connections: new Map() };
}

export async function play(world: CrashWorld, round: Round): Promise<void> {
  const devices = collection(world, 'devices');
  await parallel(round.fleet, LANES, async ({ manifest }) => {
    await persistently(() => world.admin.send('POST', devices, manifest), [409]);
  });
  await connectAsTheyCome(world, round);
  await parallel(round.fleet, LANES, async (device, index) => void (await act(world, device, fateOf(index))));
  // Somebody removes what keeps the pods apart; it has to come back.
  await persistently(() => world.admin.send('DELETE', `/apis/networking.k8s.io/v1/namespaces/${world.site}/networkpolicies`), []);
}

/** Each device connects as soon as its certificate stands in its Device, and stays at it from then on. */
async function connectAsTheyCome(world: CrashWorld, round: Round): Promise<void> {
  const { connections, fleet } = round;
  await waitFor(
    `${fleet.length} devices to get a certificate and to connect`,
    async () => {
      const certificates = await certificatesOf(world, round.prefix);
      for (const device of fleet) {
        const pem = certificates.get(device.name);
        if (pem !== undefined && !connections.has(device.name)) connections.set(device.name, keepConnected(device, pem, world.broker));
      }
      return connections.size === fleet.length && [...connections.values()].every((one) => one.accepted() > 0) ? true : undefined;
    },
    { timeoutMs: LIMIT_MS, everyMs: 250, describe: () => `${connections.size} have one` },
  );
}

type DeviceList = { items: { metadata: { name: string }; status?: { certificate?: string } }[] };

async function certificatesOf(world: CrashWorld, prefix: string): Promise<Map<string, string>> {
  const { items } = await world.admin.send<DeviceList>('GET', `${collection(world, 'devices')}?labelSelector=round%3D${prefix}`);
  return new Map(items.flatMap(({ metadata, status }) => (status?.certificate === undefined ? [] : [[metadata.name, status.certificate]])));
}

function act(world: CrashWorld, device: FleetDevice, fate: Fate): Promise<unknown> {
  const path = `${collection(world, 'devices')}/${device.name}`;
  const change = (spec: object) => persistently(() => world.admin.send('PATCH', path, { spec }, 'application/merge-patch+json'), []);
  const intervene = (action: string) =>
    persistently(() => world.admin.send('POST', collection(world, 'interventions'), intervention(device, action)), [409]);
  switch (fate) {
    case 'revokedByHand':
      return intervene('Revoke');
    case 'revokedInGit':
      return change({ lifecycle: 'Revoked' });
    case 'quarantined':
      return intervene('Quarantine');
    case 'deleted':
      return persistently(() => world.admin.send('DELETE', path), [404]);
    case 'moved':
      return change({ segment: SEGMENTS[1] });
    default:
      return Promise.resolve();
  }
}

function intervention({ name, namespace }: FleetDevice, action: string): object {
  return {
    apiVersion: API_VERSION,
    kind: 'Intervention',
    metadata: { name, namespace },
    spec: { target: { kind: 'Device', name }, action, requestedBy: 'admin', reason: 'ticket 4711' },
  };
}

export const collection = (world: CrashWorld, plural: string): string => `/apis/${API_VERSION}/namespaces/${world.site}/${plural}`;

/** The administrator tries again until the API server has answered; these refusals mean that an earlier try had arrived. */
async function persistently(call: () => Promise<unknown>, fine: readonly number[]): Promise<void> {
  await waitFor(
    'the API server to take a request',
    async () => {
      try {
        await call();
        return true;
      } catch (error) {
        if (error instanceof PlainError && fine.includes(error.status)) return true;
        throw error;
      }
    },
    { timeoutMs: LIMIT_MS, everyMs: 200 },
  );
}
