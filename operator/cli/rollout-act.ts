// An Intervention on a FirmwareRelease, made as the person at the shell: what it means is shown first.
import type { Intervention } from '../api/intervention.ts';
import { API_VERSION, FIRMWARE_RELEASES, INTERVENTIONS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../runtime/clock.ts';
import { printable } from './adoption-text.ts';
import type { Output } from './command.ts';
import { CliError } from './errors.ts';
import { NOT_SEEN, whoAsks } from './intervene.ts';
import { listInterventions, notFound } from './rollout-status.ts';
import { pausesOf, type Release, rolloutView, waveToApprove } from './rollout-view.ts';
import { facts } from './table.ts';

/** The answer to a question, as typed. */
export type Ask = (question: string) => Promise<string>;

export type RolloutAct =
  | { action: 'Pause'; expires: string | undefined }
  | { action: 'Approve'; wave: string | undefined }
  | { action: 'Abort' | 'Rollback' };
export type Asked = RolloutAct & { release: Place; reason: string; yes: boolean; json: boolean };

type Place = { name: string; namespace: string };
type Deps = {
  client: Pick<KubeClient, 'get' | 'create' | 'raw'>;
  clock: Clock;
  output: Output /** Undefined without a terminal. */;
  ask: Ask | undefined;
};

/** Gives the exit code. Throws where it is refused, before anything was made. */
export async function askFor(deps: Deps, asked: Asked): Promise<number> {
  const { client, output, clock } = deps;
  const release = await client.get<Release>(FIRMWARE_RELEASES, asked.release);
  if (release === undefined) throw notFound(asked);
  const requestedBy = await whoAsks(client);
  const more = asked.action === 'Approve' ? { approve: approvalOf(release, asked.wave, requestedBy) } : {};
  if (asked.action !== 'Pause') {
    output.err(consequences(asked.action, release, more.approve, clock.now()));
    await confirm(deps, asked);
  }
  const { name, namespace } = asked.release;
  const made = await client.create<Intervention>(INTERVENTIONS, {
    apiVersion: API_VERSION,
    kind: INTERVENTIONS.kind,
    metadata: { generateName: `${name}-${asked.action.toLowerCase()}-`, namespace },
    spec: {
      target: { kind: 'FirmwareRelease', name },
      ...{ action: asked.action, requestedBy, reason: asked.reason },
      ...more,
      ...(asked.action === 'Pause' && asked.expires !== undefined ? { expires: asked.expires } : {}),
    },
  });
  if (asked.json) output.out(`${JSON.stringify(made, undefined, 2)}\n`);
  else {
    output.out(`${asked.action} of ${namespace}/${name} asked for by ${printable(requestedBy)}: intervention ${made.metadata.name}\n`);
    output.out(`see what comes of it: kubectl hedgerow rollout status ${name} -n ${namespace} -w\n`);
  }
  return 0;
}

/** What the release shows now is approved, and nothing else: throws where that could not count. */
function approvalOf(release: Release, wanted: string | undefined, by: string): NonNullable<Intervention['spec']['approve']> {
  const { spec, status, metadata } = release;
  const wave = wanted ?? waveToApprove(release);
  if (wave === undefined)
    throw new CliError('HR-CLI-093', `${metadata.namespace}/${metadata.name} is ${status?.phase ?? 'not looked at yet'}`);
  if (!spec.rollout.waves.some(({ name }) => name === wave)) throw new CliError('HR-CLI-097', printable(wave));
  if (spec.author === undefined) throw new CliError('HR-CLI-094', 'the release has no spec.author');
  if (spec.author === by) throw new CliError('HR-CLI-094', `${printable(by)} is the author of the release`);
  const digest = status?.artifact?.manifestDigest;
  const { generation } = metadata;
  if (digest === undefined || generation === undefined || status?.observedGeneration !== generation)
    throw new CliError(
      'HR-CLI-095',
      `generation ${generation ?? '?'} of the release, of which the operator has seen ${status?.observedGeneration ?? 'none'}`,
    );
  return { wave, digest, generation };
}

function consequences(
  action: 'Approve' | 'Abort' | 'Rollback',
  release: Release,
  approve: Intervention['spec']['approve'],
  now: number,
): string {
  const { counts, gate, wayBack, digest, signers, version, component } = rolloutView(release, [], now);
  const { confirmed = 0, inFlight = 0, waiting = 0 } = counts;
  const noWay = wayBack?.possible === false ? `none: ${wayBack.reason ?? 'the operator gave no reason'}` : undefined;
  const means = {
    Approve: `wave ${approve?.wave} may begin`,
    Abort: `${inFlight} devices at work are told to stop, ${waiting} are not asked any more; ${confirmed} have it and keep it. For good`,
    Rollback:
      noWay === undefined
        ? `${confirmed} devices that have it start what they ran before; ${inFlight} at work are told to stop. For good`
        : `the release is stopped, ${inFlight} devices at work are told to stop; ${confirmed} have it and cannot go back. For good`,
  };
  return facts([
    [
      'release',
      `${release.metadata.namespace}/${release.metadata.name} (${component} ${version}), generation ${release.metadata.generation}`,
    ],
    ['statement', digest === undefined ? 'not verified' : `${digest}, signed by ${signers} release keys`],
    ['author', action === 'Approve' ? release.spec.author : undefined],
    ['gate', action === 'Approve' && gate !== undefined ? `wave ${gate.wave}: ${gate.says}` : undefined],
    ['way back', action === 'Abort' ? undefined : (noWay ?? (wayBack === undefined ? 'not known' : 'yes'))],
    ['it means', means[action]],
  ]);
}

async function confirm({ ask }: Deps, { yes, action }: Asked): Promise<void> {
  if (yes) return;
  if (ask === undefined) throw new CliError('HR-CLI-096', 'there is no terminal to ask on');
  const answer = (await ask(`${action}? Type yes: `)).trim();
  if (answer !== 'yes') throw new CliError('HR-CLI-096', `the answer was "${printable(answer)}"`);
}

export async function resumeRelease(
  { client, clock, output }: { client: Pick<KubeClient, 'get' | 'list' | 'delete'>; clock: Clock; output: Output },
  place: Place,
): Promise<number> {
  const release = await client.get<Release>(FIRMWARE_RELEASES, place);
  if (release === undefined) throw notFound({ release: place });
  const pauses = pausesOf(await listInterventions(client, place), clock.now());
  for (const { metadata, spec } of pauses) {
    const options = metadata.uid === undefined ? {} : { uid: metadata.uid };
    await client.delete(INTERVENTIONS, { name: metadata.name ?? '', namespace: place.namespace }, options);
    output.out(`ended: pause ${metadata.name} of ${printable(spec.requestedBy)}: ${printable(spec.reason)}\n`);
  }
  if (release.spec.rollout.paused === true) {
    output.out('still paused by the manifest: set spec.rollout.paused to false there\n');
    return NOT_SEEN;
  }
  if (pauses.length === 0) output.out(`nothing to end: nobody has paused ${place.namespace}/${place.name} by hand\n`);
  return 0;
}
