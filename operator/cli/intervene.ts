// An Intervention made as the person at the shell, and watched until the world shows it.
import type { Device } from '../api/device.ts';
import type { Intervention } from '../api/intervention.ts';
import { API_VERSION, DEVICES, INTERVENTIONS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden, KubeError } from '../kube/errors.ts';
import type { ObjectRef } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import { findCondition } from '../runtime/conditions.ts';
import { printable } from './adoption-text.ts';
import type { Output } from './command.ts';
import { inSeconds } from './device-row.ts';
import { CliError } from './errors.ts';

/** What was asked for stands, but the world does not show it, or nobody can see whether it does. */
export const NOT_SEEN = 3;

export type Act = {
  action: 'Revoke' | 'Quarantine' | 'Rotate';
  device: ObjectRef & { namespace: string };
  reason: string;
  /** RFC 3339 */
  expires: string | undefined;
  /** Rotate: the key is in other hands. */
  compromised?: boolean;
  /** How long to wait for `Applied`; undefined: not at all. */
  waitMs: number | undefined;
  json: boolean;
};

type Deps = { client: Pick<KubeClient, 'get' | 'create' | 'raw'>; clock: Clock; output: Output };

/** Needs one right, create on interventions; with get on them it can also tell what came of it. */
export async function intervene(deps: Deps, act: Act): Promise<number> {
  await refuseUnknown(deps.client, act.device);
  const requestedBy = await whoAsks(deps.client);
  const startedAt = deps.clock.elapsed();
  const made = await deps.client.create<Intervention>(INTERVENTIONS, manifest(act, requestedBy));
  const name = made.metadata.name ?? '';
  const { action, device } = act;
  if (!act.json)
    deps.output.out(`${action} of ${device.namespace}/${device.name} asked for by ${printable(requestedBy)}: intervention ${name}\n`);
  const seen = act.waitMs === undefined ? { last: made, end: 'not waited' as const } : await untilApplied(deps, made, act, startedAt);
  if (act.json) deps.output.out(`${JSON.stringify(seen.last, undefined, 2)}\n`);
  return conclude(deps, act, name, seen, (deps.clock.elapsed() - startedAt) / 1000);
}

/** A name that is mistyped would be an Intervention that waits for a Device of that name. Who may not read Devices is believed. */
async function refuseUnknown(client: Deps['client'], device: Act['device']): Promise<void> {
  const found = await client.get<Device>(DEVICES, device).catch((error: unknown) => {
    if (isForbidden(error)) return 'unreadable' as const;
    throw error;
  });
  if (found === undefined) throw new CliError('HR-CLI-005', `${device.namespace}/${device.name}`);
}

/** The API server insists that `requestedBy` is the user who asks (HR-API-012); everybody may ask who that is. */
export async function whoAsks(client: Pick<KubeClient, 'raw'>): Promise<string> {
  const review = await client.raw('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  });
  const username = (review as { status?: { userInfo?: { username?: unknown } } } | undefined)?.status?.userInfo?.username;
  if (typeof username !== 'string' || username === '') throw new CliError('HR-CLI-003', 'the review of who you are names no user');
  return username;
}

function manifest({ action, device, reason, expires, compromised }: Act, requestedBy: string): Intervention {
  return {
    apiVersion: API_VERSION,
    kind: INTERVENTIONS.kind,
    metadata: { generateName: `${device.name}-${action.toLowerCase()}-`, namespace: device.namespace },
    spec: {
      target: { kind: 'Device', name: device.name },
      ...{ action, requestedBy, reason },
      ...(expires === undefined ? {} : { expires }),
      ...(compromised === true ? { compromised } : {}),
    },
  };
}

type Seen = { last: Intervention; end: 'applied' | 'not waited' | 'late' | 'unreadable' | 'gone' | 'no target' };

/** Steps are printed as they come, with the operator's time of each. What was asked for stands: an API server that is away for a while ends nothing. */
async function untilApplied({ client, clock, output }: Deps, made: Intervention, act: Act, startedAt: number): Promise<Seen> {
  const ref = { name: made.metadata.name ?? '', namespace: act.device.namespace };
  const printed = new Set<string>();
  let last = made;
  for (;;) {
    const now = await client.get<Intervention>(INTERVENTIONS, ref).catch((error: unknown) => {
      if (isForbidden(error)) return 'unreadable' as const;
      if (error instanceof KubeError) return last;
      throw error;
    });
    if (now === undefined) return { last, end: 'gone' };
    if (now === 'unreadable') return { last, end: 'unreadable' };
    last = now;
    for (const { step, at } of now.status?.steps ?? []) {
      if (printed.has(step)) continue;
      printed.add(step);
      if (!act.json) output.out(`  ${step.padEnd(10)} ${inSeconds(at)}\n`);
    }
    const applied = findCondition(now.status?.conditions, 'Applied');
    if (applied?.status === 'True') return { last, end: 'applied' };
    if (applied?.reason === 'TargetNotFound') return { last, end: 'no target' };
    if (clock.elapsed() - startedAt >= (act.waitMs ?? 0)) return { last, end: 'late' };
    await clock.sleep(LOOK_EVERY_MS);
  }
}

const LOOK_EVERY_MS = 200;

const DONE: Record<Act['action'], string> = {
  Revoke: 'ledger and broker show it',
  Quarantine: 'ledger and broker show it',
  Rotate: 'the device has its new certificate',
};

function conclude({ output }: Deps, act: Act, name: string, { last, end }: Seen, seconds: number): number {
  const { name: device, namespace } = act.device;
  const look = `kubectl get intervention ${name} -n ${namespace}`;
  switch (end) {
    case 'applied':
      if (!act.json) output.out(`done: ${DONE[act.action]} ${seconds.toFixed(1)} s after it was asked for\n`);
      return 0;
    case 'not waited':
      if (!act.json) output.out(`not waited for; see ${look}\n`);
      return 0;
    case 'unreadable':
      output.err(`It holds, but your user may not get interventions in ${namespace}, so nobody can say here when it is done.\n`);
      return NOT_SEEN;
    case 'gone':
      output.err(`Somebody deleted intervention ${name}.${act.action === 'Revoke' ? ' What was revoked by then stays revoked.' : ''}\n`);
      return NOT_SEEN;
    case 'no target':
      output.err(
        `There is no Device ${device} in ${namespace}. The intervention holds as soon as there is one; to take it back: kubectl delete intervention ${name} -n ${namespace}\n`,
      );
      return NOT_SEEN;
    case 'late': {
      const applied = findCondition(last.status?.conditions, 'Applied');
      const why = applied === undefined ? 'no operator has looked at it: see whether one runs' : printable(applied.message);
      output.err(`Not done after ${seconds.toFixed(0)} s: ${why}. It stands and goes on by itself; see ${look}\n`);
      if (applied === undefined && (act.action !== 'Rotate' || act.compromised === true))
        output.err('With no operator running, docs/guides/revoke-with-the-operator-down.md says how to shut the device out at once.\n');
      return NOT_SEEN;
    }
  }
}
