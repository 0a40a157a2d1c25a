// A bootloader with secure boot: two slots, one try for the new one, counters that rise when it is confirmed. It alone holds the boot key; what it started gets
// services, as from a secure monitor, and never the key or the memory behind them.
import type { KeyObject } from 'node:crypto';
import { seal, sha256 } from './envelope.ts';
import type { Flash } from './flash.ts';
import { openNvm } from './nvm.ts';
import { nextRoot, type Release, type Root, releaseOf } from './root.ts';
import { compareVersions } from './version.ts';

export type Slot = 'A' | 'B';
export const otherSlot = (slot: Slot): Slot => (slot === 'A' ? 'B' : 'A');
export const imageFile = (slot: Slot): string => `slot-${slot}.img`;
export const statementFile = (slot: Slot): string => `slot-${slot}.json`;

export type Fixed = {
  device: string;
  component: string;
  classId: string;
  /** 1.root.json as the factory wrote it. */
  firstRoot: Buffer;
  bootKey: KeyObject;
};

type State = {
  boots: number;
  active: Slot;
  pending?: { slot: Slot; nonce: string; tried: boolean };
  /** Of the directive that last led to a start of the other slot. */
  nonce?: string;
  counter: number;
  versionFloor: string;
  /** Roots after the first, base64. */
  roots: string[];
};

/** What an image is fit for, or the error code of the protocol. */
export type Fit = Release | 1 | 2 | 3 | 4 | 15;

export type Services = {
  counter(): number;
  rootVersion(): number;
  rootExpires(): number;
  /** Whether the root was the next one and is kept now. */
  advanceRoot(bytes: Uint8Array): boolean;
  judge(statement: Uint8Array): Fit;
  inSlot(slot: Slot): Fit;
  /** The nonce with which a slot was last started to be tested. */
  lastTried(): string | undefined;
  /** The slot gets one try at the next start. */
  activate(slot: Slot, nonce: string): void;
  /** Makes the running image permanent, and raises the counters in the same write. */
  confirm(): void;
};

export type Booted = {
  slot: Slot;
  mode: 'Test' | 'Normal' | 'Reverted';
  boot: number;
  digest: string;
  version: string;
  report: Record<string, unknown>;
  image: Buffer;
  services: Services;
};

const BOOT_TYPE = 'application/vnd.hedgerow.firmware.boot.v1+json';
const FIRST: State = { boots: 0, active: 'A', counter: 0, versionFloor: '0.0.0', roots: [] };

/** Starts the device: undefined when neither slot holds an image that may run. */
export function powerOn(flash: Flash, fixed: Fixed): Booted | undefined {
  const nvm = openNvm<State>(flash, 'boot', FIRST);
  const before = nvm.value;
  const boots = before.boots + 1;
  const { pending, ...rest } = before;
  if (pending !== undefined && !pending.tried && typeof fitness(flash, fixed, before, pending.slot) !== 'number') {
    nvm.save({ ...rest, boots, nonce: pending.nonce, pending: { ...pending, tried: true } });
    return started(flash, fixed, nvm, pending.slot, 'Test');
  }
  nvm.save({ ...rest, boots, ...(pending === undefined ? {} : { nonce: pending.nonce }) });
  const slot = [before.active, otherSlot(before.active)].find((one) => typeof fitness(flash, fixed, before, one) !== 'number');
  if (slot === undefined) return undefined;
  return started(flash, fixed, nvm, slot, pending === undefined && slot === before.active ? 'Normal' : 'Reverted');
}

type Memory = ReturnType<typeof openNvm<State>>;

function started(flash: Flash, fixed: Fixed, nvm: Memory, slot: Slot, mode: Booted['mode']): Booted | undefined {
  const release = fitness(flash, fixed, nvm.value, slot);
  if (typeof release === 'number') return undefined;
  const image = flash.read(imageFile(slot));
  const { boots, nonce } = nvm.value;
  const { device, component, bootKey } = fixed;
  const { version, securityCounter } = release;
  const digest = sha256(image);
  const said = {
    v: 1,
    device,
    component,
    boot: boots,
    slot,
    digest,
    version,
    securityCounter,
    mode,
    ...(nonce === undefined ? {} : { nonce }),
  };
  const report = seal(BOOT_TYPE, Buffer.from(JSON.stringify(said)), bootKey);
  return { slot, mode, boot: boots, digest, version, report, image, services: services(flash, fixed, nvm, { slot, mode, release }) };
}

function services(flash: Flash, fixed: Fixed, nvm: Memory, running: { slot: Slot; mode: Booted['mode']; release: Release }): Services {
  return {
    counter: () => nvm.value.counter,
    rootVersion: () => rootOf(fixed, nvm.value).version,
    rootExpires: () => rootOf(fixed, nvm.value).expires,
    advanceRoot(bytes) {
      if (nextRoot(bytes, rootOf(fixed, nvm.value)) === undefined) return false;
      nvm.save({ ...nvm.value, roots: [...nvm.value.roots, Buffer.from(bytes).toString('base64')] });
      return true;
    },
    judge: (statement) => judged(statement, fixed, nvm.value),
    inSlot: (slot) => fitness(flash, fixed, nvm.value, slot),
    lastTried: () => nvm.value.nonce,
    activate: (slot, nonce) => nvm.save({ ...nvm.value, pending: { slot, nonce, tried: false } }),
    confirm() {
      const { pending: _, ...rest } = nvm.value;
      const { securityCounter, minVersionFloor = '0.0.0' } = running.release;
      const versionFloor = compareVersions(minVersionFloor, rest.versionFloor) > 0 ? minVersionFloor : rest.versionFloor;
      nvm.save({ ...rest, active: running.slot, counter: Math.max(rest.counter, securityCounter), versionFloor });
    },
  };
}

/** Whether the image in the slot may run: at every start, not only when it came. */
function fitness(flash: Flash, fixed: Fixed, state: State, slot: Slot): Fit {
  const release = judged(flash.read(statementFile(slot)), fixed, state);
  if (typeof release === 'number') return release;
  const image = flash.read(imageFile(slot));
  const digest = sha256(image);
  return release.artifacts.some((one) => one.digest === digest && one.size === image.length && isForUs(one.classIds, fixed)) ? release : 2;
}

function judged(statement: Uint8Array, fixed: Fixed, state: State): Fit {
  const release = releaseOf(statement, rootOf(fixed, state));
  if (typeof release === 'number') return release;
  if (release.component !== fixed.component || !release.artifacts.some(({ classIds }) => isForUs(classIds, fixed))) return 3;
  return release.securityCounter < state.counter || compareVersions(release.version, state.versionFloor) < 0 ? 4 : release;
}

const isForUs = (classIds: readonly string[] | undefined, { classId }: Fixed): boolean =>
  classIds === undefined || classIds.includes(classId);

/** Only what was checked is kept; it is read again as what it was. */
function rootOf({ firstRoot }: Fixed, { roots }: State): Root {
  const chain = [firstRoot, ...roots.map((one) => Buffer.from(one, 'base64'))];
  const root = chain.reduce<Root | undefined>((present, bytes) => nextRoot(bytes, present) ?? present, undefined);
  if (root === undefined) throw new Error('the factory wrote no trust root');
  return root;
}
