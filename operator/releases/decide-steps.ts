// The steps of a release: those that were started, as its FirmwareWaves say, and those that are ahead, as the plan says. Pure.
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { Started, Step, WavePlan } from '../firmware/firmware.ts';
import type { WaveView } from './view.ts';

export type Counts = Required<NonNullable<FirmwareReleaseStatus['counts']>>;

/** A step with its waves, one for each site. */
export type StepSoFar = {
  step: number;
  wave: string;
  startedAt: number;
  endedAt: number | undefined;
  counts: Counts;
  waves: readonly WaveView[];
};

/** `at`: its place in the plan; undefined: who joined after the last step. */
export type StepAhead = { wave: string; at: number | undefined };

/** Who joins after the last step waits until some others have joined too: a step is an object and a Job for each site. */
const JOIN_EVERY_MS = 600_000;
const RANKS = 1_000_000;

/** In their order; a step between two others whose waves are gone (a site was deleted with its devices) has nothing to say any more. */
export function stepsSoFar(waves: readonly WaveView[]): StepSoFar[] {
  return [...Map.groupBy(waves, ({ spec }) => spec.step)]
    .sort(([a], [b]) => a - b)
    .map(([step, own]) => {
      const ends = own.map(({ status }) => Date.parse(status?.endedAt ?? ''));
      return {
        ...{ step, wave: own[0]?.spec.wave ?? '', waves: own },
        startedAt: Math.min(...own.map(({ createdAt }) => createdAt)),
        endedAt: ends.some(Number.isNaN) ? undefined : Math.max(...ends),
        counts: sumOf(own.map(({ status }) => status?.counts)),
      };
    });
}

export function startedOf({ wave, startedAt, endedAt, counts }: StepSoFar): Started {
  const { matched, confirmed, failed, rolledBack, timedOut, lost, inFlight, waiting } = counts;
  return {
    wave,
    startedAt,
    endedAt,
    busy: inFlight,
    waiting,
    outcomes: { target: matched, confirmed, failed, rolledBack, timedOut, lost },
  };
}

/**
 * Steps that are to follow. A wave that grows has as many parts as its devices need now, whatever it had when it began. A step without a device that still has to take the
 * release is none. Under Dynamic who joined after the last step gets a step of the last wave, where that is open to the end.
 */
export function stepsAhead(
  { plan, release, waves }: { plan: WavePlan; release: { uid: string; component: string; isDynamic: boolean }; waves: readonly string[] },
  started: readonly StepSoFar[],
  now: number,
): StepAhead[] {
  const isDue = ({ devices }: Step): boolean => devices.some(({ running }) => running[release.component]?.releaseUid !== release.uid);
  const last = started.at(-1);
  const parts = started.filter(({ wave }) => wave === last?.wave).length;
  const lastWave = last === undefined ? -1 : waves.indexOf(last.wave);
  const ahead = plan.steps.flatMap((step, at): StepAhead[] => {
    const wave = waves.indexOf(step.wave);
    const isBehind = wave < lastWave || (wave === lastWave && step.part <= parts);
    return isBehind || !isDue(step) ? [] : [{ wave: step.wave, at }];
  });
  if (ahead.length > 0 || last === undefined || !release.isDynamic) return ahead;
  const isOpen = last.waves.some(({ spec }) => spec.cohort.rankBelow === RANKS);
  const joined = plan.steps
    .flatMap(({ devices }) => devices)
    .some((device) => (device.createdAt ?? 0) > (last.endedAt ?? now) && device.running[release.component]?.releaseUid !== release.uid);
  return isOpen && joined && now >= (last.endedAt ?? now) + JOIN_EVERY_MS ? [{ wave: last.wave, at: undefined }] : [];
}

/** A device is in the counts of the step in which it ended; who is still on the way or away is in those of the last step only, which carries on with them. */
export function totalOf(steps: readonly StepSoFar[]): Counts {
  const last = steps.at(-1);
  const ended = steps.slice(0, -1).map(({ counts }) => {
    const { confirmed, unproven, failed, rolledBack, timedOut, lost } = counts;
    const reached = confirmed + failed + rolledBack + timedOut + lost;
    return { confirmed, unproven, failed, rolledBack, timedOut, lost, reached, offered: reached };
  });
  return sumOf(last === undefined ? ended : [...ended, last.counts]);
}

const NONE: Counts = {
  ...{ matched: 0, incompatible: 0, blocked: 0, waiting: 0, offered: 0, reached: 0, inFlight: 0 },
  ...{ confirmed: 0, unproven: 0, failed: 0, rolledBack: 0, timedOut: 0, lost: 0, straggler: 0 },
};

export function sumOf(counts: readonly (Partial<Counts> | undefined)[]): Counts {
  const sum = { ...NONE };
  for (const one of counts) for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += one?.[name] ?? 0;
  return sum;
}
