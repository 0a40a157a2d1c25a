// A driver in the virtual world: the core of `operator rollout` as it is, and around it what its program does with a broker and an API server, without either.
import type { X509Certificate } from 'node:crypto';
import { Core, type Tick } from '../../../operator/driver/core.ts';
import type { DeviceFacts } from '../../../operator/driver/row.ts';
import { signDirective } from '../../../operator/firmware/directive.ts';
import { readDirective } from '../../../operator/firmware/directive-reader.ts';
import type { DirectiveSigner } from '../../../operator/firmware/directive-signer.ts';
import type { Directive } from '../../../operator/firmware/messages.ts';
import type { VirtualApi } from './api.ts';
import type { Ear, Kept, VirtualBroker } from './broker.ts';
import { nonceBy, type Random } from './random.ts';
import { planOf, SITE, type Size } from './scene.ts';
import type { World } from './world.ts';

export type Sky = {
  world: World;
  broker: VirtualBroker;
  api: VirtualApi;
  ca: X509Certificate;
  size: Size;
  random: Random;
  /** Milliseconds that each tick took, and all that the drivers did. */
  spent: { ticks: number[]; allMs: number };
  /** Directives that were signed here before: read again without another look at the signature. Every tenth is looked at all the same. */
  signed: WeakMap<Uint8Array, Directive>;
};

const TICK_MS = 1000;
const RETRY_MS = 5000;

export type Pilot = { kill(): void; phase(): Tick['phase']; counts(): Tick['counts'] | undefined; refused(): ReadonlyMap<string, number> };

/** `fence`: its ticket. `signer`: its own key, newer than that of the driver before. */
export function startPilot(sky: Sky, shard: number, fence: number, signer: DirectiveSigner): Pilot {
  const { world, broker, api, random, spent } = sky;
  let isAlive = true;
  let isDirty = true;
  let next: number | undefined;
  let last: Tick | undefined;
  let reads = 0;

  function read(device: string, bytes: Uint8Array): Directive | undefined {
    const known = sky.signed.get(bytes);
    reads += 1;
    return known !== undefined && reads % 10 !== 0 ? known : readDirective(device, bytes, { ca: sky.ca, site: SITE });
  }
  const core = new Core(planOf(sky.size, shard, fence), { nonce: () => nonceBy(random), readDirective: read });
  const hear = (kind: string, device: string, bytes: Uint8Array, properties: Record<string, unknown>): void => {
    if (!isAlive) return;
    isDirty = true;
    const startedAt = performance.now();
    core.heard(`ota/v1/d/${device}/${kind}`, bytes, properties, world.now());
    spent.allMs += performance.now() - startedAt;
  };
  const ear: Ear = {
    state: (device, bytes) => hear('state', device, bytes, {}),
    hello: (device, bytes) => hear('hello', device, bytes, {}),
    directive: (device, { bytes, properties }) => hear('directive', device, bytes, properties),
    gathered: () => {
      if (isAlive) core.gathered(world.now());
      isDirty = true;
    },
    lost: () => {
      if (isAlive) world.after(RETRY_MS, listen);
    },
  };
  const listen = (): void => {
    if (!isAlive) return;
    core.connected();
    broker.listen(ear);
  };
  const see = (facts: DeviceFacts): void => {
    if (!isAlive) return;
    core.device(facts, world.now());
    isDirty = true;
  };

  function signedOf({ publish }: Tick): { name: string; kept: Kept }[] {
    return publish.map(({ directive, properties }) => {
      const made = signDirective(directive, signer);
      if (!made.ok) throw new Error(`${made.problem.code}: ${made.problem.found}`);
      sky.signed.set(made.bytes, directive);
      return { name: directive.aud, kept: { bytes: made.bytes, properties, expiresAt: directive.exp * 1000 } };
    });
  }

  function record({ record: ends }: Tick): void {
    for (const { uid, record: end } of ends) {
      api.write(uid, api.version(uid), end, (isWritten) => {
        if (!isAlive) return;
        if (isWritten) core.recorded(uid, end);
        else world.after(RETRY_MS, () => isAlive && core.notRecorded(uid));
        isDirty = true;
      });
    }
  }

  function tick(): void {
    if (!isAlive) return;
    world.after(TICK_MS, tick);
    if (!isDirty && (next === undefined || next > world.now())) return;
    isDirty = false;
    const startedAt = performance.now();
    const made = core.tick(world.now());
    spent.ticks.push(performance.now() - startedAt);
    last = made;
    next = made.next;
    if (made.isSuperseded) return void kill();
    const orders = signedOf(made);
    spent.allMs += performance.now() - startedAt;
    for (const { name, kept } of orders) broker.order(name, kept);
    record(made);
  }

  function kill(): void {
    isAlive = false;
    broker.leave(ear);
    unwatch();
  }

  const unwatch = api.watch(see);
  for (const facts of api.list()) core.device(facts, world.now());
  listen();
  world.after(TICK_MS, tick);
  return { kill, phase: () => last?.phase ?? 'Running', counts: () => last?.counts, refused: () => core.refused };
}
