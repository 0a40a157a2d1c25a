// The asks of the sites' gateways, as their ConfigMaps have them. One is handed on once; what is old, or of a Device that is not there, is not followed.
import { ASK_FOLLOWED_MS, type Ask, GATEWAY_ASKS_KEY, GATEWAY_ASKS_MAP, readAsks } from '../api/gateway-asks.ts';
import { CONFIG_MAPS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, type KubeObject, keyOf } from '../kube/object.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { explain } from './errors.ts';

type ConfigMap = KubeObject & { data?: Record<string, string> };
/** `asks` is undefined when they do not read. */
export type AskMap = Projected & { namespace: string; asks: readonly Ask[] | undefined };

export type AskWatchDeps = {
  client: KubeClient;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Of a device of the namespace of the site: a gateway has no say about others. */
  asked(device: Key, ask: Ask): void;
};

export function watchAsks({ asked, ...deps }: AskWatchDeps): Reflector<AskMap> {
  const news = createAskNews();
  return createReflector<ConfigMap, AskMap>({
    ...deps,
    name: 'gatewayasks',
    type: CONFIG_MAPS,
    fieldSelector: `metadata.name=${GATEWAY_ASKS_MAP}`,
    project: askMap,
    onChange({ after }) {
      if (after === undefined) return;
      const { namespace, asks } = after;
      if (asks === undefined) deps.log.warn({ namespace, problem: explain('HR-LIM-003', 'it does not read') }, 'a gateway is not followed');
      for (const ask of news(namespace, asks ?? [], deps.clock.now())) asked(`${namespace}/${ask.device}`, ask);
    },
  });
}

/** Those that were not handed on yet. A process that begins anew follows again what is not old. */
export function createAskNews(): (namespace: string, asks: readonly Ask[], nowMs: number) => Ask[] {
  const seen = new Map<string, Set<string>>();
  return (namespace, asks, nowMs) => {
    const before = seen.get(namespace);
    const named = new Map(asks.map((ask) => [`${ask.uid} ${ask.trigger} ${ask.atMs}`, ask]));
    seen.set(namespace, new Set(named.keys()));
    return [...named].flatMap(([name, ask]) => (before?.has(name) === true || Math.abs(nowMs - ask.atMs) >= ASK_FOLLOWED_MS ? [] : [ask]));
  };
}

function askMap(map: ConfigMap): AskMap {
  const text = map.data?.[GATEWAY_ASKS_KEY];
  return {
    key: keyOf(map),
    uid: map.metadata.uid ?? '',
    resourceVersion: map.metadata.resourceVersion ?? '',
    namespace: map.metadata.namespace ?? '',
    // Nothing was asked yet.
    asks: text === undefined ? [] : readAsks(text),
  };
}
