// What the test and its processes say to each other. Keys of the test go this way: no file, no command line.
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import type { ShardReport } from '../../../operator/driver/ports.ts';
import type { Size } from '../../firmware/fleet/scene.ts';

export type Wire = { host: string; tls: number; plain: number; caPem: string };
export type Pem = { certPem: string; keyPem: string };

export type CrowdOrder = {
  kind: 'join';
  wire: Wire;
  seed: number;
  /** How many times faster than in the world their steps are. */
  pace: number;
  /** Numbers of the devices of this process. */
  devices: number[];
  /** Certificates by number: these speak mutual TLS. */
  identities: [number: number, pem: Pem][];
  directiveCaPem: string;
  /** By number; private keys in PKCS#8. */
  bootKeys: [number: number, pem: string][];
};
/** `busy`: how many are at work at a directive. `runsNew`: which have made the new image permanent, since the last time. */
export type CrowdNews = { kind: 'crowd'; busy: number; connected: number; packets: number; runsNew: string[] };

export type DriverOrder =
  | {
      kind: 'start';
      wire: Wire;
      identity: Pem;
      clientId: string;
      size: Size;
      fence: number;
      directive: { keyPem: string; chainPem: string };
      directiveCaPem: string;
      devices: { name: string; bootKeyPem: string | undefined; record: FirmwareRecord | undefined }[];
    }
  | { kind: 'written'; id: number }
  /** The hours in which nothing would happen. */
  | { kind: 'jump'; ms: number };
export type DriverNews =
  | { kind: 'write'; id: number; device: string; record: FirmwareRecord }
  | { kind: 'report'; report: ShardReport }
  | { kind: 'ended'; ending: string };
