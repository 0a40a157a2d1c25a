// What a FirmwareRelease asks of the driver, in milliseconds and with its defaults. Pure.
import { durationMs } from '../api/duration.ts';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { spanMs, type Window } from '../firmware/firmware.ts';

type Rollout = FirmwareReleaseSpec['rollout'];

export type Policy = {
  /** An offer that a device has answered and put off, or refused for now, ends after this. */
  offerMs: number;
  downloadMs: number;
  installMs: number;
  confirmMs: number;
  jitterMs: number;
  retry: Rollout['retry'];
  /** The device may not put it off, nor ask its user. */
  isForced: boolean;
  /** What its user refuses is refused. */
  isSoft: boolean;
  dropsStragglers: boolean;
  download: readonly Window[] | undefined;
  /** With these a device stages first, and is told to start the image when one is open. */
  install: readonly Window[] | undefined;
  disruption: NonNullable<Rollout['disruption']>;
};

/** Who has not answered an offer for this long is away. */
export const ANSWER_MS = 300_000;
/** Beyond the time that a device gives itself to confirm: a restart, a network that comes back slowly. */
export const GRACE_MS = 300_000;

export function policyOf({ rollout, distribution }: Pick<FirmwareReleaseSpec, 'rollout' | 'distribution'>): Policy {
  const { timeouts, retry, stragglers, windows, mode, disruption } = rollout;
  return {
    offerMs: spanMs(timeouts?.offer ?? '7d'),
    downloadMs: spanMs(timeouts?.download ?? '2h'),
    installMs: spanMs(timeouts?.install ?? '15m'),
    confirmMs: spanMs(timeouts?.confirm ?? '10m'),
    jitterMs: durationMs(distribution?.jitter ?? '10m') ?? 0,
    ...{ retry, isForced: mode === 'Forced', isSoft: mode === 'Soft', dropsStragglers: stragglers === 'Drop' },
    download: windows?.download,
    install: (windows?.install ?? []).length === 0 ? undefined : windows?.install,
    disruption: disruption ?? [],
  };
}
