// The sample's devices, each with a key of its own and a simulated device that talks; and one more, which the demo plays tricks with.
import type { Device } from '../../operator/api/device.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { objectsIn, SAMPLE_DIR } from '../harness/manifests.ts';
import { type BrokerAddress, createDevice } from '../simulator/device.ts';
import { patiently } from './patience.ts';
import type { Row } from './table.ts';
import { createTalker, type Talker } from './talker.ts';
import { conditionOf, type DeviceWatch } from './watch.ts';

/** A genuine device whose owner turns out to be hostile. Not in the sample, so that the sample stays whole when it is revoked. */
export const ATTACKER = 'thermo-13';

export type Fleet = {
  readonly namespace: string;
  /** What was applied: the sample with requests of the simulated devices' own keys, and the attacker. */
  readonly manifests: KubeObject[];
  readonly talkers: Talker[];
  talker(name: string): Talker;
  attacker(): Talker;
  rows(): Row[];
  stop(): Promise<void>;
};

export type FleetOptions = { watch: DeviceWatch; address: BrokerAddress; secret: (name: string) => Promise<Record<string, string>> };

/** The sample's namespace: it has one. */
export function sampleNamespace(): string {
  const found = objectsIn(SAMPLE_DIR).find(({ kind }) => kind === 'Namespace')?.metadata.name;
  if (found === undefined) throw new Error(`${SAMPLE_DIR} has no Namespace`);
  return found;
}

/** Makes keys and requests, applies the manifests, and gives each device what it needs to talk as soon as it is there. */
export async function createFleet(apply: (manifests: KubeObject[]) => Promise<void>, options: FleetOptions): Promise<Fleet> {
  const { watch, address, secret } = options;
  const namespace = sampleNamespace();
  const sample = objectsIn(SAMPLE_DIR);
  const ofSample = sample.filter((object): object is Device => object.kind === 'Device');
  const devices = [...ofSample, ...attackerManifest(ofSample)];
  const others = sample.filter(({ kind }) => kind !== 'Device');
  const members = await Promise.all(
    devices.filter(({ spec }) => spec.identity.enrollment !== 'Managed').map((device, seed) => withOwnKey(device, seed)),
  );
  const managed = devices.filter(({ spec }) => spec.identity.enrollment === 'Managed');
  const manifests = [...others, ...members.map(({ manifest }) => manifest), ...managed];
  await apply(manifests);

  const talkers = members.map(({ manifest, device, seed }) =>
    createTalker({
      teller: tellerOf(manifest, seed),
      device,
      address: () => address,
      certificate: () => watch.get(name(manifest))?.certificate,
    }),
  );
  for (const [at, manifest] of managed.entries()) talkers.push(await softwareDevice(manifest, members.length + at, { address, secret }));
  const talker = (wanted: string): Talker => {
    const found = talkers.find((one) => one.name === wanted);
    if (found === undefined) throw new Error(`there is no simulated device ${wanted}`);
    return found;
  };
  talkers.sort((a, b) => a.segment.localeCompare(b.segment) || a.name.localeCompare(b.name));
  return {
    namespace,
    manifests,
    talkers,
    talker,
    attacker: () => talker(ATTACKER),
    rows: () => talkers.map((one) => rowOf(one, watch)),
    stop: async () => void (await Promise.all(talkers.map((one) => one.stop()))),
  };
}

async function withOwnKey(device: Device, seed: number) {
  const who = { device: name(device), segment: device.spec.segment, namespace: device.metadata.namespace ?? '' };
  const simulated = await createDevice(who, seed);
  const identity = { ...device.spec.identity, csr: simulated.key.csrPem };
  return { seed, device: simulated, manifest: { ...device, spec: { ...device.spec, identity } } };
}

/** Software that runs in the cluster mounts its Secret; here it is read as its pod would read it. */
async function softwareDevice(
  manifest: Device,
  seed: number,
  { address, secret }: Pick<FleetOptions, 'address' | 'secret'>,
): Promise<Talker> {
  const who = { device: name(manifest), segment: manifest.spec.segment, namespace: manifest.metadata.namespace ?? '' };
  const data = await patiently(`the Secret of ${name(manifest)}`, async () => {
    const found = await secret(manifest.spec.identity.secretName ?? '');
    return found['tls.key'] === undefined || found['tls.crt'] === undefined ? undefined : found;
  });
  const device = await createDevice(who, seed, '', { privateKeyPem: data['tls.key'] ?? '', csrPem: '' });
  return createTalker({ teller: tellerOf(manifest, seed), device, address: () => address, certificate: () => data['tls.crt'] });
}

/** Another one of the sample's first model, with a serial number of its own. */
function attackerManifest([twin]: Device[]): Device[] {
  if (twin === undefined) return [];
  const metadata = { ...twin.metadata, name: ATTACKER };
  return [{ ...twin, metadata, spec: { ...twin.spec, hardware: { ...twin.spec.hardware, serial: 'A1B2D0' } } }];
}

function tellerOf(device: Device, seed: number) {
  return {
    model: device.spec.hardware?.model ?? '',
    segment: device.spec.segment,
    device: name(device),
    namespace: device.metadata.namespace ?? '',
    seed,
  };
}

function rowOf(talker: Talker, watch: DeviceWatch): Row {
  const view = watch.get(talker.name);
  const ready = conditionOf(view, 'Ready');
  return {
    device: talker.name,
    segment: talker.segment,
    ready: view === undefined ? 'deleted' : (ready?.status ?? 'Unknown'),
    reason: view === undefined ? '' : (ready?.reason ?? 'Pending'),
    connected: talker.device.connected(),
    accepted: talker.tally.accepted,
    refused: talker.tally.refused,
    last: talker.last(),
  };
}

const name = (device: Device): string => device.metadata.name ?? '';
