// From bytes of a device to an accepted message, or to a refusal: topic and identity ▸ size ▸ decode ▸ envelope, or Sparkplug ▸ readings ▸ schema ▸ the core. What was accepted is
// acknowledged when it is on disk, what was refused at once: it would be refused again.
import { egressAt } from '../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Core } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';
import { jsonOf } from '../egress/raw.ts';
import type { GatewayCode } from '../errors.ts';
import { type Envelope, readEnvelope } from '../replay/envelope.ts';
import type { Births } from '../sparkplug/births.ts';
import { readPayload } from '../sparkplug/payload.ts';
import type { SparkplugTopic } from '../sparkplug/topic.ts';
import { decode } from './decode.ts';
import { readingsOf } from './readings.ts';
import type { Route, Routes } from './routes.ts';

/** What became of a message of a device. */
export type Seen = { kind: 'message'; bytes: number } | { kind: 'refused'; code: GatewayCode; bytes: number };

export type IntakeOptions = {
  routes: Routes;
  births: Pick<Births, 'read'>;
  core: Pick<Core, 'offer'>;
  /** Resolves when the event is on disk; the same promise for all events of a commit is best. */
  append(event: Accepted): Promise<void>;
  /** `device` and `segment` as the topic says; empty when it says neither. */
  seen(device: string, segment: string, what: Seen, nowMs: number): void;
  clock: Pick<Clock, 'now'>;
};

export type Intake = {
  /** `settle` is called once: with a code when it is refused, without one when it is on disk. Never when the disk fails: see `failed`. `payload` is not read later. */
  offer<T>(topic: string, payload: Buffer, ticket: T, settle: (ticket: T, refused?: GatewayCode) => void): void;
  /** Resolves when what was accepted so far is on disk and settled. */
  settled(): Promise<void>;
  /** Rejects when what was accepted could not be written, or only a part of the state has taken it: memory is ahead of the disk then, and only a new start brings the two together. */
  readonly failed: Promise<never>;
};

type Waiting = { promise: Promise<void>; settled: (() => void)[] };

export function createIntake({ routes, births, core, append, seen, clock }: IntakeOptions): Intake {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  /** Those of the commit that is being filled. */
  let open: Waiting | undefined;

  function whenCertain(promise: Promise<void>, settled: () => void): void {
    if (open?.promise === promise) {
      open.settled.push(settled);
      return;
    }
    const mine: Waiting = { promise, settled: [settled] };
    open = mine;
    promise.then(
      () => {
        if (open === mine) open = undefined;
        for (const settle of mine.settled) settle();
      },
      (error: unknown) => failure.reject(error),
    );
  }

  /** One that came again would be taken for a duplicate, and acknowledged though it is on no disk. */
  function taken(event: Accepted): GatewayCode | 'failed' | undefined {
    try {
      return core.offer(event);
    } catch (error) {
      failure.reject(error);
      return 'failed';
    }
  }

  return {
    offer(topic, payload, ticket, settle) {
      const route = routes.of(topic);
      const nowMs = clock.now();
      const found = 'code' in route ? route.code : accept(route, payload, nowMs, births);
      if (found === undefined) {
        settle(ticket);
        return;
      }
      const refused = typeof found === 'string' ? found : taken(found.event);
      if (refused === 'failed') return;
      const { device, segment } = 'code' in route ? route : { device: route.device, segment: route.segment.name };
      const bytes = payload.length;
      if (typeof found === 'string' || refused !== undefined) {
        const code = typeof found === 'string' ? found : (refused as GatewayCode);
        seen(device, segment, { kind: 'refused', code, bytes }, nowMs);
        settle(ticket, code);
        return;
      }
      found.taken?.();
      seen(device, segment, { kind: 'message', bytes }, nowMs);
      whenCertain(append(found.event), () => settle(ticket));
    },
    settled: async () => await open?.promise,
    failed: failure.promise,
  };
}

/** `taken` is called when the core has taken the event. */
type Found = { event: Accepted; taken?: () => void };
type Said = Envelope & { taken?: () => void };

/** Undefined: there is nothing to be said of it. */
function accept(route: Route, payload: Buffer, heardMs: number, births: IntakeOptions['births']): Found | GatewayCode | undefined {
  const { device, segment, stream, group, isFit, sparkplug } = route;
  if (payload.length > segment.maxBytes) return 'HR-GW-305';
  const said = sparkplug === undefined ? readEnveloped(payload) : readSparkplug(sparkplug, payload, births);
  if (typeof said !== 'object') return said;
  const { boot, seq, ts, backfill, m, taken } = said;
  // Before the schema: it looks at no more values than a message may have.
  const readings = readingsOf(m);
  if (readings === undefined || (isFit !== undefined && !isFit(m))) {
    // Its number is used up all the same: the next one comes after no gap. Of a birth that is refused nothing counts.
    if (sparkplug?.type.endsWith('DATA')) taken?.();
    return readings === undefined ? 'HR-GW-308' : 'HR-GW-307';
  }
  const raw = egressAt(segment, heardMs) === 'Raw' ? { raw: jsonOf(m) } : undefined;
  const event: Accepted = {
    ...{ kind: 'message', device, segment: segment.name, stream, group, boot, seq, atMs: ts, backfill, heardMs, readings },
    ...raw,
  };
  return taken === undefined ? { event } : { event, taken };
}

function readEnveloped(payload: Buffer): Said | GatewayCode {
  const value = decode(payload);
  return value === undefined ? 'HR-GW-306' : readEnvelope(value);
}

function readSparkplug(topic: SparkplugTopic, bytes: Buffer, births: IntakeOptions['births']): Said | GatewayCode | undefined {
  const payload = readPayload(bytes);
  if (typeof payload === 'string') return payload;
  const message = births.read(topic, payload);
  return typeof message === 'object' ? { ...message, backfill: false } : message;
}
