// Certificates of the drivers of rollouts: watches their requests, says yes or no, and knows which of them may be at the broker. Observe, decide, act.
// Nothing is kept here that a restart would miss: the request of a driver's MQTT certificate stays as long as the driver (docs/adr/0031-driver-rights.md).
import { isRolloutClient, LABEL_DRIVER_CERTIFICATE } from '../api/names.ts';
import { CERTIFICATE_REQUESTS, FIRMWARE_WAVES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isForbidden, isNotFound } from '../kube/errors.ts';
import type { Key } from '../kube/object.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import type { Random } from '../runtime/random.ts';
import { type DriverInput, type DriverTerms, decideDriver, isDriver } from './decide-driver.ts';
import { type DriverFacts, driverFacts, type FirmwareWave, waveOfDriver } from './driver-facts.ts';
import { approvalPatch, type CertificateRequest, denialPatch } from './request-facts.ts';
import { wholeSeconds } from './steps.ts';

export type DriverApproverDeps = {
  client: KubeClient;
  terms: DriverTerms;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export interface DriverApprover {
  /** To be filled before anything of this part runs. */
  readonly reflectors: readonly Pick<Reflector<Projected>, 'kind' | 'store' | 'run' | 'whenSynced' | 'silentMs'>[];
  /** To be run while this process leads. */
  readonly controller: Controller;
  /** Whether a client with this certificate (MD5) is a driver at work. Throws while the caches are not filled: nobody is sent away then. */
  judge(client: string, md5: string): 'ok' | 'unknown';
  /** Called when `judge` may say something else. */
  onChange(listener: () => void): void;
}

const CONCURRENCY = 4;
const BEHIND_MS = 300;

export function createDriverApprover({ client, terms, clock, random, log, metrics }: DriverApproverDeps): DriverApprover {
  const shared = { client, clock, random, log, metrics };
  const listeners: (() => void)[] = [];
  const requests = createReflector<CertificateRequest, DriverFacts>({
    ...shared,
    type: CERTIFICATE_REQUESTS,
    name: 'driver-certificaterequests',
    labelSelector: LABEL_DRIVER_CERTIFICATE,
    project: driverFacts,
    indexes: { wave: ({ wave }) => [wave], client: ({ clientId }) => (clientId === undefined ? [] : [clientId]) },
    onChange: ({ key, before, after }) => {
      controller.queue.add(key);
      if ((after ?? before)?.kind === 'mqtt') for (const listener of listeners) listener();
    },
  });
  const waves = createReflector({
    ...shared,
    type: FIRMWARE_WAVES,
    name: 'driver-firmwarewaves',
    project: (wave: FirmwareWave) => waveOfDriver(wave),
    onChange: ({ key, before, after }) => {
      if (before?.ended === after?.ended && before?.uid === after?.uid) return;
      for (const request of requests.store.by('wave', key)) controller.queue.add(request.key);
      for (const listener of listeners) listener();
    },
  });
  const ready = (): boolean => requests.store.synced && waves.store.synced;
  const observe = (request: DriverFacts): DriverInput => ({ now: clock.now(), request, terms, wave: waves.store.get(request.wave) });

  async function reconcile(key: Key, { signal }: ReconcileContext): Promise<Outcome> {
    const request = requests.store.get(key);
    if (request === undefined) return done;
    if (!ready()) return later(BEHIND_MS);
    const decision = decideDriver(observe(request));
    if (decision.do === 'nothing') return decision.afterMs === undefined ? done : later(decision.afterMs);
    const ref = { name: request.name, namespace: request.namespace };
    try {
      if (decision.do === 'delete') await client.delete(CERTIFICATE_REQUESTS, ref, { uid: request.uid }, signal);
      else await client.mergePatch(CERTIFICATE_REQUESTS, ref, patchOf(request, decision), { subresource: 'status' }, signal);
    } catch (error) {
      // It has changed, or is gone: it comes back by its watch.
      if (isConflict(error) || isNotFound(error)) return later(BEHIND_MS);
      // Of a signer for which this process may not approve, it may not deny either. Nothing is signed by it.
      if (!(isForbidden(error) && decision.do === 'deny')) throw error;
    }
    const fields = { request: key, wave: request.wave, purpose: request.kind };
    if (decision.do === 'deny') log.warn({ ...fields, code: decision.code, found: decision.message }, 'a driver gets no certificate');
    else if (decision.do === 'approve') log.info(fields, 'a driver gets a certificate');
    return done;
  }

  function patchOf(request: DriverFacts, decision: { do: 'approve' } | { do: 'deny'; message: string }): object {
    const at = wholeSeconds(clock.now());
    if (decision.do === 'deny') return denialPatch(request, decision.message, at);
    return approvalPatch(request, `the driver of FirmwareWave ${request.wave}`, at);
  }

  const controller = createController({ name: 'drivers', concurrency: CONCURRENCY, reconcile, clock, log, metrics });
  return {
    reflectors: [requests, waves],
    controller,
    judge(who, md5) {
      if (!ready()) throw new Error('which drivers are at work is not known yet');
      if (!isRolloutClient(who)) return 'unknown';
      return requests.store.by('client', who).some((request) => isDriver(observe(request), md5)) ? 'ok' : 'unknown';
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

function later(afterMs: number): Outcome {
  return { kind: 'requeue', afterMs, reason: 'Later' };
}
