// The door of the limits room: devices above the limits of their segment, by what the broker counts, and those whose gateway asks for their quarantine. What the
// broker counts is read with its list of clients; nothing is asked beside it.
import { Counter } from 'prom-client';
import { ASK_FOLLOWED_MS, type Ask } from '../api/gateway-asks.ts';
import type { Intervention } from '../api/intervention.ts';
import { deviceName, segmentName } from '../api/names.ts';
import { apiVersionOf, DEVICES, INTERVENTIONS } from '../api/resources.ts';
import type { ClientSeen, Counted } from '../broker/broker.ts';
import { whoAmI } from '../identity/identity.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists } from '../kube/errors.ts';
import { type Key, keyOfRef } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import { watchAsks as watch } from './ask-watch.ts';
import { type Made, spent, WINDOW_MS } from './budget.ts';
import { type Cause, causeOfAsk, causeOfOver, sentence } from './cause.ts';
import { explain, type LimitCode, reasonOf } from './errors.ts';
import { MEASURED, Meter, type LimitVerdict as MeterVerdict, type Readings, type Watched } from './meter.ts';
import { quarantineName, respond, wordOf } from './response.ts';

export const watchAsks = watch;

/** What a SegmentPolicy in force says of the use of the broker. */
export type Rules = { limits: Partial<Record<string, string>> | undefined; triggers: readonly string[] };

/** Hints: some may be missing. */
export type Told = { readonly denied: number; readonly connected: number };

/** What this room needs to know of a Device. */
export type DeviceOfLimits = { key: Key; uid: string; name: string; namespace: string; segment: string; saysLimitExceeded: boolean };

/** A Quarantine of a Device that somebody asked for. */
export type QuarantineOf = { name: string; namespace: string; device: string; requestedBy: string; createdAt: string };

export type LimitsDeps = {
  client: Pick<KubeClient, 'create' | 'raw'>;
  devices: {
    count(): number;
    all(): Iterable<DeviceOfLimits>;
    get(key: Key): DeviceOfLimits | undefined;
    /** How many Devices a segment (`<namespace>/<segment>`) has. */
    countOf(segment: Key): number;
    lifecycle(key: Key): 'Active' | 'Quarantined' | 'Revoked' | undefined;
  };
  /** How often the broker told of a client since the process began; undefined where it tells nothing. */
  events: { totals(client: string): Told } | undefined;
  /** Of `<namespace>/<segment>`; undefined where no policy is in force. */
  rules(segment: Key): Rules | undefined;
  interventions: {
    named(namespace: string, name: string): QuarantineOf | 'another' | undefined;
    quarantinesBy(user: string): QuarantineOf[];
  };
  /** The status of this Device has to say something else. */
  wake(device: Key): void;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

/** `unknown`: what was said before stands. */
export type LimitVerdict = { is: 'unknown' } | { is: 'within' } | { is: 'over'; reason: string; message: string };

export type Limits = {
  /** The broker was looked at: who was there, and what it had counted of them. */
  looked(clients: ReadonlyMap<string, ClientSeen>): void;
  /** Where a Device stands, by `<device>.<namespace>`. */
  verdict(client: string): LimitVerdict;
  /** The gateway of its site asks for the quarantine of a device. */
  asked(device: Key, ask: Ask): void;
  /** Quarantines those for whom a policy asks for it; to be run while this process leads. */
  controller: Controller;
};

/** A firmware that was not told of a right that went is denied now and then; one that tries topic after topic, more often. */
const DENIALS_BORNE = '30/m';

export function createLimits(deps: LimitsDeps): Limits {
  const { client, devices, clock, log, metrics } = deps;
  const meter = new Meter();
  /** Found above a limit, or asked for by a gateway, and not dealt with yet. */
  const found = new Map<Key, { cause: Cause; untilMs: number }>();
  /** Made by this process: the cache shows them in a moment, and none that somebody takes away is forgotten within the window. */
  const made = new Map<string, { device: Key; atMs: number }>();
  /** Said in an Event once for as long as it is above its limit; of what gateways ask, once in an hour. */
  const told = new Map<string, { code: LimitCode; isLimit: boolean; atMs: number }>();
  /** Denials of devices that were Active, of all that were told. */
  let denied = new Map<string, { seen: number; counted: number; active: boolean }>();
  let self: string | undefined;
  const counters = countersOf(metrics);

  function looked(clients: ReadonlyMap<string, ClientSeen>): void {
    const watched = new Map<string, { watched: Watched; device: DeviceOfLimits }>();
    const bySegment = new Map<Key, Watched['limits'] | undefined>();
    for (const device of devices.all()) {
      const segment = segmentKeyOf(device);
      const limits = bySegment.has(segment) ? bySegment.get(segment) : measuredOf(deps.rules(segment));
      bySegment.set(segment, limits);
      if (limits === undefined && !device.saysLimitExceeded) continue;
      const name = deviceName(device.name, device.namespace);
      watched.set(name, { watched: { name, limits: limits ?? {}, saysOver: device.saysLimitExceeded }, device });
    }
    const denials = countDenials(
      [...watched.values()].flatMap(({ watched: one, device }) => (one.limits.denials === undefined ? [] : [device])),
    );
    const { flips, fresh } = meter.look(
      clock.elapsed(),
      (name) => readingsOf(clients.get(name)?.counted, deps.events?.totals(name), denials.get(name)),
      [...watched.values()].map((one) => one.watched),
    );
    for (const name of flips) deps.wake(watched.get(name)?.device.key ?? '');
    for (const { name, ...over } of fresh) {
      const device = watched.get(name)?.device;
      if (device === undefined) continue;
      counters.excess.inc({ segment: segmentName(device.segment, device.namespace), limit: over.limit });
      found.set(device.key, { cause: causeOfOver(over), untilMs: Number.POSITIVE_INFINITY });
      controller.queue.add(device.key);
    }
    for (const [name, { isLimit }] of told) if (isLimit && meter.verdict(name).is !== 'over') told.delete(name);
  }

  /** A device that is shut is denied what it is used to say: that is no reason to shut it again when it is released. */
  function countDenials(of: readonly DeviceOfLimits[]): ReadonlyMap<string, number> {
    const before = denied;
    denied = new Map(
      of.map((device) => {
        const name = deviceName(device.name, device.namespace);
        const seen = deps.events?.totals(name).denied ?? 0;
        const was = before.get(name) ?? { seen: 0, counted: 0, active: true };
        const active = devices.lifecycle(device.key) === 'Active';
        return [name, { seen, active, counted: was.counted + (active && was.active ? seen - was.seen : 0) }];
      }),
    );
    return new Map([...denied].map(([name, { counted }]) => [name, counted]));
  }

  function asked(key: Key, ask: Ask): void {
    const device = devices.get(key);
    if (device?.uid !== ask.uid) {
      log.warn({ device: key, problem: explain('HR-LIM-003', 'it names no Device that is there') }, 'a gateway is not followed');
      return;
    }
    // A process that does not lead hears of it too, and may lead an hour later.
    found.set(key, { cause: causeOfAsk(ask), untilMs: ask.atMs + ASK_FOLLOWED_MS });
    controller.queue.add(key);
  }

  async function reconcile(key: Key, ctx: ReconcileContext): Promise<Outcome> {
    const one = found.get(key);
    const device = devices.get(key);
    if (one === undefined || device === undefined || clock.now() >= one.untilMs) {
      found.delete(key);
      return done;
    }
    self ??= await whoAmI(client, ctx.signal);
    const response = respond({ ...situationOf(device, self), cause: one.cause });
    if (response.do === 'tell') tell(device, response, one.cause.isLimit);
    if (response.do === 'quarantine') await quarantine(device, response, self, ctx.signal);
    if (found.get(key) === one) found.delete(key);
    return done;
  }

  function situationOf(device: DeviceOfLimits, user: string) {
    const segment = segmentKeyOf(device);
    const named = deps.interventions.named(device.namespace, quarantineName(device.name));
    const isOurs = named !== undefined && named !== 'another' && named.device === device.name && named.requestedBy === user;
    return {
      device: device.name,
      segment: device.segment,
      triggers: deps.rules(segment)?.triggers ?? [],
      lifecycle: devices.lifecycle(device.key) ?? 'Active',
      standing: named === undefined ? undefined : isOurs ? ('ours' as const) : ('another' as const),
      spent: spent({
        nowMs: clock.now(),
        // A device that comes again takes no other place: the budget counts devices.
        made: madeBy(user).filter((one) => one.device !== device.key),
        segment,
        devicesOfSegment: devices.countOf(segment),
        devicesOfFleet: devices.count(),
      }),
    };
  }

  /** What the API server shows, and what this process made itself. */
  function madeBy(user: string): Made[] {
    for (const [id, { atMs }] of made) if (clock.now() - atMs >= WINDOW_MS) made.delete(id);
    const seen = deps.interventions
      .quarantinesBy(user)
      .map((one): [string, { device: Key; atMs: number }] => [
        keyOfRef(one),
        { device: keyOfRef({ namespace: one.namespace, name: one.device }), atMs: Date.parse(one.createdAt) },
      ]);
    return [...new Map([...seen, ...made]).values()].map(({ device, atMs }) => {
      const now = devices.get(device);
      return { device, segment: now === undefined ? undefined : segmentKeyOf(now), atMs };
    });
  }

  async function quarantine(
    device: DeviceOfLimits,
    wanted: { name: string; reason: string },
    user: string,
    signal: AbortSignal,
  ): Promise<void> {
    const intervention = {
      apiVersion: apiVersionOf(INTERVENTIONS),
      kind: INTERVENTIONS.kind,
      metadata: { name: wanted.name, namespace: device.namespace },
      spec: { target: { kind: 'Device', name: device.name }, action: 'Quarantine', requestedBy: user, reason: wanted.reason },
    } as Intervention;
    try {
      await client.create<Intervention>(INTERVENTIONS, intervention, signal);
      counters.quarantines.inc({ segment: segmentName(device.segment, device.namespace), outcome: 'made' });
      log.warn({ device: device.key, why: wanted.reason }, 'a device was quarantined without a person');
    } catch (error) {
      // Made a moment ago, before a kill or by a request whose answer was lost: the cache shows it soon.
      if (!isAlreadyExists(error)) throw error;
    }
    made.set(keyOfRef({ namespace: device.namespace, name: wanted.name }), { device: device.key, atMs: clock.now() });
  }

  function tell(
    { uid, name, namespace, segment }: DeviceOfLimits,
    { code, message }: { code: LimitCode; message: string },
    isLimit: boolean,
  ): void {
    const client = deviceName(name, namespace);
    const before = told.get(client);
    if (before?.code === code && (isLimit || clock.now() - before.atMs < WINDOW_MS)) return;
    told.set(client, { code, isLimit, atMs: clock.now() });
    counters.quarantines.inc({ segment: segmentName(segment, namespace), outcome: 'refused' });
    deps.recorder.event(
      { apiVersion: apiVersionOf(DEVICES), kind: DEVICES.kind, name, namespace, uid },
      { type: 'Warning', reason: reasonOf(code), message, action: 'Quarantine' },
    );
  }

  // One at a time: each sees what the one before has spent.
  const controller = createController({ name: 'limit', concurrency: 1, reconcile, clock, log, metrics });

  return { looked, asked, verdict: (name) => said(meter.verdict(name)), controller };
}

function said(verdict: MeterVerdict): LimitVerdict {
  return verdict.is === 'over' ? { is: 'over', reason: wordOf(verdict.limit), message: sentence(verdict) } : verdict;
}

/** Undefined where nothing is written that the broker counts. */
function measuredOf(rules: Rules | undefined): Watched['limits'] | undefined {
  const { limits, triggers = [] } = rules ?? {};
  const written: Partial<Record<string, string | undefined>> = {
    ...limits,
    denials: triggers.includes('AuthorizationDenials') ? DENIALS_BORNE : undefined,
  };
  const entries = MEASURED.flatMap((name) => (written[name] === undefined ? [] : [[name, written[name]] as const]));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Undefined of a client of which nothing is counted now. */
function readingsOf(counted: Counted | undefined, told: Told | undefined, denials: number | undefined): Readings | undefined {
  if (counted === undefined && told === undefined) return undefined;
  return {
    ...(counted === undefined
      ? {}
      : { messages: { session: counted.since, count: counted.messages }, bytes: { session: counted.since, count: counted.bytes } }),
    ...(told === undefined ? {} : { connectRate: { session: TOLD, count: told.connected } }),
    ...(told === undefined || denials === undefined ? {} : { denials: { session: TOLD, count: denials } }),
  };
}

/** What is told is counted from the beginning of the process on. */
const TOLD = 'told';

const segmentKeyOf = ({ namespace, segment }: DeviceOfLimits): Key => keyOfRef({ namespace, name: segment });

function countersOf({ registry }: Metrics) {
  return {
    excess: new Counter({
      name: 'fleet_limit_excess_total',
      help: 'Times that a device was found above a limit of its segment, by what it had sent since the last time',
      labelNames: ['segment', 'limit'],
      registers: [registry],
    }),
    quarantines: new Counter({
      name: 'fleet_automatic_quarantines_total',
      help: 'Devices that a trigger of their segment was for, by what became of it: made, or refused (budget spent, name taken)',
      labelNames: ['segment', 'outcome'],
      registers: [registry],
    }),
  };
}
