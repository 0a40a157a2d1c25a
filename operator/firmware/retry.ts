// What is tried again after a failure, and when. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { FAULTS } from './protocol.ts';
import { spanMs } from './span.ts';

type Retry = NonNullable<FirmwareReleaseSpec['rollout']['retry']>;

/** What a release may name: faults that a second try by itself may not meet again. All others end the attempt. */
const CAUSES = ['Network', 'Power', 'Storage'] as const;

/** When a device that failed with `code` at `failedAt` (ms) is offered the release again; undefined: never. `tries`: how often it was offered, the first time included. */
export function retryAt(
  retry: Retry | undefined,
  { code, tries, failedAt }: { code: number; tries: number; failedAt: number },
): number | undefined {
  const { limit = 3, causes, backoff } = retry ?? {};
  const fault = FAULTS.find((one) => one.code === code)?.name;
  const cause = CAUSES.find((one) => one === fault);
  if (cause === undefined || tries > limit || (causes !== undefined && causes.length > 0 && !causes.includes(cause))) return undefined;
  const { base = '10m', factor = 2, cap = '12h' } = backoff ?? {};
  return failedAt + Math.min(spanMs(cap), spanMs(base) * factor ** (tries - 1));
}
