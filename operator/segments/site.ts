// The deny for a whole namespace: it belongs to the label `hedgerow.dev/site` that the namespace's administrator sets, not to any SegmentPolicy.
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
import { explain, reasonOf } from './errors.ts';
import { SITE_DENY_NAME, siteDeny } from './networkpolicy.ts';
import type { Step } from './plan.ts';
import type { NamespaceView } from './views.ts';

export type SiteDeps = {
  client: KubeClient;
  namespaces: Store<NamespaceView>;
  networkPolicies: Store<ActualPolicy>;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

const RETRY_REFUSED_MS = 30_000;

/** Keys are names of namespaces. */
export function createSiteController(deps: SiteDeps): Controller {
  async function reconcile(namespace: Key, ctx: ReconcileContext): Promise<Outcome> {
    const home = deps.namespaces.get(namespace);
    if (home === undefined || home.terminating) return done;
    const step = siteStep(home, deps.networkPolicies.get(`${namespace}/${SITE_DENY_NAME}`));
    if (step === undefined) return done;
    const refused = await carryOut([step], deps, ctx.signal);
    if (refused === undefined) return done;
    ctx.log.warn({ namespace, finding: explain(refused) }, 'the deny of a site could not be made');
    return { kind: 'waiting', afterMs: RETRY_REFUSED_MS, reason: reasonOf(refused.code), message: explain(refused) };
  }

  const { clock, log, metrics } = deps;
  return createController({ name: 'site', concurrency: 2, reconcile, clock, log, metrics });
}

/** Only what carries our mark is deleted: an administrator may keep a policy of that name of his own. */
export function siteStep(home: NamespaceView, actual: ActualPolicy | undefined): Step | undefined {
  const policy = siteDeny(home.key);
  if (home.site) return isAsDesired(policy, actual) ? undefined : { do: 'apply', policy, why: actual === undefined ? 'missing' : 'edited' };
  return actual?.ours?.role === 'site-deny' ? { do: 'delete', name: actual.name, namespace: actual.namespace, uid: actual.uid } : undefined;
}
