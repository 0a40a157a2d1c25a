// What the cache keeps of an Intervention.
import type { Intervention, InterventionStatus } from '../api/intervention.ts';
import { type Key, keyOf, keyOfRef } from '../kube/object.ts';
import type { Projected } from '../kube/store.ts';
import type { Standing } from './effective.ts';

export type InterventionView = Projected & {
  namespace: string;
  name: string;
  generation: number;
  target: { kind: string; name: string };
  action: string;
  requestedBy: string;
  reason: string;
  createdAt: string;
  expires: string | undefined;
  compromised: boolean;
  /** Of an Approve: what exactly. */
  approve: { wave: string; digest: string; generation: number } | undefined;
  status: InterventionStatus | undefined;
};

export function interventionView({ metadata, spec, status }: Intervention): InterventionView {
  return {
    key: keyOf({ metadata }),
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    generation: metadata.generation ?? 0,
    target: { kind: spec.target.kind, name: spec.target.name },
    action: spec.action,
    requestedBy: spec.requestedBy,
    reason: spec.reason,
    createdAt: metadata.creationTimestamp ?? '',
    expires: spec.expires,
    compromised: spec.compromised === true,
    approve: spec.approve,
    status,
  };
}

/** `<namespace>/<device>` of an intervention on a Device. */
export function deviceKeyOf(view: InterventionView): Key | undefined {
  return view.target.kind === 'Device' ? keyOfRef({ namespace: view.namespace, name: view.target.name }) : undefined;
}

/** `<namespace>/<release>` of an intervention on a FirmwareRelease. */
export function releaseKeyOf(view: InterventionView): Key | undefined {
  return view.target.kind === 'FirmwareRelease' ? keyOfRef({ namespace: view.namespace, name: view.target.name }) : undefined;
}

/** A Rotate of a Device. */
export function isRotate(view: InterventionView): boolean {
  return view.target.kind === 'Device' && view.action === 'Rotate';
}

/** `undefined` for what makes a Device no stricter. An end that cannot be read is none: it stays strict. */
export function standingOf(view: InterventionView): Standing | undefined {
  const { action } = view;
  if (view.target.kind !== 'Device' || (action !== 'Quarantine' && action !== 'Revoke')) return undefined;
  const expiresAt = view.expires === undefined ? Number.NaN : Date.parse(view.expires);
  return {
    name: view.name,
    action,
    requestedBy: view.requestedBy,
    reason: view.reason,
    createdAt: view.createdAt,
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
  };
}
