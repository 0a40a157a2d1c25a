// From bytes of a device to an accepted message, or to a refusal: topic and identity ▸ size ▸ decode ▸ envelope ▸ schema ▸ readings ▸ the core. What was accepted is
// acknowledged when it is on disk, what was refused at once: it would be refused again.
import { egressAt } from '../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Core } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';
import { jsonOf } from '../egress/raw.ts';
import type { GatewayCode } from '../errors.ts';
import { readEnvelope } from '../replay/envelope.ts';
import { decode } from './decode.ts';
import { readingsOf } from './readings.ts';
import type { Route, Routes } from './routes.ts';

/** What became of a message of a device. */
export type Seen = { kind: 'message'; bytes: number } | { kind: 'refused'; code: GatewayCode; bytes: number };

export type IntakeOptions = {
  routes: Routes;
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
  /** Rejects when what was accepted could not be written: memory is ahead of the disk then, and only a new start brings the two together. */
  readonly failed: Promise<never>;
};

type Waiting = { promise: Promise<void>; settled: (() => void)[] };

export function createIntake({ routes, core, append, seen, clock }: IntakeOptions): Intake {
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

  return {
    offer(topic, payload, ticket, settle) {
      const route = routes.of(topic);
      const nowMs = clock.now();
      const event = 'code' in route ? route.code : accept(route, payload, nowMs);
      const refused = typeof event === 'string' ? event : core.offer(event);
      const { device, segment } = 'code' in route ? route : { device: route.device, segment: route.segment.name };
      const bytes = payload.length;
      if (typeof event === 'string' || refused !== undefined) {
        const code = typeof event === 'string' ? event : (refused as GatewayCode);
        seen(device, segment, { kind: 'refused', code, bytes }, nowMs);
        settle(ticket, code);
        return;
      }
      seen(device, segment, { kind: 'message', bytes }, nowMs);
      whenCertain(append(event), () => settle(ticket));
    },
    settled: async () => await open?.promise,
    failed: failure.promise,
  };
}

function accept({ device, segment, stream, group, isFit }: Route, payload: Buffer, heardMs: number): Accepted | GatewayCode {
  if (payload.length > segment.maxBytes) return 'HR-GW-305';
  const value = decode(payload);
  if (value === undefined) return 'HR-GW-306';
  const envelope = readEnvelope(value);
  if (typeof envelope === 'string') return envelope;
  if (isFit !== undefined && !isFit(envelope.m)) return 'HR-GW-307';
  const readings = readingsOf(envelope.m);
  if (readings === undefined) return 'HR-GW-308';
  const { boot, seq, ts, backfill } = envelope;
  const raw = egressAt(segment, heardMs) === 'Raw' ? { raw: jsonOf(envelope.m) } : undefined;
  return { kind: 'message', device, segment: segment.name, stream, group, boot, seq, atMs: ts, backfill, heardMs, readings, ...raw };
}
