// A fleet of reference devices: cameras with keys of their own, a flash each, a boot key that is registered in their Device, and the firmware that the factory wrote.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { KubeObject } from '../../../operator/kube/object.ts';
import { type BrokerAddress, createDevice, type SimulatedDevice } from '../../simulator/device.ts';
import { imageFile, statementFile } from '../../simulator/firmware/bootloader.ts';
import { type Built, type ConnectedDevice, connectedDevice } from '../../simulator/firmware/connected.ts';
import type { Flash } from '../../simulator/firmware/flash.ts';
import { selfTestOn } from './image.ts';
import type { SignedRelease } from './trust-files.ts';

export const CAMERA_CLASS = '6b1d2c7e-8f0a-4b3c-9d5e-0123456789ab';
export const CAMERA_MODEL = 'cam-2';
export const COMPONENT = 'app';

export type CameraWish = { name: string; stage: string; board: string };
export type Camera = CameraWish & {
  readonly manifest: KubeObject;
  /** Once it is on. */
  device(): ConnectedDevice;
  /** With the certificate of its Device; resolves when it has said hello. */
  start(certificatePem: string): Promise<void>;
  stop(): Promise<void>;
};

export type CameraDeps = {
  namespace: string;
  segment: string;
  firstRoot: Buffer;
  directiveCaPem: string;
  /** What the factory wrote. */
  factory: SignedRelease;
  flash(name: string): Flash;
  address(): BrokerAddress;
  artifactsCaPem: string;
};

export async function makeCamera(wish: CameraWish, seed: number, deps: CameraDeps): Promise<Camera> {
  const { name, board } = wish;
  const who = { device: name, segment: deps.segment, namespace: deps.namespace };
  const simulated = await createDevice(who, seed);
  const boot = generateKeyPairSync('ed25519');
  const flash = deps.flash(name);
  leaveTheFactory(flash, deps.factory);
  const built: Built = {
    ...{ device: simulated.name, component: COMPONENT, classId: CAMERA_CLASS, firstRoot: deps.firstRoot, bootKey: boot.privateKey },
    ...{ cas: [new X509Certificate(deps.directiveCaPem)], flash, selfTest: selfTestOn(board) },
  };
  let device: ConnectedDevice | undefined;
  return {
    ...wish,
    manifest: manifestOf(wish, simulated, boot.publicKey.export({ type: 'spki', format: 'pem' }).toString()),
    device: () => {
      if (device === undefined) throw new Error(`${name} is not on`);
      return device;
    },
    async start(certificatePem) {
      const { artifactsCaPem } = deps;
      device = connectedDevice(built, { device: simulated, address: deps.address(), certificatePem, artifactsCaPem });
      await device.start();
    },
    stop: async () => device?.stop(),
  };
}

function manifestOf({ name, stage, board }: CameraWish, { who, key }: SimulatedDevice, bootKey: string): KubeObject & { spec: object } {
  return {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'Device',
    metadata: { name, namespace: who.namespace, labels: { product: 'cam', stage } },
    spec: {
      segment: who.segment,
      hardware: { model: CAMERA_MODEL, revision: board, serial: `SN-${name}` },
      identity: { enrollment: 'CSR', csr: key.csrPem },
      firmware: { bootKey },
    },
  };
}

function leaveTheFactory(flash: Flash, { image, envelope }: SignedRelease): void {
  const files = [
    [imageFile('A'), image],
    [statementFile('A'), Buffer.from(envelope)],
  ] as const;
  for (const [file, bytes] of files) {
    flash.write(file, 0, bytes);
    flash.sync(file);
  }
}
