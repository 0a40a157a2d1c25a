// Parts of a rollout by themselves, to be measured.
import { generateKeyPairSync, sign } from 'node:crypto';
import { Core } from '../../../operator/driver/core.ts';
import { nonceBy, seeded } from './random.ts';
import { factsFor, planOf, SITE, START } from './scene.ts';

/** A driver that has told all of so many devices, each of which has said hello. */
export function coreWith(devices: number): Core {
  const random = seeded(devices);
  const core = new Core(planOf({ devices, shards: 1, perMinute: 100_000, maxInFlight: devices }, 0, 1), {
    nonce: () => nonceBy(random),
    readDirective: () => undefined,
  });
  for (let at = 0; at < devices; at += 1) core.device(factsFor(`device-${at}`), START);
  core.gathered(START);
  for (let at = 0; at < devices; at += 1) hello(core, `device-${at}.${SITE}`, nonceBy(random));
  let told = 0;
  for (let now = START + 1; told < devices; now += 1) {
    const { publish } = core.tick(now);
    if (publish.length === 0) throw new Error(`the driver told ${told} of ${devices}`);
    told += publish.length;
  }
  return core;
}

function hello(core: Core, device: string, nonce: string): void {
  const components = [{ component: 'app', version: '2.3.0', digest: `sha256:${'0'.repeat(64)}`, slot: 'A', securityCounter: 4, seq: 0 }];
  const said = { v: 1, device, boot: 3, n: 1, nonce, hasClock: true, rootVersion: 1, caps: [], components };
  core.heard(`ota/v1/d/${device}/hello`, Buffer.from(JSON.stringify(said)), {}, START);
}

/** Milliseconds of as many ECDSA signatures over as many bytes as a directive has. */
export async function signaturesAlone(count: number): Promise<number> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const bytes = Buffer.alloc(1000, 'x');
  const startedAt = performance.now();
  for (let at = 0; at < count; at += 1) sign('sha256', bytes, privateKey);
  return performance.now() - startedAt;
}
