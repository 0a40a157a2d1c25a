// The ConfigMap of a site's gateway. Whoever installs a gateway makes it, empty (charts/hedgerow-edge): where there is none there is no gateway, and the operator
// may make no ConfigMap in other namespaces. Level-triggered: what stands in it is compared with what the policies say, and written when it differs.
import { GATEWAY_CONFIG_KEY, GATEWAY_CONFIG_MAP } from '../api/gateway-config.ts';
import { FIELD_MANAGER } from '../api/names.ts';
import { CONFIG_MAPS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import { type Key, type KubeObject, keyOf } from '../kube/object.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import type { Random } from '../runtime/random.ts';
import { explain, type Finding, reasonOf } from './errors.ts';
import { gatewayConfigOf } from './gateway-config.ts';
import type { Model } from './model.ts';
import { digest } from './selector.ts';

type ConfigMap = KubeObject & { data?: Record<string, string> };
type GatewayMap = Projected & { namespace: string; digest: string | undefined };
type Deps = {
  client: KubeClient;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  model: () => Model;
  /** Whether the model is made of all policies. */
  ready: () => boolean;
  /** Told of namespaces whose standing is another one. */
  onStanding: (namespace: string) => void;
};

/** `none`: no gateway is there. A finding: it goes on with what it was told before. */
export type GatewayStanding = 'none' | 'told' | Finding;

export type GatewaySites = {
  reflector: Reflector<GatewayMap>;
  controller: Controller;
  standing(namespace: string): GatewayStanding;
  /** What the policies of this namespace say may differ now. */
  changed(namespace: string): void;
};

const RETRY_REFUSED_MS = 30_000;

export function createGatewaySites(deps: Deps): GatewaySites {
  const refusals = new Map<string, Finding>();
  const reflector = createReflector<ConfigMap, GatewayMap>({
    ...{ client: deps.client, clock: deps.clock, random: deps.random, log: deps.log, metrics: deps.metrics },
    name: 'gatewayconfigs',
    type: CONFIG_MAPS,
    fieldSelector: `metadata.name=${GATEWAY_CONFIG_MAP}`,
    project: gatewayMap,
    onChange: ({ before, after }) => {
      const namespace = (after ?? before)?.namespace ?? '';
      controller.queue.add(namespace);
      if (after === undefined) refusals.delete(namespace);
      if ((before === undefined) !== (after === undefined)) deps.onStanding(namespace);
    },
  });

  async function reconcile(namespace: Key, ctx: ReconcileContext): Promise<Outcome> {
    const there = reflector.store.get(`${namespace}/${GATEWAY_CONFIG_MAP}`);
    if (there === undefined || !deps.ready()) return done;
    const compiled = gatewayConfigOf(deps.model(), namespace);
    const refused = 'refused' in compiled ? compiled.refused : await write(there, compiled.text, deps, ctx.signal);
    remember(namespace, refused);
    // A larger change of the policies wakes it; what the API server said may change by itself.
    if (refused === undefined || 'refused' in compiled) return done;
    return { kind: 'waiting', afterMs: RETRY_REFUSED_MS, reason: reasonOf(refused.code), message: explain(refused) };
  }

  function remember(namespace: string, refused: Finding | undefined): void {
    const before = refusals.get(namespace);
    if (refused === undefined) refusals.delete(namespace);
    else refusals.set(namespace, refused);
    if (before?.found !== refused?.found) deps.onStanding(namespace);
  }

  const { clock, log, metrics } = deps;
  const controller = createController({ name: 'gatewayconfig', concurrency: 2, reconcile, clock, log, metrics });
  return {
    reflector,
    controller,
    standing: (namespace) =>
      reflector.store.get(`${namespace}/${GATEWAY_CONFIG_MAP}`) === undefined ? 'none' : (refusals.get(namespace) ?? 'told'),
    changed: (namespace) => controller.queue.add(namespace),
  };
}

async function write(
  there: GatewayMap,
  text: string,
  { client, metrics }: Pick<Deps, 'client' | 'metrics'>,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  if (there.digest === digest(text, 64)) return undefined;
  const ref = { name: GATEWAY_CONFIG_MAP, namespace: there.namespace };
  try {
    await client.mergePatch(CONFIG_MAPS, ref, { data: { [GATEWAY_CONFIG_KEY]: text } }, { fieldManager: FIELD_MANAGER }, signal);
    metrics.applied(CONFIG_MAPS.plural, 'changed');
    return undefined;
  } catch (error) {
    // It was taken away meanwhile: its event is on the way.
    if (error instanceof KubeError && error.status === 404) return undefined;
    if (!(error instanceof KubeError) || ![400, 403, 413, 422].includes(error.status)) throw error;
    return { code: 'HR-SEG-018', path: '', found: error.message };
  }
}

/** 1 MiB a site would stay in memory for nothing. */
function gatewayMap(map: ConfigMap): GatewayMap {
  const text = map.data?.[GATEWAY_CONFIG_KEY];
  return {
    key: keyOf(map),
    uid: map.metadata.uid ?? '',
    resourceVersion: map.metadata.resourceVersion ?? '',
    namespace: map.metadata.namespace ?? '',
    digest: text === undefined ? undefined : digest(text, 64),
  };
}
