// `kubectl hedgerow rollout status`: where a rollout is, what it waits for and what would let it go on; once or for as long as it runs.
import type { Intervention } from '../api/intervention.ts';
import { FIRMWARE_RELEASES, INTERVENTIONS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden } from '../kube/errors.ts';
import { keyOf } from '../kube/object.ts';
import { noKubeMetrics } from '../kube/ports.ts';
import { createReflector } from '../kube/reflector.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { systemRandom } from '../runtime/random.ts';
import { withCluster } from './cluster.ts';
import type { Command, Output } from './command.ts';
import { CliError } from './errors.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, OUTPUT_FLAG, required, wantsJson } from './flags.ts';
import { rolloutLine, rolloutText } from './rollout-text.ts';
import { type Release, type RolloutView, rolloutView } from './rollout-view.ts';
import { createScreen, type Size } from './screen.ts';

const FAILED = 1;
/** 128 + SIGINT, as shells have it. */
const INTERRUPTED = 130;

export const rolloutStatus: Command = {
  words: ['rollout', 'status'],
  operand: 'RELEASE',
  summary: 'where a rollout is, wave by wave, what it waits for and which command lets it go on',
  help: `usage: kubectl hedgerow rollout status RELEASE [-w] [FLAG…]

Prints the phase, what the rollout waits for and the command that lets it go on, how many devices have the release, the share of failures with its exact bounds, what
the gate still needs, whether there is a way back, the waves with their progress ([===x>>..]: = confirmed, x failed, > at work, . not yet), and a sample of failures.

  --watch, -w                  go on until the release has ended; on a terminal drawn anew, else a line for each change
  --output, -o json            the same for scripts (with --watch one object a line)
${CLUSTER_HELP}
Your own rights are used: get on firmwarereleases, with --watch also list and watch; with list on interventions it names who has paused it.

Exit codes: 0 done, with --watch: the release has completed; 1 it could not be read, with --watch: it failed, was aborted or superseded; 2 wrong use; 130 interrupted.
`,
  flags: { watch: { type: 'boolean', short: 'w' }, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  async run(values, output) {
    const json = wantsJson(values);
    return withCluster(values, async (client, namespace) => {
      const look: Look = { client, release: { name: required(values, 'RELEASE'), namespace }, json, clock: systemClock };
      if (values.watch !== true) return await showStatus(look, output);
      const stop = new AbortController();
      const interrupt = (): void => stop.abort(new Error('interrupted'));
      process.once('SIGINT', interrupt);
      try {
        return await watchStatus({ ...look, terminal: terminalOf(process.stdout) }, output, stop.signal);
      } finally {
        process.off('SIGINT', interrupt);
      }
    });
  },
};

export type Look = {
  client: Pick<KubeClient, 'get' | 'list' | 'listPage' | 'watch'>;
  release: { name: string; namespace: string };
  json: boolean;
  clock: Clock;
};

export async function showStatus(look: Look, { out }: Output): Promise<number> {
  const release = await look.client.get<Release>(FIRMWARE_RELEASES, look.release);
  if (release === undefined) throw notFound(look);
  const view = await viewOf(look, release);
  out(look.json ? `${JSON.stringify(view, undefined, 2)}\n` : rolloutText(view));
  return 0;
}

/** Until the release has ended or the signal aborts. What reads the same is not said again. */
export async function watchStatus(
  look: Look & { terminal: (() => Size) | undefined },
  { out }: Output,
  signal: AbortSignal,
): Promise<number> {
  const { release: place, json, terminal } = look;
  // A right that is missing and a name that is wrong are said at once; the reflector would try for ever.
  await look.client.listPage(FIRMWARE_RELEASES, { namespace: place.namespace, limit: 1 }, signal);
  if ((await look.client.get<Release>(FIRMWARE_RELEASES, place, signal)) === undefined) throw notFound(look);
  const draw = terminal === undefined ? undefined : createScreen(terminal);
  const line = (view: RolloutView): string => (json ? `${JSON.stringify(view)}\n` : `${rolloutLine(view)}\n`);
  let changed = Promise.withResolvers<void>();
  const reflector = createReflector({
    ...{ client: look.client, type: FIRMWARE_RELEASES, namespace: place.namespace, fieldSelector: `metadata.name=${place.name}`, project },
    ...{ clock: look.clock, random: systemRandom, log: silentLog, metrics: noKubeMetrics },
    onChange: () => changed.resolve(),
  });
  const ended = new AbortController();
  const running = reflector.run(AbortSignal.any([signal, ended.signal]));
  const interrupted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  try {
    await reflector.whenSynced(signal);
    for (let last = ''; ; ) {
      changed = Promise.withResolvers<void>();
      const known = reflector.store.get(`${place.namespace}/${place.name}`);
      if (known === undefined) throw new CliError('HR-CLI-092', `${place.namespace}/${place.name} was deleted`);
      const view = await viewOf(look, known.release);
      const text = draw === undefined || json ? line(view) : rolloutText(view);
      if (text !== last) out(draw === undefined || json ? text : draw(text));
      last = text;
      if (view.end !== undefined) return view.end === 'good' ? 0 : FAILED;
      // Who pauses is told by Interventions, and those are only looked at.
      await Promise.race([changed.promise, interrupted, look.clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)]);
      if (signal.aborted) return INTERRUPTED;
    }
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    throw error;
  } finally {
    ended.abort(new Error('nobody looks any more'));
    await running;
  }
}

const LOOK_EVERY_MS = 5_000;

const project = (release: Release) => ({
  ...{ key: keyOf(release), uid: release.metadata.uid ?? '', resourceVersion: release.metadata.resourceVersion ?? '' },
  release,
});

async function viewOf({ client, release: { name, namespace }, clock }: Look, release: Release): Promise<RolloutView> {
  return rolloutView(release, await interventionsOn(client, { name, namespace }), clock.now());
}

/** Who may not list them learns nothing of pauses, and everything else. */
async function interventionsOn(client: Look['client'], place: { name: string; namespace: string }): Promise<Intervention[]> {
  return await listInterventions(client, place).catch((error: unknown) => {
    if (isForbidden(error)) return [];
    throw error;
  });
}

export async function listInterventions(
  client: Pick<KubeClient, 'list'>,
  { name, namespace }: { name: string; namespace: string },
): Promise<Intervention[]> {
  const all = await client.list<Intervention>(INTERVENTIONS, { namespace, fieldSelector: `spec.target.name=${name}` });
  return all.filter(({ spec }) => spec.target.kind === 'FirmwareRelease' && spec.target.name === name);
}

export const notFound = ({ release }: Pick<Look, 'release'>): CliError =>
  new CliError('HR-CLI-092', `${release.namespace}/${release.name}`);

function terminalOf(stream: typeof process.stdout): (() => Size) | undefined {
  return stream.isTTY ? () => ({ columns: stream.columns, rows: stream.rows }) : undefined;
}
