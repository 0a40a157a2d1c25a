// What is tried again after a failure, and when. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { spanMs } from './span.ts';

type Retry = NonNullable<FirmwareReleaseSpec['rollout']['retry']>;

/** Error codes of the device protocol that a second try may not meet again; all others are final: a wrong signature is wrong tomorrow too. */
const CAUSE_OF: Readonly<Record<number, 'Storage' | 'Network' | 'Power'>> = { 7: 'Storage', 8: 'Network', 9: 'Power' };

/** When a device that failed with `code` at `failedAt` (ms) is offered the release again; undefined: never. `tries`: how often it was offered, the first time included. */
export function retryAt(
  retry: Retry | undefined,
  { code, tries, failedAt }: { code: number; tries: number; failedAt: number },
): number | undefined {
  const { limit = 3, causes, backoff } = retry ?? {};
  const cause = CAUSE_OF[code];
  if (cause === undefined || tries > limit || (causes !== undefined && causes.length > 0 && !causes.includes(cause))) return undefined;
  const { base = '10m', factor = 2, cap = '12h' } = backoff ?? {};
  return failedAt + Math.min(spanMs(cap), spanMs(base) * factor ** (tries - 1));
}
