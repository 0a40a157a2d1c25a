// Which device is in which wave. From the release and its devices alone, so that every process that asks gets the same answer and no list has to be kept. Pure.
import { createHash } from 'node:crypto';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { type Labels, selects } from '../api/label-selector.ts';
import { type FirmwareFacts, type Misfit, misfitOf } from './fit.ts';
import { sizeOf } from './size.ts';

/** A device as far as a rollout has to know it. */
export type Candidate = FirmwareFacts & {
  /** metadata.uid; where there is none yet, `<namespace>/<name>`. */
  uid: string;
  namespace: string;
  name: string;
  labels: Labels;
  /** metadata.creationTimestamp, ms; only a release of membership Snapshot asks for it. */
  createdAt?: number | undefined;
};

export type ReleaseFacts = { uid: string; spec: FirmwareReleaseSpec };

/** One step: a wave, or a part of a wave that grows. */
export type Step = { wave: string; part: number; parts: number; devices: readonly Candidate[] };

export type WavePlan = {
  steps: readonly Step[];
  /** Selected, but the release is not for them. */
  out: readonly (Misfit & { device: Candidate })[];
  /** Selected and fit, and in no wave. */
  left: readonly Candidate[];
};

type Wave = FirmwareReleaseSpec['rollout']['waves'][number];

/**
 * Waves are disjoint: a device is in the first that takes it. A share is one of the devices that the wave's selector selects, whichever waves they are in. A device that
 * this release brought to an end counts as fit, so that the plan stays what it was while the release runs.
 */
export function planWaves({ uid, spec }: ReleaseFacts, devices: readonly Candidate[]): WavePlan {
  const selected = devices.filter(({ labels }) => selects(spec.selector, labels));
  const judged = selected.map((device) => ({
    device,
    misfit: device.running[spec.component]?.releaseUid === uid ? undefined : misfitOf(spec, device),
  }));
  const out = judged.flatMap(({ device, misfit }) => (misfit === undefined ? [] : [{ ...misfit, device }]));
  const fit = inOrder(
    uid,
    judged.filter(({ misfit }) => misfit === undefined).map(({ device }) => device),
  );
  const taken = new Set<string>();
  const steps = spec.rollout.waves.flatMap((wave) => {
    const own = fit.filter(({ labels }) => selects(wave.selector ?? {}, labels));
    const free = own.filter((device) => !taken.has(device.uid));
    const parts = wave.growth === undefined ? [partOf(wave, own.length, free)] : growing(wave.growth, own.length, free);
    for (const device of parts.flat()) taken.add(device.uid);
    return parts.map((part, at): Step => ({ wave: wave.name, part: at + 1, parts: parts.length, devices: part }));
  });
  return { steps, out, left: fit.filter((device) => !taken.has(device.uid)) };
}

/** By SHA-256 of `<release>/<device>`: no device is first in every release, and which are cannot be chosen by a name. */
function inOrder(release: string, devices: readonly Candidate[]): Candidate[] {
  return devices
    .map((device) => ({ device, order: orderOf(release, device.uid) }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .map(({ device }) => device);
}

/** Where a device stands in a release, as a text to sort by. */
export function orderOf(release: string, device: string): string {
  return createHash('sha256').update(`${release}/${device}`).digest('hex');
}

/** As many as size and min say, but at least one device for every value of every key of `spread`. */
function partOf(wave: Wave, all: number, free: readonly Candidate[]): Candidate[] {
  const least = wave.size?.endsWith('%') ? (wave.min ?? 0) : 0;
  const wanted = Math.min(free.length, Math.max(sizeOf(wave.size, all), least));
  const chosen = new Set<Candidate>();
  for (const key of wave.spread ?? []) {
    const seen = new Set([...chosen].map((device) => placeOf(device, key)));
    for (const device of free) {
      const value = placeOf(device, key);
      if (value === undefined || seen.has(value)) continue;
      seen.add(value);
      chosen.add(device);
    }
  }
  for (const device of free) if (chosen.size < wanted) chosen.add(device);
  return free.filter((device) => chosen.has(device));
}

function placeOf({ namespace, revision, labels }: Candidate, key: string): string | undefined {
  if (key === 'site') return namespace;
  return key === 'hwRevision' ? revision : labels[key];
}

type Growth = NonNullable<Wave['growth']>;

/** Steps of start, start × factor, … up to max, until all are done. */
function growing({ start, factor, max }: Growth, all: number, free: readonly Candidate[]): Candidate[][] {
  const most = sizeOf(max, all);
  const parts: Candidate[][] = [];
  for (let [from, size] = [0, Math.min(most, sizeOf(start, all))]; from < free.length; from += size, size = Math.min(most, size * factor))
    parts.push(free.slice(from, from + size));
  return parts;
}
