// The NetworkPolicy for pods that run as Devices in quarantine, one a namespace. Such a pod says by the label hedgerow.dev/device which Device it is.
import type { KubeClient } from '../kube/client.ts';
import type { Key } from '../kube/object.ts';
import type { Store } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import { carryOut } from './act.ts';
import { type ActualPolicy, isAsDesired } from './actual-policy.ts';
import { createAdminDenies } from './admin-deny.ts';
import { explain, reasonOf } from './errors.ts';
import { type BrokerAccess, QUARANTINE_NAME, quarantinePolicy } from './networkpolicy.ts';
import type { Step } from './plan.ts';
import type { NamespaceView } from './views.ts';

export type QuarantineDeps = {
  client: KubeClient;
  namespaces: Store<NamespaceView>;
  networkPolicies: Store<ActualPolicy>;
  /** Devices of a namespace that are not Active, in one order. */
  shut: (namespace: string) => readonly string[];
  broker: BrokerAccess;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

const RETRY_REFUSED_MS = 30_000;
/** A deny in the Admin tier that somebody changed is as it was this soon. */
const REPAIR_MS = 60_000;
const LOOK_AGAIN_MS = 600_000;

/** Keys are names of namespaces. */
export function createQuarantineController(deps: QuarantineDeps): Controller {
  const adminDenies = createAdminDenies(deps);

  async function reconcile(namespace: Key, ctx: ReconcileContext): Promise<Outcome> {
    const home = deps.namespaces.get(namespace);
    // What is in a namespace goes with it; the deny of the whole cluster does not.
    if (home === undefined) await adminDenies.keep(namespace, [], ctx.signal);
    if (home === undefined || home.terminating) return done;
    const shut = deps.shut(namespace);
    const actual = deps.networkPolicies.get(`${namespace}/${QUARANTINE_NAME}`);
    const step = quarantineStep(namespace, shut, actual, deps.broker);
    const refused = step === undefined ? undefined : await carryOut([step], deps, ctx.signal);
    const kept = await adminDenies.keep(namespace, shut, ctx.signal);
    // Nobody tells when it changes, or when its API comes.
    if (refused === undefined)
      return shut.length === 0 ? done : { kind: 'requeue', afterMs: kept ? REPAIR_MS : LOOK_AGAIN_MS, reason: 'Repair' };
    ctx.log.warn({ namespace, finding: explain(refused) }, 'pods of Devices in quarantine could not be shut');
    return { kind: 'waiting', afterMs: RETRY_REFUSED_MS, reason: reasonOf(refused.code), message: explain(refused) };
  }

  const { clock, log, metrics } = deps;
  return createController({ name: 'quarantine', concurrency: 2, reconcile, clock, log, metrics });
}

/** Only what carries our mark is deleted. */
export function quarantineStep(
  namespace: string,
  shut: readonly string[],
  actual: ActualPolicy | undefined,
  broker: BrokerAccess,
): Step | undefined {
  if (shut.length > 0) {
    const policy = quarantinePolicy(namespace, shut, broker);
    return isAsDesired(policy, actual) ? undefined : { do: 'apply', policy, why: actual === undefined ? 'missing' : 'changed' };
  }
  return actual?.ours?.role === 'quarantine' ? { do: 'delete', name: actual.name, namespace, uid: actual.uid } : undefined;
}
