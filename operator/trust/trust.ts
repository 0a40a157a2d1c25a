// The door of the trust room: by which CAs devices know the broker. New anchors reach them first, signed; the broker switches when enough have confirmed.
import { CONFIG_MAPS } from '../api/resources.ts';
import type { Retained } from '../broker/broker.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Outcome } from '../runtime/outcome.ts';
import { jittered, type Random } from '../runtime/random.ts';
import { type Anchors, readAnchors } from './anchors.ts';
import { createConfirmations } from './confirmations.ts';
import { type Decision, decide } from './decide.ts';
import { explain, type Problem } from './errors.ts';
import { readAnchorFiles } from './files.ts';
import { announcement } from './material.ts';
import { ANCHORS_TOPIC, decode, digestOf, type Message } from './message.ts';
import { createReport } from './report.ts';
import { createServerCertificate, type ServerCertificate } from './server-certificate.ts';
import { createState, FORCE_KEY, MESSAGE_KEY, type State, type TrustStatus } from './state.ts';
import { stalled, summarise } from './summary.ts';

export type { TrustStatus } from './state.ts';

export type TrustOptions = {
  /** Folder with current.pem, next.pem, previous.pem, next-issuer, next-keys.pem. */
  anchorsDir: string;
  /** PEM, P-256. */
  keyFile: string;
  /** ConfigMap in the operator's namespace; it must be there. */
  state: string;
  /** 0 to 1. */
  switchShare: number;
  /** The cert-manager Certificate of the broker's server certificate. */
  certificate: { namespace: string; name: string } | undefined;
};

export type TrustDeps = {
  client: Pick<KubeClient, 'get' | 'mergePatch'>;
  namespace: string;
  options: TrustOptions;
  retained: Pick<Retained, 'list' | 'get' | 'put'>;
  /** `<device>.<namespace>` of each device that could connect now. Throws while that is not known. */
  fleet(): { inTouch: string[]; outOfTouch: string[] };
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

/** EMQX forgets retained messages when it restarts: a look this often puts the message back. */
const LOOK_MS = 15_000;
const ROTATING_MS = 5_000;
/** Nobody waits for confirmations then; the list of a large fleet is work for EMQX. */
const STEADY_COUNT_MS = 300_000;

/** Keeps the message at the broker, counts who confirmed it, and switches the broker's Certificate. */
export function createTrust(deps: TrustDeps): { controller: Controller } {
  const { clock, options } = deps;
  const log = deps.log.child({ room: 'trust' });
  const state = createState(deps.client, { namespace: deps.namespace, name: options.state });
  const certificates = options.certificate === undefined ? undefined : createServerCertificate(deps.client, options.certificate);
  const confirmations = createConfirmations(deps.retained);
  const report = createReport({ ...deps, log, state, name: options.state });
  let counted = { at: Number.NEGATIVE_INFINITY, digest: '', complete: true };

  /** Everything anew each time: files, ConfigMap, broker, Certificate. Gives the ms until the next. */
  async function pass(signal: AbortSignal): Promise<number> {
    const before = await state.read(signal);
    if (before === undefined) {
      report.missing({ code: 'HR-TRU-020', found: `there is no ConfigMap ${deps.namespace}/${options.state}` });
      return LOOK_MS;
    }
    const said = await announcement(options, before.message, clock.now());
    if ('problem' in said) {
      // What devices have stays in force, and comes back when the broker loses it.
      if (decode(before.message) !== undefined) await publish(before.message);
      await report.status(before, stalled(before.status, said.problem), said.problem, signal);
      return LOOK_MS;
    }
    const { message, text, anchors } = said;
    // Written down before anybody hears it: a sequence is never used twice.
    const held = text === before.message ? before : { ...before, ...(await state.write({ [MESSAGE_KEY]: text }, before, signal)) };
    await publish(text);
    await count(message, anchors, signal);
    await act(held, message, anchors, signal);
    return anchors.rotating || !counted.complete ? ROTATING_MS : LOOK_MS;
  }

  async function publish(text: string): Promise<void> {
    if ((await deps.retained.get(ANCHORS_TOPIC))?.toString('utf8') === text) return;
    await deps.retained.put(ANCHORS_TOPIC, text);
    log.info({ topic: ANCHORS_TOPIC }, 'the broker was given the message about server anchors');
  }

  async function count(message: Message, anchors: Anchors, signal: AbortSignal): Promise<void> {
    const digest = digestOf(message);
    const isDue = anchors.rotating || !counted.complete || counted.digest !== digest || clock.elapsed() >= counted.at + STEADY_COUNT_MS;
    if (!isDue) return;
    const { inTouch, outOfTouch } = deps.fleet();
    const complete = await confirmations.look(new Set([...inTouch, ...outOfTouch]), signal);
    counted = { complete, at: clock.elapsed(), digest };
  }

  async function act(before: State, message: Message, anchors: Anchors, signal: AbortSignal): Promise<void> {
    const digest = digestOf(message);
    const certificate = await certificates?.read(signal);
    const { rotating, nextIssuer } = anchors;
    const forced = before.force === digest;
    const { inTouch, outOfTouch } = deps.fleet();
    const decision = decide({
      ...{ rotating, nextIssuer, forced, certificate, share: options.switchShare },
      ...{ fleet: inTouch, outOfTouch },
      confirmed: confirmations.confirmed(message),
      switchedBefore: before.status.switchedFor === digest,
    });
    if (decision.act === 'switch' && nextIssuer !== undefined && certificate !== undefined) {
      await certificates?.switchTo(nextIssuer, certificate, signal);
      log.info({ certificate: options.certificate, nextIssuer, forced }, "the broker's Certificate was switched to the next issuer");
    }
    const switchedFor = decision.act === 'switch' ? digest : before.status.switchedFor;
    const problem = problemOf(decision, certificate);
    const status = summarise({ decision, message, forced, problem, switchedFor, share: options.switchShare });
    await report.status(before, status, problem, signal);
  }

  function problemOf({ phase }: Decision, found: ServerCertificate | undefined): Problem | undefined {
    if (phase === 'SwitchUndone') return { code: 'HR-TRU-022' };
    const { certificate } = options;
    if (phase === 'Steady' || certificate === undefined || found !== undefined) return undefined;
    return { code: 'HR-TRU-021', found: `there is no Certificate ${certificate.namespace}/${certificate.name}` };
  }

  /** A failure waits no longer than a look does; the queue's own back-off grows to a quarter of an hour. */
  async function reconcile(signal: AbortSignal): Promise<Outcome> {
    const afterMs = await pass(signal).catch((err: unknown) => {
      if (!signal.aborted) log.warn({ err }, 'server anchors could not be brought up to date; it is tried again');
      return ROTATING_MS;
    });
    return { kind: 'requeue', afterMs: jittered(afterMs, 0.2, deps.random), reason: 'level-triggered' };
  }

  const controller = createController({
    ...{ name: 'trust', concurrency: 1, clock, log, metrics: deps.metrics },
    reconcile: (_key, ctx) => reconcile(ctx.signal),
  });
  controller.queue.add('pass');
  return { controller };
}

/** For a person: how the rotation stands, and whether somebody has forced it. Undefined when no operator has written it. */
export async function readTrust(
  client: Pick<KubeClient, 'get' | 'mergePatch'>,
  ref: { namespace: string; name: string },
): Promise<{ status: TrustStatus; forced: boolean } | undefined> {
  const state = await createState(client, ref).read(NEVER);
  if (state === undefined || state.status.phase === undefined) return undefined;
  return { status: state.status as TrustStatus, forced: state.force === state.status.digest };
}

/** A person lets the broker switch for this set, whoever is missing. */
export async function writeForce(
  client: Pick<KubeClient, 'mergePatch'>,
  ref: { namespace: string; name: string },
  { digest, reason }: { digest: string; reason: string },
): Promise<void> {
  await client.mergePatch(CONFIG_MAPS, ref, { data: { [FORCE_KEY]: digest, [`${FORCE_KEY}-reason`]: reason } });
}

const NEVER = new AbortController().signal;

/** What /cacerts of the EST server gives beside the CAs of the devices: DER. Rejects with a sentence for a person. */
export async function serverAnchors(dir: string, now: number): Promise<readonly Buffer[]> {
  const read = readAnchors(await readAnchorFiles(dir), now);
  if (!read.ok) throw new Error(explain(read.problem));
  return read.anchors.trusted;
}
