// Brings the asks of the site into its ConfigMap. The gateway makes none: whoever installs it does, and where there is none the operator hears of nothing.
import { type Ask, asksText, GATEWAY_ASKS_KEY, GATEWAY_ASKS_MAP } from '../../../operator/api/gateway-asks.ts';
import { CONFIG_MAPS } from '../../../operator/api/resources.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { KubeError } from '../../../operator/kube/errors.ts';
import type { KubeObject } from '../../../operator/kube/object.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import { Refused } from '../errors.ts';

export type AskWriterDeps = {
  site: string;
  client: Pick<KubeClient, 'get' | 'mergePatch'>;
  standing(nowMs: number): Ask[];
  clock: Pick<Clock, 'now' | 'sleep'>;
  log: Pick<Log, 'warn'>;
};

const LOOK_MS = 1_000;
const AGAIN_MS = 15_000;

/** Until the signal aborts. An API server that is away holds up nothing: what stands is written when it is back. */
export async function writeAsks({ site, client, standing, clock, log }: AskWriterDeps, signal: AbortSignal): Promise<void> {
  const ref = { name: GATEWAY_ASKS_MAP, namespace: site };
  /** What the API server has; undefined when that is not known. */
  let written: string | undefined;
  let isTold = false;

  async function write(): Promise<void> {
    written ??= (await client.get<KubeObject & { data?: Record<string, string> }>(CONFIG_MAPS, ref, signal))?.data?.[GATEWAY_ASKS_KEY];
    const text = asksText(standing(clock.now()));
    if (text === written) return;
    written = undefined;
    await client.mergePatch(CONFIG_MAPS, ref, { data: { [GATEWAY_ASKS_KEY]: text } }, {}, signal);
    written = text;
  }

  while (!signal.aborted) {
    const problem = await write().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (signal.aborted) return;
    if (problem !== undefined && !(problem instanceof KubeError)) throw problem;
    if (problem !== undefined && !isTold) {
      const refused = new Refused('HR-GW-601', problem);
      log.warn({ code: refused.code, problem: refused.message, answer: problem.message }, 'the operator is not asked');
    }
    isTold = problem !== undefined;
    await clock.sleep(problem === undefined ? LOOK_MS : AGAIN_MS, signal).catch(() => undefined);
  }
}
