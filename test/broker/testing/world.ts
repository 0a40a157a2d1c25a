/** A stand-in, its CA of devices, and everything a test does to them. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeServerCertificate } from '../../harness/certificates.ts';
import type { Profile } from '../config.ts';
import { type StandIn, startStandIn } from '../stand-in.ts';
import { type Attempt, type BrokerAddress, type Device, type DeviceOptions, tryConnect } from './device.ts';
import { type DeviceCa, type Identity, makeDeviceCa, subject } from './pki.ts';

export type World = {
  standIn: StandIn;
  ca: DeviceCa;
  dir: string;
  broker: BrokerAddress;
  /** The certificate `O=<organisation>, OU=<segment>, CN=<device>`, the same at every call. */
  identity(device: string, segment: string): Promise<Identity>;
  connect(device: string, segment: string, options?: DeviceOptions): Promise<Device>;
  attempt(identity: Identity, options?: DeviceOptions): Promise<Attempt>;
  stop(): Promise<void>;
};

export async function startWorld(profile: Profile = 'hedgerow'): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'hedgerow-broker-'));
  const ca = await makeDeviceCa('device-ca');
  const server = await makeServerCertificate();
  const standIn = await startStandIn({ dir, profile, tls: { ca: ca.certPem, cert: server.certPem, key: server.keyPem } });
  const broker = { host: '127.0.0.1', port: standIn.mqttPort, caPem: server.caPem };
  const organisation = profile === 'hedgerow' ? 'hedgerow' : 'acme';
  const issued = new Map<string, Promise<Identity>>();
  const devices: Device[] = [];
  const identity = (device: string, segment: string): Promise<Identity> => {
    const key = `${device} ${segment}`;
    const known = issued.get(key) ?? ca.issue(subject(organisation, segment, device));
    issued.set(key, known);
    return known;
  };
  const attempt = async (who: Identity, options?: DeviceOptions): Promise<Attempt> => {
    const made = await tryConnect(broker, who, options);
    if (made.ok) devices.push(made.device);
    return made;
  };
  return {
    standIn,
    ca,
    dir,
    broker,
    identity,
    attempt,
    async connect(device, segment, options) {
      const made = await attempt(await identity(device, segment), options);
      if (!made.ok) throw new Error(`${device} could not connect: ${made.error}`);
      return made.device;
    },
    async stop() {
      for (const device of devices) device.client.end(true);
      await standIn.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
