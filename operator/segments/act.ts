// Carries out the steps of a plan, one after the other: the order is what keeps things shut.
import { FIELD_MANAGER } from '../api/names.ts';
import { NETWORK_POLICIES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type LivePolicy, sameSpec } from './actual-policy.ts';
import type { Finding } from './errors.ts';
import type { NetworkPolicy } from './networkpolicy.ts';
import type { Step } from './plan.ts';

type Deps = { client: Pick<KubeClient, 'apply' | 'delete'>; metrics: Pick<Metrics, 'applied'> };

/** Stops at the first step that the API server refuses, and says so; what it cannot answer is thrown and tried again. */
export async function carryOut(steps: readonly Step[], deps: Deps, signal: AbortSignal): Promise<Finding | undefined> {
  for (const step of steps) {
    const name = step.do === 'apply' ? step.policy.metadata.name : step.name;
    try {
      if (step.do === 'apply') await apply(step.policy, deps, signal);
      else await deps.client.delete(NETWORK_POLICIES, { name: step.name, namespace: step.namespace }, { uid: step.uid }, signal);
    } catch (error) {
      if (!isAnswer(error)) throw error;
      return { code: 'HR-SEG-020', path: '', found: `NetworkPolicy ${name}: ${error.message}` };
    }
  }
  return undefined;
}

/** The answer is read back: a webhook or another manager may have changed what was sent. */
async function apply(desired: NetworkPolicy, deps: Deps, signal: AbortSignal): Promise<void> {
  const live = await deps.client.apply<LivePolicy>(NETWORK_POLICIES, desired, { fieldManager: FIELD_MANAGER }, signal);
  deps.metrics.applied(NETWORK_POLICIES.plural, 'changed');
  if (!sameSpec(desired.spec, live.spec ?? {}))
    throw new KubeError({ status: 422, reason: 'NotAsApplied', message: 'the API server stored something else than what was applied' });
}

/** A refusal that repeats: 400, 403, 404, 422. A conflict or a credential that expired is not one. */
const isAnswer = (error: unknown): error is KubeError =>
  error instanceof KubeError && error.status >= 400 && error.status < 500 && ![401, 409, 429].includes(error.status);
