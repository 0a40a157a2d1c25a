// What the rollout scenes act with: the cameras, the keys of a release, and the words of people at a shell.
import type { Device } from '../../operator/api/device.ts';
import type { Condition } from '../../operator/api/meta.ts';
import { DEVICES, FIRMWARE_RELEASES } from '../../operator/api/resources.ts';
import type { KubeClient } from '../../operator/kube/client.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { CAMERA_CLASS, CAMERA_MODEL, COMPONENT } from '../harness/firmware/cameras.ts';
import { type ImageWish, makeImage } from '../harness/firmware/image.ts';
import type { ReleaseAbout, Rollouts } from '../harness/firmware/rollouts.ts';
import type { ReleaseKey, ReleaseWish, SignedRelease } from '../harness/firmware/trust-files.ts';
import { toYaml } from '../harness/manifests.ts';
import { CAMERA_SITE, type CameraFleet, STAGES } from './cameras.ts';
import { patiently } from './patience.ts';
import { rolloutLines, type WaveView } from './rollout-view.ts';
import type { Ran } from './scenes/scene.ts';
import type { Screen } from './screen.ts';

const LOOK_EVERY_MS = 400;

export type Release = KubeObject & {
  status?: {
    phase?: string;
    waves?: (WaveView & { gate?: { result?: string; reason?: string }; approvedBy?: string })[];
    counts?: Partial<Record<string, number>>;
    failureEstimate?: { point?: string; lower95?: string; upper95?: string };
    rollback?: { possible: boolean; reason?: string };
    conditions?: Condition[];
  };
};

/** Who acts: the administrator, or a colleague who may approve and nothing else. */
export type Person = 'author' | 'colleague';

export type RolloutStage = {
  readonly rollouts: Rollouts;
  /** Why no rollout can be carried out here, undefined where one can. */
  readonly whyNot: string | undefined;
  /** Enrolled and switched on with the first call. */
  cameras(): Promise<CameraFleet>;
  sign(wish: Wish): Promise<SignedRelease>;
  apply(signed: SignedRelease, about: Omit<ReleaseAbout, 'site' | 'author'>): Promise<Ran>;
  /** `kubectl hedgerow`, the command shown. */
  hedgerow(words: readonly string[], as: Person): Promise<Ran>;
  get(name: string): Promise<Release | undefined>;
  until<T>(name: string, what: string, look: (release: Release) => T | undefined): Promise<T>;
  devices(): Promise<Device[]>;
  /** Shows how far the release is in the place of the table, until what is returned is called. */
  follow(name: string): () => void;
};

export type Wish = ImageWish & { name: string; securityCounter: number; by?: readonly ReleaseKey[] };

export type StageDeps = {
  rollouts: Rollouts;
  whyNot: string | undefined;
  author: string;
  client: Pick<KubeClient, 'get' | 'list'>;
  kubectl(args: string[], manifest: { yaml: string; about: string }): Promise<Ran>;
  hedgerow(words: readonly string[], as: Person): Promise<Ran>;
  show(text: string): void;
  screen: Pick<Screen, 'table' | 'paint'>;
  /** Of the fleet, when no release is followed. */
  table: Parameters<Screen['table']>[0];
  startCameras(): Promise<CameraFleet>;
};

export function rolloutStage(deps: StageDeps): RolloutStage {
  const { rollouts, client } = deps;
  let cameras: Promise<CameraFleet> | undefined;
  const get = (name: string): Promise<Release | undefined> => client.get<Release>(FIRMWARE_RELEASES, { name, namespace: CAMERA_SITE });
  return {
    ...{ rollouts, whyNot: deps.whyNot, hedgerow: deps.hedgerow, get },
    cameras: () => {
      cameras ??= deps.startCameras();
      return cameras;
    },
    sign(wish) {
      const { name, by = [] } = wishOf(wish);
      deps.show(`$ kubectl hedgerow firmware sign ${name}.dsse.json --release ${name}.yaml ${by.map((key) => `--key ${key}`).join(' ')}`);
      return rollouts.trust.sign(wishOf(wish));
    },
    apply(signed, about) {
      const manifest = rollouts.release(signed, { ...about, site: CAMERA_SITE, author: deps.author });
      return deps.kubectl(['apply', '-f', '-'], {
        yaml: toYaml([manifest]),
        about: `FirmwareRelease ${about.name}, ${COMPONENT} ${signed.version}`,
      });
    },
    until(name, what, look) {
      let last: Release | undefined;
      return patiently(
        `FirmwareRelease ${name} ${what}`,
        async () => {
          last = await get(name);
          return last === undefined ? undefined : look(last);
        },
        { everyMs: 100, describe: () => JSON.stringify(last?.status ?? 'no status') },
      );
    },
    devices: () => client.list<Device>(DEVICES, { namespace: CAMERA_SITE }),
    follow(name) {
      let waves: readonly WaveView[] = [];
      const look = async (): Promise<void> => {
        const seen = await get(name).catch(() => undefined);
        waves = STAGES.map(({ stage, count }) => ({
          ...seen?.status?.waves?.find((wave) => wave.name === stage),
          name: stage,
          target: count,
        }));
      };
      const timer = setInterval(() => void look(), LOOK_EVERY_MS);
      deps.screen.table((width, height) => rolloutLines(name, waves, deps.screen.paint, width, height));
      return () => {
        clearInterval(timer);
        deps.screen.table(deps.table);
      };
    },
  };
}

export const conditionOfRelease = (release: Release, type: string): Condition | undefined =>
  release.status?.conditions?.find((one) => one.type === type);

export function wishOf({ name, securityCounter, by = ['ci', 'cleo'], ...image }: Wish): ReleaseWish {
  const about = { component: COMPONENT, classId: CAMERA_CLASS, models: [CAMERA_MODEL], version: image.version };
  return { ...about, name, securityCounter, by, image: makeImage(image) };
}
