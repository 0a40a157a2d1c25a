// Whether a release is for a device, by what its manifest and its status say; the device itself has the last word. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { isBelow, isInRange } from './version-order.ts';

type Artifact = FirmwareReleaseSpec['artifacts'][number];

/** What is known of a device: spec.hardware, spec.firmware and status.firmware. */
export type FirmwareFacts = {
  model?: string | undefined;
  revision?: string | undefined;
  hold: boolean;
  /** Version of the component app that it stays at; empty: none. */
  pin: string;
  /** What runs, by component. Empty: it has not said yet. */
  running: Readonly<Record<string, Running>>;
  /** Its identity is given up, or the Device is being deleted. */
  isRevoked?: boolean;
  /** spec.firmware.bootKey: its bootloader signs what it booted. */
  hasBootKey?: boolean;
};

/** One entry of status.firmware. `releaseUid`, `step`: the release that brought it to an end, and in which step. */
export type Running = { version: string; digest: string; securityCounter?: number; releaseUid?: string; step?: number };

/** Held: by its manifest. Incompatible: no image for it. Blocked: something has to run on it first. Newer: it would be a downgrade. Current: it runs it. */
export type Misfit = { why: 'Held' | 'Incompatible' | 'Blocked' | 'Newer' | 'Current'; reason: string };

/** Only this component can be pinned. */
const PINNED = 'app';

/** Undefined where the release is for the device. */
export function misfitOf(spec: FirmwareReleaseSpec, device: FirmwareFacts): Misfit | undefined {
  if (device.isRevoked === true) return { why: 'Held', reason: 'it is revoked or being deleted' };
  if (device.hold) return { why: 'Held', reason: 'spec.firmware.hold' };
  if (device.pin !== '' && spec.component === PINNED && device.pin !== spec.version)
    return { why: 'Held', reason: `spec.firmware.pin ${device.pin}` };
  const artifact = artifactFor(spec.artifacts, device);
  if (artifact === undefined)
    return { why: 'Incompatible', reason: `no whole image for model ${device.model ?? '(none)'}, revision ${device.revision ?? '(none)'}` };
  return againstRunning(spec, artifact, device) ?? againstRequired(spec, device) ?? againstProof(spec, device);
}

/** Its success could not be proven. */
function againstProof({ compatibility }: FirmwareReleaseSpec, { hasBootKey }: FirmwareFacts): Misfit | undefined {
  if (compatibility?.secureBoot !== true || hasBootKey === true) return undefined;
  return { why: 'Blocked', reason: 'compatibility.secureBoot asks for spec.firmware.bootKey' };
}

function againstRunning(spec: FirmwareReleaseSpec, artifact: Artifact, { running }: FirmwareFacts): Misfit | undefined {
  const own = running[spec.component];
  const from = spec.compatibility?.fromVersions;
  if (own === undefined)
    return from === undefined ? undefined : { why: 'Blocked', reason: `it has not said which ${spec.component} it runs` };
  if (own.digest === artifact.digest) return { why: 'Current', reason: `it runs ${own.version}` };
  if ((own.securityCounter ?? 0) > spec.securityCounter)
    return { why: 'Newer', reason: `its security counter is ${own.securityCounter}, that of the release ${spec.securityCounter}` };
  if (isBelow(spec.version, own.version)) return { why: 'Newer', reason: `it runs ${own.version}` };
  if (from !== undefined && !isInRange(own.version, from))
    return { why: 'Incompatible', reason: `it runs ${own.version}, and compatibility.fromVersions is ${from}` };
  return undefined;
}

function againstRequired({ requires }: FirmwareReleaseSpec, { running }: FirmwareFacts): Misfit | undefined {
  const missing = (requires ?? []).find(({ component, version }) => !isInRange(running[component]?.version, version));
  if (missing === undefined) return undefined;
  const has = running[missing.component]?.version ?? 'an unknown one';
  return { why: 'Blocked', reason: `it needs ${missing.component} ${missing.version} first and runs ${has}` };
}

/**
 * The whole image for this hardware: the first artifact that is no delta and names it, or names none. Vendor and class ids are the device's own to compare: it says
 * them in its hello and refuses what is not for it.
 */
export function artifactFor(
  artifacts: readonly Artifact[],
  { model, revision }: Pick<FirmwareFacts, 'model' | 'revision'>,
): Artifact | undefined {
  const among = (values: readonly string[] | undefined, value: string | undefined): boolean =>
    values === undefined || values.length === 0 || (value !== undefined && values.includes(value));
  return artifacts.find(
    ({ baseDigest, hardware }) => baseDigest === undefined && among(hardware?.models, model) && among(hardware?.revisions, revision),
  );
}
