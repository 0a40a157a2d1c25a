// `kubectl hedgerow release`: ends the quarantines that people made by hand, and says what keeps the device out besides.
import type { Device } from '../api/device.ts';
import type { Intervention } from '../api/intervention.ts';
import { DEVICES, INTERVENTIONS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden } from '../kube/errors.ts';
import type { ObjectRef } from '../kube/object.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { findCondition } from '../runtime/conditions.ts';
import { waitMs } from './acts.ts';
import { printable } from './adoption-text.ts';
import { withCluster } from './cluster.ts';
import type { Command, Output } from './command.ts';
import { CliError } from './errors.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, required, TEXT } from './flags.ts';
import { NOT_SEEN } from './intervene.ts';

export const release: Command = {
  words: ['release'],
  operand: 'DEVICE',
  summary: 'end the quarantines of a device that were made by hand; says when Git or a revocation still holds it',
  help: `usage: kubectl hedgerow release DEVICE [FLAG…]

Deletes the Interventions with action Quarantine on the device, and waits until it has its rights again. A quarantine in Git (spec.lifecycle) and a
revocation are not touched: it says so.

  --wait=false                 do not wait until the device has its rights again (default: true)
  --timeout DURATION           how long to wait (default: 1m)
${CLUSTER_HELP}
Your own rights are used: list and delete on interventions; with get on devices it can wait and knows what Git says.

Exit codes: 0 nothing holds the device any more; 1 it could not be done; 2 wrong use; 3 something else still holds it, or it was not seen released.
`,
  flags: { wait: TEXT, timeout: TEXT, ...CLUSTER_FLAGS },
  async run(values, output) {
    const patienceMs = waitMs(values);
    return withCluster(values, (client, namespace) =>
      releaseDevice({ client, clock: systemClock, output }, { name: required(values, 'DEVICE'), namespace }, patienceMs),
    );
  },
};

type Deps = { client: Pick<KubeClient, 'get' | 'list' | 'delete'>; clock: Clock; output: Output };
type Place = ObjectRef & { namespace: string };

export async function releaseDevice(deps: Deps, place: Place, patienceMs: number | undefined): Promise<number> {
  const { client, clock, output } = deps;
  const [device, found] = await Promise.all([deviceOf(client, place), interventionsOn(client, place)]);
  if (device === undefined && found.length === 0) throw new CliError('HR-CLI-005', `${place.namespace}/${place.name}`);
  const standing = found.filter(({ spec }) => spec.action === 'Quarantine' && !isOver(spec.expires, clock.now()));
  for (const { metadata, spec } of standing) {
    const options = metadata.uid === undefined ? {} : { uid: metadata.uid };
    await client.delete(INTERVENTIONS, { name: metadata.name ?? '', namespace: place.namespace }, options);
    output.out(`ended: intervention ${metadata.name} of ${printable(spec.requestedBy)}: ${printable(spec.reason)}\n`);
  }
  const holds = stillHeld(device === 'unreadable' ? undefined : device, found);
  for (const line of holds) output.out(`${line}\n`);
  if (holds.length > 0) return NOT_SEEN;
  if (device === 'unreadable') {
    output.err(`Your user may not get devices in ${place.namespace}, so nobody can say here whether Git still says Quarantined.\n`);
    return NOT_SEEN;
  }
  if (standing.length === 0) output.out(`nothing to end: no quarantine of ${place.namespace}/${place.name} was made by hand\n`);
  return patienceMs === undefined ? 0 : untilReleased(deps, place, patienceMs);
}

async function deviceOf(client: Deps['client'], place: Place): Promise<Device | 'unreadable' | undefined> {
  return client.get<Device>(DEVICES, place).catch((error: unknown) => {
    if (isForbidden(error)) return 'unreadable' as const;
    throw error;
  });
}

async function interventionsOn(client: Deps['client'], { name, namespace }: Place): Promise<Intervention[]> {
  const all = await client.list<Intervention>(INTERVENTIONS, { namespace, fieldSelector: `spec.target.name=${name}` });
  return all.filter(({ spec }) => spec.target.kind === 'Device' && spec.target.name === name);
}

/** An end that cannot be read is none: it stays strict. One that is over stays as well, for the audit. */
const isOver = (expires: string | undefined, now: number): boolean => expires !== undefined && Date.parse(expires) <= now;

/** What holds the device besides the quarantines made by hand, each with what ends it. */
export function stillHeld(device: Device | undefined, interventions: readonly Intervention[]): string[] {
  const revokes = interventions.filter(({ spec }) => spec.action === 'Revoke');
  return [
    ...(device?.spec.lifecycle === 'Quarantined' ? ['still quarantined by Git: set spec.lifecycle to Active in the manifest'] : []),
    ...(device?.spec.lifecycle === 'Revoked'
      ? ['revoked by Git: set spec.lifecycle to Active in the manifest and give the device a new key']
      : []),
    ...revokes.map(
      ({ metadata, spec }) =>
        `revoked by intervention ${metadata.name} of ${printable(spec.requestedBy)}: ${printable(spec.reason)}; to take the device back delete it and give the device a new key`,
    ),
  ];
}

async function untilReleased({ client, clock, output }: Deps, place: Place, patienceMs: number): Promise<number> {
  const startedAt = clock.elapsed();
  for (;;) {
    const device = await client.get<Device>(DEVICES, place);
    const conditions = device?.status?.conditions;
    const seconds = (clock.elapsed() - startedAt) / 1000;
    const ready = findCondition(conditions, 'Ready');
    if (findCondition(conditions, 'Quarantined') === undefined && ready?.reason !== 'Quarantined') {
      output.out(
        `released ${seconds.toFixed(1)} s after; Ready is ${ready?.status ?? 'not known'}${ready?.status === 'True' ? '' : ` (${ready?.reason ?? 'no operator has looked at it'})`}\n`,
      );
      return 0;
    }
    if (clock.elapsed() - startedAt >= patienceMs) {
      output.err(
        `Not seen released after ${seconds.toFixed(0)} s: the Device still says ${ready?.reason ?? 'Quarantined'}. It goes on by itself if an operator runs.\n`,
      );
      return NOT_SEEN;
    }
    await clock.sleep(LOOK_EVERY_MS);
  }
}

const LOOK_EVERY_MS = 200;
