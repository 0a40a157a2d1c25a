import { CAMERA_SITE, STAGES } from '../cameras.ts';
import { conditionOfRelease, type Release, type RolloutStage } from '../rollout-stage.ts';
import { duration } from '../text.ts';
import { type Checker, must, type Scene, type Stage } from './scene.ts';

export const GOOD = 'cam-2.4.0';
/** With 95 % confidence: 14 cameras without a failure show it, five do not. */
const LIMIT = '20%';

/** Spans of seconds where a real release has hours and days. */
export const ROLLOUT = {
  waves: [
    { name: 'lab', selector: { matchLabels: { stage: 'lab' } }, soak: '0s' },
    { name: 'canary', selector: { matchLabels: { stage: 'canary' } }, soak: '1s', approval: 'Required' },
    { name: 'broad', soak: '0s' },
  ],
  pace: { perMinute: 3_000, maxInFlight: 10 },
  gates: { error: { ratio: LIMIT, minSample: 5 } },
  timeouts: { offer: '60s', download: '60s', install: '60s', confirm: '60s', wave: '10m' },
};

export const signedRelease: Scene = {
  proof: 'a signed release reaches 50 cameras in three waves',
  attempt: () =>
    `Two people sign app 2.4.0 for the cameras of ${CAMERA_SITE}. The lab's 5 get it first, then a canary of 15 as soon as somebody else than the author approves, then the other 30. A wave lets the next one begin by proof only: that fewer than ${LIMIT} fail, with 95 % confidence.`,
  unplayable: ({ rollout }) => rollout.whyNot,
  async play(stage, check) {
    const unfollow = stage.rollout.follow(GOOD);
    try {
      return await rollOut(stage, check);
    } finally {
      unfollow();
    }
  },
};

async function rollOut(stage: Stage, check: Checker): Promise<string> {
  const { rollout } = stage;
  const since = performance.now();
  const fleet = await rollout.cameras();
  check(
    'the cameras',
    fleet.cameras.length === 50,
    `${fleet.cameras.length} enrolled in ${duration(performance.now() - since)}, each on app 2.3.0, with a bootloader that signs what it started`,
  );
  const signed = await rollout.sign({ name: GOOD, version: '2.4.0', securityCounter: 5 });
  const beganAt = performance.now();
  must(await rollout.apply(signed, { name: GOOD, rollout: ROLLOUT }));
  await waveHasEnded(rollout, GOOD, 'lab', check, beganAt);
  await authorApproves(stage, GOOD, check);
  await approve(stage, GOOD);
  for (const wave of ['canary', 'broad']) await waveHasEnded(rollout, GOOD, wave, check, beganAt);
  await rollout.until(GOOD, 'to be Completed', ({ status }) => status?.phase === 'Completed' || undefined);
  const ms = performance.now() - beganAt;
  const running = fleet.running(signed.digest);
  check('asked themselves, the cameras that run the signed image', running === 50, `${running} of 50`);
  const records = (await rollout.devices()).map(({ status }) => status?.firmware?.app);
  const proven = records.filter((record) => record?.result === 'Confirmed' && record.proof === 'Proven').length;
  check('proven by a report of the bootloader', proven === 50, `${proven} of 50 Devices say Confirmed, Proven`);
  return `50 of 50 in ${duration(ms)}`;
}

/** The next wave waits, or has begun. */
export async function waveHasEnded(rollout: RolloutStage, name: string, wave: string, check: Checker, since: number): Promise<void> {
  const size = STAGES.find(({ stage }) => stage === wave)?.count ?? 0;
  const ended = await rollout.until(name, `to end its wave ${wave}`, (release) => {
    const found = release.status?.waves?.find((one) => one.name === wave);
    return found?.gate?.result === undefined || found.gate.result === 'Wait' || (found.counts?.confirmed ?? 0) < size ? undefined : found;
  });
  const confirmed = ended.counts?.confirmed ?? 0;
  check(
    wave,
    confirmed === size,
    `${confirmed} of ${size} confirmed after ${duration(performance.now() - since)}; ${ended.gate?.result}: ${ended.gate?.reason}`,
  );
}

/** By somebody else than the author. */
export async function approve({ rollout }: Stage, name: string): Promise<void> {
  await rollout.until(name, 'to wait for an approval', (release) => approvalIsNeeded(release) || undefined);
  must(await rollout.hedgerow(approval(name), 'colleague'));
}

async function authorApproves({ rollout }: Stage, name: string, check: Checker): Promise<void> {
  await rollout.until(name, 'to wait for an approval', (release) => approvalIsNeeded(release) || undefined);
  const own = await rollout.hedgerow(approval(name), 'author');
  check('the author approves', own.code !== 0 && own.stderr.includes('HR-CLI-094'), own.stderr.trim());
}

const approval = (name: string): string[] => ['rollout', 'approve', name, '-n', CAMERA_SITE, '--reason', 'the lab is well', '--yes'];

const approvalIsNeeded = (release: Release): boolean => conditionOfRelease(release, 'Approved')?.status === 'False';
