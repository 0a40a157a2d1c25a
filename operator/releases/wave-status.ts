// The status of a FirmwareWave: what its drivers count, summed. Pure.
import type { FirmwareWaveStatus } from '../api/firmware-wave.ts';
import { isDone, type Situation } from './decide.ts';
import { isBack } from './decide-jobs.ts';
import { type StepSoFar, sumOf } from './decide-steps.ts';
import { isOvertaken } from './decide-waves.ts';
import type { JobView, WaveView } from './view.ts';

/** The entries of the drivers stay theirs. */
export function waveStatus(
  wave: WaveView,
  { situation: { steps, now }, jobs }: { situation: Pick<Situation, 'steps' | 'now'>; jobs: readonly JobView[] },
  soaks: boolean,
): FirmwareWaveStatus {
  const { status, generation } = wave;
  const shards = status?.shards;
  const endedAt = status?.endedAt ?? (isDone(wave) || isOvertaken(wave, steps) ? iso(now) : undefined);
  return {
    observedGeneration: generation,
    phase: phaseOf(wave, steps, jobs, soaks),
    ...(shards === undefined ? {} : { counts: sumOf(shards.map(({ counts }) => counts)), shards }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(status?.conditions === undefined ? {} : { conditions: status.conditions }),
  };
}

function phaseOf(
  wave: WaveView,
  steps: readonly StepSoFar[],
  jobs: readonly JobView[],
  soaks: boolean,
): NonNullable<FirmwareWaveStatus['phase']> {
  if (wave.spec.action !== 'Install') return isBack(wave, jobs) ? 'Aborted' : 'Running';
  if (isOvertaken(wave, steps)) return 'Completed';
  if (isDone(wave)) return soaks && steps.at(-1)?.step === wave.spec.step ? 'Soaking' : 'Completed';
  return wave.spec.suspend ? 'Suspended' : 'Running';
}

const iso = (ms: number): string => new Date(ms).toISOString();
