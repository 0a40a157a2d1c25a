// A system with two sites on the shared cluster, and devices that are enrolled in it and come back to the broker by themselves.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { API_VERSION } from '../../operator/api/resources.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { type Connection, keepConnected } from '../harness/connections.ts';
import { type FleetDevice, makeFleet } from '../harness/fleet.ts';
import { segmentManifest } from '../harness/manifests.ts';
import { parallel } from '../harness/parallel.ts';
import { connectPlainly, type PlainApi } from '../harness/plain-api.ts';
import { type System, startSystem } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import type { BrokerAddress } from '../simulator/device.ts';

/** A device with its certificate and what became of its attempts to connect and to publish. */
export type Member = {
  device: FleetDevice;
  certificatePem: string;
  connection: Connection;
  /** Publishes that the broker accepted: one is tried after each connect, on the device's own telemetry topic. */
  told(): number;
};

export type Fixture = {
  readonly system: System;
  readonly admin: PlainApi;
  readonly sites: readonly [string, string];
  /** Makes Devices, waits for their certificates, and connects them for good. */
  enrol(count: number, options: { site: string; prefix: string; againAfterMs?: number }): Promise<Member[]>;
  stop(): Promise<void>;
};

const SEGMENT = 'sensors';
const LANES = 24;
/** MQTT 5 §2.4: reason codes from 0x80 on are refusals. */
const FIRST_REFUSAL = 0x80;

export async function startFixture(name: string): Promise<Fixture> {
  const cluster = await sharedCluster();
  const sites = [`${name}-${process.pid}-a`, `${name}-${process.pid}-b`] as const;
  const dir = join(cluster.dir, `${name}-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  // The cluster's folder is shared; broker and operator of this fixture have one of their own.
  const access = {
    dir,
    kubectl: (args: string[], stdin?: string) => cluster.kubectl(args, stdin),
    helmTemplate: (chart: string, values: Record<string, unknown>, namespace: string) => cluster.helmTemplate(chart, values, namespace),
    kubeconfigFor: (identity: { serviceAccount: string }) => cluster.kubeconfigFor(identity),
  };
  // Without an election, so that a killed operator is followed at once.
  const system = await startSystem({ cluster: access, sites, operatorArgs: ['--leader-elect', 'false'] });
  await system.apply(sites.map((site) => segmentManifest(SEGMENT, site)));
  const admin = await connectPlainly(cluster.adminKubeconfig, LANES);
  const broker = { host: '127.0.0.1', port: system.standIn().mqttPort, caPem: system.brokerCaPem };
  const members: Member[] = [];
  return {
    system,
    admin,
    sites,
    async enrol(count, { site, prefix, againAfterMs }) {
      const fleet = await makeFleet({ count, namespace: site, segment: SEGMENT, prefix });
      await parallel(fleet, LANES, async ({ manifest }) => void (await admin.send('POST', devicesOf(site), manifest)));
      const certificates = await certificatesOf(admin, site, fleet);
      const enrolled = fleet.map((device) => member(device, certificates.get(device.name) ?? '', broker, againAfterMs));
      members.push(...enrolled);
      await waitFor(`${count} devices to connect and to be heard`, () => enrolled.every((one) => one.told() > 0) || undefined, {
        timeoutMs: 60_000,
      });
      return enrolled;
    },
    async stop() {
      await Promise.all(members.map(({ connection }) => connection.close()));
      await admin.close();
      await system.stop();
      await cluster.kubectl(['delete', 'namespace', ...sites, '--wait=false', '--ignore-not-found']);
    },
  };
}

export const devicesOf = (site: string): string => `/apis/${API_VERSION}/namespaces/${site}/devices`;

type DeviceList = {
  items: { metadata: { name: string }; status?: { certificate?: string; conditions?: { type: string; status: string }[] } }[];
};

/** Of Devices that are Ready. */
function certificatesOf(admin: PlainApi, site: string, fleet: readonly FleetDevice[]): Promise<Map<string, string>> {
  return waitFor(
    `${fleet.length} Devices to be Ready`,
    async () => {
      const { items } = await admin.send<DeviceList>('GET', devicesOf(site));
      const ready = items.filter(({ status }) => status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'));
      const found = new Map(ready.map(({ metadata, status }) => [metadata.name, status?.certificate ?? '']));
      return fleet.every(({ name }) => found.has(name)) ? found : undefined;
    },
    { timeoutMs: 150_000, everyMs: 500 },
  );
}

function member(device: FleetDevice, certificatePem: string, broker: BrokerAddress, againAfterMs: number | undefined): Member {
  let told = 0;
  const name = `${device.name}.${device.namespace}`;
  const topic = `dt/${device.segment}.${device.namespace}/${name}/temperature`;
  const connection = keepConnected(device, certificatePem, broker, {
    ...(againAfterMs === undefined ? {} : { againAfterMs }),
    onConnected: (client) => {
      client.publishAsync(topic, '{}', { qos: 1 }).then(
        (packet) => {
          const reason = packet !== undefined && 'reasonCode' in packet ? (packet.reasonCode ?? 0) : 0;
          if (reason < FIRST_REFUSAL) told += 1;
        },
        () => undefined, // refused, or cut off in between
      );
    },
  });
  return { device, certificatePem, connection, told: () => told };
}
