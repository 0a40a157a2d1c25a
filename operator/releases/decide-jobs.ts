// Which Jobs there are to be: one for each wave whose drivers have something to do, and no other. Pure.
import { isDone, wasBack } from './decide.ts';
import type { StepSoFar } from './decide-steps.ts';
import { isOvertaken } from './decide-waves.ts';
import { explain, type ReleaseCode, reasonOf } from './errors.ts';
import { jobName } from './job.ts';
import type { JobView, WaveView } from './view.ts';

export type JobWishes = {
  make: readonly WaveView[];
  /** Named as wanted, and suspended or not as its wave says. */
  change: readonly { job: JobView; suspend: boolean }[];
  remove: readonly JobView[];
};

/** `isOpen`: somebody else may approve for the issuers of drivers; none that installs is made then. */
export function jobsWanted(steps: readonly StepSoFar[], jobs: readonly JobView[], isOpen: boolean): JobWishes {
  const waves = steps.flatMap((step) => step.waves);
  const atWork = waves.filter((wave) => isAtWork(wave, steps, jobs));
  const wanted = new Map(atWork.filter((wave) => !atWork.some((other) => isLater(other, wave))).map((wave) => [jobName(wave), wave]));
  const there = new Map(jobs.map((job) => [job.name, job]));
  return {
    make: [...wanted].filter(([name, { spec }]) => !there.has(name) && !(isOpen && spec.action === 'Install')).map(([, wave]) => wave),
    change: [...wanted].flatMap(([name, { spec }]) => {
      const job = there.get(name);
      return job === undefined || job.ended !== undefined || job.isSuspended === spec.suspend ? [] : [{ job, suspend: spec.suspend }];
    }),
    // A Job that has ended stays for its logs, until its time is over or its wave goes.
    remove: jobs.filter(
      ({ name, ended, waveUid }) => !wanted.has(name) && (ended === undefined || !waves.some(({ uid }) => uid === waveUid)),
    ),
  };
}

/** Two drivers of one site would take the fence from each other again and again: what goes back goes step by step, the latest first. */
const isLater = (other: WaveView, wave: WaveView): boolean => other.namespace === wave.namespace && other.spec.step > wave.spec.step;

function isAtWork(wave: WaveView, steps: readonly StepSoFar[], jobs: readonly JobView[]): boolean {
  return wave.spec.action === 'Install' ? !isDone(wave) && !isOvertaken(wave, steps) : !isBack(wave, jobs);
}

/** Whether a wave that was stopped or reverted has come to its end: its Job is complete, or was when that was written down. */
export function isBack(wave: WaveView, jobs: readonly JobView[]): boolean {
  const name = jobName(wave);
  return wasBack(wave) || jobs.some((job) => job.name === name && job.ended?.how === 'Complete');
}

export type JobFailure = { code: ReleaseCode; reason: string; message: string };

const CODES: Record<string, ReleaseCode> = { '65': 'HR-FW-205', '66': 'HR-FW-206' };

/** The first Job that failed for good, of the waves that want one. */
export function failureOf(steps: readonly StepSoFar[], jobs: readonly JobView[]): JobFailure | undefined {
  for (const wave of steps.flatMap((step) => step.waves)) {
    const job = jobs.find(({ name }) => name === jobName(wave));
    if (job?.ended?.how !== 'Failed' || !isAtWork(wave, steps, jobs)) continue;
    // The Job controller's own words (podFailurePolicy): "… failed with exit code 65 matching FailJob rule at index 0".
    const [, exit = ''] = /exit code (\d+) /.exec(job.ended.message) ?? [];
    const code = CODES[exit] ?? 'HR-FW-207';
    const found = `Job ${job.name} of FirmwareWave ${wave.key}: ${job.ended.message.slice(0, 256)}`;
    return { code, reason: reasonOf(code), message: explain(code, found) };
  }
  return undefined;
}
