import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { SignedRelease } from '../../harness/firmware/trust-files.ts';
import { toYaml } from '../../harness/manifests.ts';
import { CAMERA_SITE } from '../cameras.ts';
import { patiently } from '../patience.ts';
import { conditionOfRelease } from '../rollout-stage.ts';
import { type Checker, must, type Scene, type Stage } from './scene.ts';

/** Paused: what is refused is refused before anybody would be asked. */
const PAUSED = { paused: true, waves: [{ name: 'all' }] };

export const forgedReleases: Scene = {
  proof: 'what is not genuine is refused, each with its code',
  attempt: () =>
    'Somebody who may write into the cluster and into the registry tries it with a manifest that names another image, altered bytes in the registry, one signature of two, an older version, an expired trust root, and an old trust root put back.',
  async play(stage, check) {
    const codes: string[] = [];
    const refused: Refused = async (claim, code, signed, name = signed.name) => {
      const seen = await refusal(stage, signed, name);
      check(claim, seen.includes(code), seen);
      codes.push(code);
    };
    const genuine = await statements(stage, refused);
    codes.push(await alteredBytes(stage, genuine, check));
    await roots(stage, refused, check);
    return codes.join(', ');
  },
};

type Refused = (claim: string, code: string, signed: SignedRelease, name?: string) => Promise<void>;

/** Gives one that is genuine. */
async function statements({ rollout }: Stage, refused: Refused): Promise<SignedRelease> {
  const genuine = await rollout.sign({ name: 'cam-2.6.0', version: '2.6.0', securityCounter: 6 });
  const { image, digest } = await rollout.sign({ name: 'cam-2.6.1', version: '2.6.1', securityCounter: 6 });
  await refused('a manifest that names another image', 'HR-FW-203', { ...genuine, image, digest }, 'swapped');
  const bySome = await rollout.sign({ name: 'cam-2.6.2', version: '2.6.2', securityCounter: 6, by: ['ci'] });
  await refused('one signature of two', 'HR-FW-024', bySome);
  // Where no camera is, none could be put back.
  if (rollout.whyNot === undefined)
    await refused('an older version', 'HR-FW-204', await rollout.sign({ name: 'cam-2.3.5', version: '2.3.5', securityCounter: 4 }));
  return genuine;
}

async function roots(stage: Stage, refused: Refused, check: Checker): Promise<void> {
  const { rollout } = stage;
  const { trust } = rollout.rollouts;
  await trust.nextRoot();
  await policy(stage, trust.roots(), 'all roots, a second one among them');
  const fresh = await rollout.sign({ name: 'cam-2.6.3', version: '2.6.3', securityCounter: 6 });
  await verified(stage, fresh, fresh.name, check);
  trust.expiredRoot();
  await policy(stage, trust.roots(), 'a third root, whose time is over');
  await refused('an expired trust root', 'HR-FW-012', fresh, 'cam-2.6.3-expired');
  await trust.nextRoot();
  await policy(stage, trust.roots(), 'a fourth, which has time');
  await verified(stage, fresh, 'cam-2.6.3-again', check);
  const { '1.root.json': first = '' } = trust.roots();
  await policy(stage, { '1.root.json': first }, 'the first root alone: keys that were taken out since would count again');
  await refused('an old trust root put back', 'HR-FW-004', fresh, 'cam-2.6.3-old-root');
  await policy(stage, trust.roots(), 'all roots as they were');
}

/** What the release says about why it is not rolled out. */
async function refusal({ rollout }: Stage, signed: SignedRelease, name: string): Promise<string> {
  must(await rollout.apply(signed, { name, rollout: { waves: [{ name: 'all' }] } }));
  return rollout.until(name, 'to be Stalled', (release) => {
    const stalled = conditionOfRelease(release, 'Stalled');
    return stalled?.status === 'True' ? stalled.message : undefined;
  });
}

async function verified({ rollout }: Stage, signed: SignedRelease, name: string, check: Checker): Promise<void> {
  must(await rollout.apply(signed, { name, rollout: PAUSED }));
  const condition = await rollout.until(name, 'to be verified', (release) => {
    const found = conditionOfRelease(release, 'ArtifactVerified');
    return found?.status === 'True' ? found : undefined;
  });
  check('meanwhile a genuine one', true, condition.message);
}

async function policy({ rollout, kubectl }: Stage, roots: Record<string, string>, about: string): Promise<void> {
  const yaml = toYaml([rollout.rollouts.policy(CAMERA_SITE, roots)]);
  must(await kubectl(['apply', '-f', '-'], { yaml, about }));
}

/** The registry gives other bytes of the same length: the artifacts server keeps none of them. */
async function alteredBytes({ rollout }: Stage, signed: SignedRelease, check: Checker): Promise<string> {
  const { origin, artifactsLog } = rollout.rollouts;
  origin.misbehave((seen, response: ServerResponse, bytes) => {
    if (seen.kind !== 'blob' || bytes === undefined) return false;
    response.writeHead(200, { 'content-length': bytes.length }).end(Buffer.from(bytes.map((byte) => byte ^ 1)));
    return true;
  });
  must(await rollout.apply(signed, { name: signed.name, rollout: PAUSED }));
  const line = await patiently('the artifacts server to refuse the altered bytes', () => {
    const found = readFileSync(artifactsLog, 'utf8')
      .split('\n')
      .find((one) => one.includes('HR-FW-413'));
    return found === undefined ? undefined : (JSON.parse(found) as { msg: string; problem?: string });
  });
  origin.misbehave();
  check('altered bytes in the registry', true, line.msg);
  return 'HR-FW-413';
}
