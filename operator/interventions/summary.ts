// What the world shows of one Intervention, folded into its status. Pure.

import type { DeviceStatus } from '../api/device.ts';
import type { InterventionStatus } from '../api/intervention.ts';
import type { Condition } from '../api/meta.ts';
import { findCondition, setCondition } from '../runtime/conditions.ts';
import { holds } from './effective.ts';
import { explain, reasonOf } from './errors.ts';
import { appliedToRelease, type ReleaseSight } from './release.ts';
import { stepsDone } from './rotation.ts';
import { type InterventionView, isRotate, releaseKeyOf, standingOf } from './view.ts';

/** The Device as its own status shows it: the devices room says there what ledger and broker were seen to hold. */
export type DeviceSight = {
  conditions: readonly Condition[];
  revocationSteps: readonly { step: string; at: string }[];
  rotation?: DeviceStatus['rotation'];
};

/** The target; undefined where there is none. */
export type Sight = { kind: 'Device'; device: DeviceSight } | { kind: 'FirmwareRelease'; release: ReleaseSight } | undefined;

type Said = { status: Condition['status']; reason: string; message: string };
type Steps = NonNullable<InterventionStatus['steps']>;

export function summarise(view: InterventionView, sight: Sight, nowMs: number): InterventionStatus {
  const now = new Date(nowMs).toISOString();
  const device = sight?.kind === 'Device' ? sight.device : undefined;
  const applied =
    releaseKeyOf(view) === undefined
      ? appliedCondition(view, device, nowMs)
      : appliedToRelease(view, sight?.kind === 'FirmwareRelease' ? sight.release : undefined, nowMs);
  const said: readonly (readonly [type: string, said: Said | undefined])[] = [
    ['Applied', applied],
    ['Reconciling', applied.reason === 'InProgress' ? { ...applied, status: 'True' } : undefined],
    ['Stalled', applied.reason === reasonOf('HR-IV-002') ? { ...applied, status: 'True' } : undefined],
  ];
  let conditions: Condition[] = (view.status?.conditions ?? []).filter((old) =>
    said.some(([type, what]) => type === old.type && what !== undefined),
  );
  for (const [type, what] of said)
    if (what !== undefined) conditions = setCondition(conditions, { type, ...what, observedGeneration: view.generation }, now);
  const steps = stepsOf(view, device, applied, now);
  return { observedGeneration: view.generation, conditions, ...(steps.length === 0 ? {} : { steps }) };
}

function appliedCondition(view: InterventionView, device: DeviceSight | undefined, now: number): Said {
  if (isRotate(view)) return rotated(view, device);
  const standing = standingOf(view);
  const what = `${view.action} of ${view.target.kind} ${view.target.name}`;
  if (standing === undefined) return no(reasonOf('HR-IV-002'), explain('HR-IV-002', what));
  if (!holds(standing, now)) return no('Expired', `the ${view.action} ended at ${view.expires ?? ''}`);
  if (device === undefined) return no(reasonOf('HR-IV-001'), explain('HR-IV-001', `${view.target.kind} ${view.target.name}`));
  const wanted = standing.action === 'Revoke' ? 'Revoked' : 'Quarantined';
  const shown = findCondition(device.conditions, wanted);
  // A revoked Device is quarantined and more.
  const revoked = findCondition(device.conditions, 'Revoked');
  if (shown?.status === 'True') return yes(wanted, `the Device is ${wanted}`);
  if (standing.action === 'Quarantine' && revoked?.status === 'True') return yes('Revoked', 'the Device is revoked, which is stricter');
  return no('InProgress', shown?.message ?? `waiting until ledger and broker show that the Device is ${wanted}`);
}

/** Routine: done with the new certificate. Compromised: done when the old ones are of no use anywhere; the new key is the device's part, and may take its time. */
function rotated(view: InterventionView, device: DeviceSight | undefined): Said {
  if (device === undefined) return no(reasonOf('HR-IV-001'), explain('HR-IV-001', `${view.target.kind} ${view.target.name}`));
  const done = new Set(stepsDone(view, device.rotation).map(({ step }) => step));
  const renewed = done.has('Certificate');
  if (!view.compromised)
    return renewed
      ? yes('Rotated', 'the device has a new certificate')
      : no('InProgress', 'the renewal window is open; waiting until the device has a new certificate');
  if (!done.has('Ledger') || !done.has('Broker'))
    return no('InProgress', 'waiting until ledger and broker show that the certificates of the old key are revoked');
  return yes(
    'KeyGivenUp',
    renewed ? 'the old key is given up and the device has a new one' : 'the old key is given up; the device needs a new one',
  );
}

/** History: a step keeps the time at which it was first seen, and is never a reason to skip work. */
function stepsOf(view: InterventionView, device: DeviceSight | undefined, applied: Said, now: string): Steps {
  const seen: Steps = [];
  if (view.action === 'Revoke') seen.push(...(device?.revocationSteps ?? []).map(({ step, at }) => ({ step, at })));
  if (isRotate(view)) seen.push(...stepsDone(view, device?.rotation));
  if (applied.status === 'True') seen.push({ step: 'Applied', at: now });
  if (applied.reason === 'Expired') seen.push({ step: 'Ended', at: now });
  const before = view.status?.steps ?? [];
  const all = new Map([...seen, ...before].map(({ step, at }) => [step, { step, at }]));
  return [...all.values()].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

const yes = (reason: string, message: string): Said => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Said => ({ status: 'False', reason, message });
