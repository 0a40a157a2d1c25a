import { conditionOfRelease, type Release } from '../rollout-stage.ts';
import { duration } from '../text.ts';
import { type Checker, must, type Scene, type Stage } from './scene.ts';
import { approve, ROLLOUT, waveHasEnded } from './signed-release.ts';

const BAD = 'cam-2.5.0';
const BEFORE = '2.4.0';
/** So many in the first minute: the gate sees what becomes of them before others are asked. */
const FIRST = 10;

export const badBuild: Scene = {
  proof: 'a bad build is stopped in the canary and taken back',
  attempt: () =>
    'app 2.5.0 works on the boards of the lab. On revision B, which the canary has, its self-test fails. It is signed and approved like any other, and offered to ten cameras a minute.',
  unplayable: ({ rollout }) => rollout.whyNot,
  async play(stage, check) {
    const unfollow = stage.rollout.follow(BAD);
    try {
      return await breakOff(stage, check);
    } finally {
      unfollow();
    }
  },
};

async function breakOff(stage: Stage, check: Checker): Promise<string> {
  const { rollout } = stage;
  const fleet = await rollout.cameras();
  const signed = await rollout.sign({ name: BAD, version: '2.5.0', securityCounter: 5, failsOn: ['B'] });
  const beganAt = performance.now();
  const pace = { perMinute: FIRST, maxInFlight: FIRST };
  must(await rollout.apply(signed, { name: BAD, rollout: { ...ROLLOUT, pace }, spec: { rollback: { onGateFailure: 'RevertAll' } } }));
  await waveHasEnded(rollout, BAD, 'lab', check, beganAt);
  await approve(stage, BAD);
  const stopped = await rollout.until(BAD, 'to be stopped by its gate', (release) =>
    conditionOfRelease(release, 'GateHealthy')?.status === 'False' ? release : undefined,
  );
  check('the gate', true, conditionOfRelease(stopped, 'GateHealthy')?.message ?? '');
  const back = await rollout.until(BAD, 'to be RolledBack', (release) => (release.status?.phase === 'RolledBack' ? release : undefined));
  const ms = performance.now() - beganAt;
  const { failed, asked } = figures(back);
  check(
    'the canary',
    failed > 0 && asked < 15,
    `${failed} of 15 failed their self-test and went back by themselves, ${15 - asked} were never asked`,
  );
  const { point, lower95, upper95 } = back.status?.failureEstimate ?? {};
  check('what that says of all', point !== undefined, `a failure ratio of ${point}, with 95 % confidence ${lower95} to ${upper95}`);
  const running = new Set(fleet.cameras.map((camera) => camera.device().booted()?.version));
  check('what the 50 cameras run', running.size === 1 && running.has(BEFORE), [...running].join(', '));
  return `${failed} of 50 met it; back in ${duration(ms)}`;
}

function figures({ status }: Release): { failed: number; asked: number } {
  const counts = status?.waves?.find(({ name }) => name === 'canary')?.counts ?? {};
  const failed = (counts.rolledBack ?? 0) + (counts.failed ?? 0);
  return { failed, asked: failed + (counts.confirmed ?? 0) + (counts.inFlight ?? 0) + (counts.timedOut ?? 0) };
}
