import { describe, expect, it } from 'vitest';
import type { FirmwareWaveSpec } from '../api/firmware-wave.ts';
import { jobsWanted } from './decide-jobs.ts';
import { stepsSoFar } from './decide-steps.ts';
import { jobName } from './job.ts';
import type { JobView, WaveView } from './view.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');

function wave(namespace: string, step: number, action: FirmwareWaveSpec['action']): WaveView {
  const name = `cam-${step}`;
  return {
    ...{ key: `${namespace}/${name}`, uid: `${namespace}-${step}`, resourceVersion: '1', namespace, name, generation: 2, createdAt: NOW },
    spec: {
      ...{ release: { namespace: 'hq', name: 'cam', uid: 'r', generation: 1 }, wave: `wave-${step}`, step, action, component: 'app' },
      ...{
        manifestDigest: 'sha256:0',
        catalog: 'c',
        cohort: { rankBelow: 1 },
        shards: 1,
        perMinute: 1,
        maxInFlight: 1,
        suspend: false,
        grantExpires: '',
      },
    },
    status: undefined,
  };
}

const complete = (of: WaveView): JobView => ({
  ...{ key: `hedgerow-system/${jobName(of)}`, uid: jobName(of), resourceVersion: '1', namespace: 'hedgerow-system', name: jobName(of) },
  ...{ generation: 1, createdAt: NOW, waveUid: of.uid, wave: of.key, isSuspended: false, ended: { how: 'Complete', message: '' } },
});
const made = (waves: WaveView[], jobs: JobView[] = [], isOpen = false): string[] =>
  jobsWanted(stepsSoFar(waves), jobs, isOpen).make.map(({ key }) => key);

describe('the Jobs of a release that goes back', () => {
  const waves = [wave('berlin', 0, 'Revert'), wave('berlin', 1, 'Revert'), wave('paris', 0, 'Revert')];

  it('are one a site, of its latest step: two drivers of one site would only put each other out', () => {
    expect(made(waves)).toEqual(['paris/cam-0', 'berlin/cam-1']);
  });

  it('come to the step before when that one is back', () => {
    expect(made(waves, waves.slice(1).map(complete))).toEqual(['berlin/cam-0']);
    expect(made(waves, waves.map(complete))).toEqual([]);
  });
});

describe('the Jobs of a release, while somebody else may approve for drivers', () => {
  it('are made where devices go back, and nowhere else', () => {
    const waves = [wave('berlin', 0, 'Install'), wave('oslo', 0, 'Stop'), wave('paris', 0, 'Revert')];
    expect(made(waves)).toEqual(['berlin/cam-0', 'oslo/cam-0', 'paris/cam-0']);
    expect(made(waves, [], true)).toEqual(['oslo/cam-0', 'paris/cam-0']);
  });

  it('that are there already are suspended with their waves, not removed', () => {
    const at = wave('berlin', 0, 'Install');
    const suspended = { ...at, spec: { ...at.spec, suspend: true } };
    const { make, change, remove } = jobsWanted(stepsSoFar([suspended]), [{ ...complete(at), ended: undefined }], true);
    expect([make, change.map(({ suspend }) => suspend), remove]).toEqual([[], [true], []]);
  });
});
