// One leader by a Lease, as client-go's leaderelection does it: expiry is judged by how long we ourselves have seen no change, never by comparing clocks of two machines.
import { LEASES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from './clock.ts';
import { microTime } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Random } from './random.ts';

export type ElectionOptions = {
  client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  namespace: string;
  name: string;
  /** Unique for each process: the pod's name and something random. */
  identity: string;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Pick<Metrics, 'leader'>;
  leaseMs?: number;
  renewDeadlineMs?: number;
  retryMs?: number;
};

export interface Election {
  /** Resolves with true once this process leads, with false when the signal aborts first. */
  lead(signal: AbortSignal): Promise<boolean>;
  /** Keeps the Lease. Resolves with `lost` when it could not be renewed in time, with `stopped` when the signal aborts. From `lost` on this process must not write. */
  hold(signal: AbortSignal): Promise<'lost' | 'stopped'>;
  /** Gives the Lease back, so that a successor need not wait for it to expire. Only after everything that writes has ended. */
  release(): Promise<void>;
  /** Whether this process holds the Lease and has renewed it in time, by its own clock: also right in a process that was stopped and has just been woken. */
  isHeld(): boolean;
  /** `leaseTransitions`: a fencing token for records that outlive this process. */
  readonly transitions: number;
}

/** controller-runtime's defaults. */
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;
/** client-go's JitterFactor. */
const JITTER = 1.2;

type LeaseSpec = {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
};
type Lease = KubeObject & { spec?: LeaseSpec };

export function createElection(o: ElectionOptions): Election {
  const leaseMs = o.leaseMs ?? LEASE_MS;
  const renewDeadlineMs = o.renewDeadlineMs ?? RENEW_DEADLINE_MS;
  const retryMs = o.retryMs ?? RETRY_MS;
  const ref = { namespace: o.namespace, name: o.name };
  /** The Lease as last seen, and when its content last changed by our own clock. */
  let observed: { lease: Lease; at: number } | undefined;
  o.metrics.leader(o.name, false);

  /** One try to take or renew the Lease. */
  async function attempt(signal: AbortSignal): Promise<boolean> {
    // Taken before the request: the Lease counts from when we asked, not from when the answer came.
    const askedAt = o.clock.elapsed();
    if (observed?.lease.spec?.holderIdentity === o.identity && (await renew(observed.lease, askedAt, signal))) return true;
    const lease = await o.client.get<Lease>(LEASES, ref, signal);
    if (lease === undefined) {
      observed = { lease: await o.client.create<Lease>(LEASES, { metadata: { ...ref }, spec: specFor({}, true) }, signal), at: askedAt };
      return true;
    }
    if (observed === undefined || !sameRecord(observed.lease.spec, lease.spec)) observed = { lease, at: o.clock.elapsed() };
    const spec = lease.spec ?? {};
    const mine = spec.holderIdentity === o.identity;
    if (
      !mine &&
      (spec.holderIdentity ?? '') !== '' &&
      observed.at + (spec.leaseDurationSeconds ?? leaseMs / 1000) * 1000 > o.clock.elapsed()
    )
      return false;
    // The resourceVersion of the GET makes this a compare-and-swap: of two that see it expired, one wins.
    observed = { lease: await o.client.update<Lease>(LEASES, { ...lease, spec: specFor(spec, !mine) }, {}, signal), at: askedAt };
    return true;
  }

  /** One PUT on what we wrote last; false when somebody else wrote since. */
  async function renew(lease: Lease, askedAt: number, signal: AbortSignal): Promise<boolean> {
    try {
      observed = {
        lease: await o.client.update<Lease>(LEASES, { ...lease, spec: specFor(lease.spec ?? {}, false) }, {}, signal),
        at: askedAt,
      };
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }

  function specFor(before: LeaseSpec, taken: boolean): LeaseSpec {
    const now = microTime(o.clock.now());
    return {
      holderIdentity: o.identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      acquireTime: taken ? now : (before.acquireTime ?? now),
      renewTime: now,
      leaseTransitions: (before.leaseTransitions ?? 0) + (taken && before.holderIdentity !== undefined ? 1 : 0),
    };
  }

  /** A failure counts as "not this time"; half the renew deadline bounds each try (controller-runtime's client timeout). */
  async function tryOnce(signal: AbortSignal): Promise<boolean> {
    const bound = new AbortController();
    const stop = (): void => bound.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    const timer = o.clock.setTimer(renewDeadlineMs / 2, () => bound.abort(new Error('the Lease could not be read or written in time')));
    try {
      return await attempt(bound.signal);
    } catch (err) {
      if (!signal.aborted && !isConflict(err) && !isAlreadyExists(err))
        o.log.warn({ err, lease: o.name }, 'the Lease could not be read or written; it is tried again');
      return false;
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', stop);
    }
  }

  return {
    get transitions() {
      return observed?.lease.spec?.leaseTransitions ?? 0;
    },
    isHeld: () => observed?.lease.spec?.holderIdentity === o.identity && o.clock.elapsed() - observed.at < renewDeadlineMs,
    async lead(signal) {
      while (!signal.aborted) {
        if (await tryOnce(signal)) {
          o.metrics.leader(o.name, true);
          o.log.info({ lease: o.name, identity: o.identity }, 'this process leads');
          return true;
        }
        await o.clock.sleep(retryMs * (1 + JITTER * o.random()), signal).catch(() => undefined);
      }
      return false;
    },
    async hold(signal) {
      let renewedAt = observed?.at ?? o.clock.elapsed();
      while (!signal.aborted) {
        await o.clock.sleep(retryMs, signal).catch(() => undefined);
        if (signal.aborted) break;
        const renewed = await withinDeadline(o.clock, renewedAt + renewDeadlineMs, signal, tryOnce);
        if (renewed) renewedAt = observed?.at ?? o.clock.elapsed();
        else if (taken() || o.clock.elapsed() - renewedAt >= renewDeadlineMs) {
          o.metrics.leader(o.name, false);
          return 'lost';
        }
      }
      return 'stopped';
    },
    async release() {
      o.metrics.leader(o.name, false);
      if (observed?.lease.spec?.holderIdentity !== o.identity) return;
      const spec = { ...specFor(observed.lease.spec, false), holderIdentity: '', leaseDurationSeconds: 1 };
      await o.client
        .update<Lease>(LEASES, { ...observed.lease, spec })
        .catch((err: unknown) => o.log.warn({ err, lease: o.name }, 'the Lease could not be given back; it will expire'));
    },
  };

  /** Somebody else's name is in the Lease we last saw. */
  function taken(): boolean {
    return observed !== undefined && observed.lease.spec?.holderIdentity !== o.identity;
  }
}

/** False at the deadline at the latest, whatever the call does: a leader that hangs in a call is none. */
async function withinDeadline(
  clock: Clock,
  deadlineAt: number,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<boolean>,
): Promise<boolean> {
  const bound = new AbortController();
  const stop = (): void => bound.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  const late = Promise.withResolvers<boolean>();
  const timer = clock.setTimer(deadlineAt - clock.elapsed(), () => {
    bound.abort(new Error('the renew deadline passed'));
    late.resolve(false);
  });
  try {
    return await Promise.race([call(bound.signal), late.promise]);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', stop);
  }
}

const sameRecord = (a: LeaseSpec | undefined, b: LeaseSpec | undefined): boolean =>
  a?.holderIdentity === b?.holderIdentity &&
  a?.renewTime === b?.renewTime &&
  a?.leaseTransitions === b?.leaseTransitions &&
  a?.acquireTime === b?.acquireTime;
