/** Where one recording is played again: a stand-in of its own, and what is known about the recording's names and times. */

import type { Json } from '../config.ts';
import type { RestAnswer } from '../rest-client.ts';
import { type Attempt, type Device, type DeviceOptions, tryConnect } from '../testing/device.ts';
import type { Identity } from '../testing/pki.ts';
import type { World } from '../testing/world.ts';
import { firstTime } from './mask.ts';
import type { Entry, Version } from './recording.ts';

export type Stage = {
  version: Version;
  world: World;
  /** When the recording was made and when it is played, in ms. */
  recordedAt: number;
  playedAt: number;
  /** Recorded text to the text of now, in paths and bodies of requests. */
  names: Map<string, string>;
  identities: Map<string, Identity>;
  devices: Map<string, Device>;
  /** A REST call that must succeed: something that happened between the recorded exchanges. */
  call(method: string, path: string, body?: Json): Promise<RestAnswer>;
  /** The ACL text of the file source. */
  text(rules: string): Promise<void>;
  /** Connects under this name and stays connected; `as` tells two connections apart. */
  open(name: string, options?: DeviceOptions & { as?: string }): Promise<Device>;
  attempt(name: string, options?: DeviceOptions): Promise<Attempt>;
  end(...names: string[]): Promise<void>;
};

// Who is who in the recordings made before Hedgerow's own profile.
const SEGMENTS: Record<string, string> = { 'dev-1': 'seg-a', 'dev-2': 'seg-a', 'dev-3': 'seg-a', 'devb-1': 'seg-b', 'svc-1': 'svc-ingest' };

export function makeStage(version: Version, world: World, entries: readonly Entry[]): Stage {
  const identities = new Map<string, Identity>();
  const devices = new Map<string, Device>();
  const identityOf = async (name: string) => identities.get(name) ?? (await world.identity(name, SEGMENTS[name] ?? 'seg-a'));
  const stage: Stage = {
    version,
    world,
    recordedAt: firstTime(JSON.stringify(entries.map((entry) => entry.response ?? null))),
    playedAt: Date.now(),
    names: new Map(['8883', '8885', '18883'].map((port) => [`127.0.0.1:${port}`, `127.0.0.1:${world.standIn.mqttPort}`])),
    identities,
    devices,
    async call(method, path, body) {
      const answer = await world.standIn.request(method, path, body === undefined ? {} : { body });
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
      return answer;
    },
    async text(rules) {
      await stage.call('PUT', '/authorization/sources/file', { type: 'file', enable: true, rules });
    },
    attempt: async (name, options) => tryConnect(world.broker, await identityOf(name), options),
    async open(name, { as = name, ...options } = {}) {
      const attempt = await stage.attempt(name, options);
      if (!attempt.ok) throw new Error(`${name} could not connect: ${attempt.error}`);
      devices.set(as, attempt.device);
      return attempt.device;
    },
    async end(...names) {
      for (const name of names) {
        await devices.get(name)?.end();
        devices.delete(name);
      }
    },
  };
  return stage;
}
