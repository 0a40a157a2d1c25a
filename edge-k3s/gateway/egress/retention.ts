// For how long what waits for the cloud is kept: by the policy of its segment, and what is about the site as long as the longest of them. Pure.
import type { GatewayConfig } from '../../../operator/api/gateway-config.ts';
import { CLASSES, type Class } from '../spool/layout.ts';
import type { Stored } from '../spool/record.ts';

export type Retention = { isOver(one: Stored): boolean; beforeMs: Record<Class, number> };

/** Undefined without policies: then nobody has said for how long. */
export function retentionOf({ site, segments }: GatewayConfig, nowMs: number): Retention | undefined {
  if (segments.length === 0) return undefined;
  const of = new Map(segments.map(({ name, retentionMs }) => [name, retentionMs]));
  const each = (pick: (...all: number[]) => number): Record<Class, number> =>
    Object.fromEntries(CLASSES.map((one) => [one, pick(...segments.map(({ retentionMs }) => retentionMs[one]))])) as Record<Class, number>;
  const longest = each(Math.max);
  const shortest = each(Math.min);
  return {
    isOver: (one) => one.toMs < nowMs - (of.get(`${segmentIn(one)}.${site}`) ?? longest)[one.class],
    beforeMs: { trend: nowMs - shortest.trend, alert: nowMs - shortest.alert, security: nowMs - shortest.security },
  };
}

function segmentIn({ payload }: Stored): string {
  try {
    const { segment } = JSON.parse(Buffer.from(payload).toString('utf8')) as { segment?: unknown };
    return typeof segment === 'string' ? segment : '';
  } catch {
    return '';
  }
}
