// The broker room alone, against a stand-in in a process of its own: no cluster, only what the room is told to want.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AdoptionReport,
  type AdoptOptions,
  adopt,
  type Ban,
  type Broker,
  createBroker,
  type DesiredBroker,
  type Override,
  type SegmentRights,
} from '../../operator/broker/broker.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { createLog } from '../../operator/runtime/log.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { startWorld, type World } from '../broker/testing/world.ts';

export const OFFICE = 'office.berlin';
export const LAB = 'lab.berlin';

/** What a test wants the broker to hold, changed in place and followed by a wake. */
export type Wish = {
  segments: SegmentRights[];
  bans: Ban[];
  overrides: Override[];
  verdicts: Map<string, ReturnType<DesiredBroker['judge']>>;
  trust?: DesiredBroker['trust'];
};

export type RoomWorld = World & {
  wish: Wish;
  /** A new process of the operator, as far as the room is concerned. */
  start(options?: { canary?: boolean }): Broker;
  /** Ends the one that runs. */
  halt(): Promise<void>;
  /** What it logged. */
  lines: string[];
};

export async function startRoomWorld(): Promise<RoomWorld> {
  const world = await startWorld();
  const wish: Wish = { segments: [rightsOf(OFFICE), rightsOf(LAB)], bans: [], overrides: [], verdicts: new Map() };
  const { apiKeyFile, caFile } = connectionOf(world);
  writeFileSync(apiKeyFile, `${world.standIn.apiKey.key}:${world.standIn.apiKey.secret}\n`);
  writeFileSync(caFile, world.broker.caPem);
  const lines: string[] = [];
  let running: { stop: AbortController; ended: Promise<void> } | undefined;
  const halt = async (): Promise<void> => {
    running?.stop.abort(new Error('the test stops it'));
    await running?.ended;
    running = undefined;
  };
  return {
    ...world,
    wish,
    lines,
    start({ canary = false } = {}) {
      const room = createBroker({
        ...connectionOf(world),
        desired: () => ({
          segments: [...wish.segments],
          bans: [...wish.bans],
          overrides: [...wish.overrides],
          trust: wish.trust,
          segmentOf: () => undefined,
          judge: (client, md5) => wish.verdicts.get(md5) ?? wish.verdicts.get(client) ?? 'ok',
        }),
        canary,
        clock: systemClock,
        random: systemRandom,
        log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
        metrics: createMetrics(),
      });
      const stop = new AbortController();
      running = { stop, ended: room.controller.run(stop.signal) };
      return room;
    },
    halt,
    async stop() {
      await halt();
      await world.stop();
    },
  };
}

/** What `kubectl hedgerow adopt broker` does. */
export function adoptRoomBroker(world: RoomWorld, options: AdoptOptions): Promise<AdoptionReport> {
  return adopt({ ...connectionOf(world), clock: systemClock }, options);
}

function connectionOf(world: World): { url: string; apiKeyFile: string; caFile: string } {
  return { url: world.standIn.restUrl, apiKeyFile: join(world.dir, 'room-key'), caFile: join(world.dir, 'room-ca.pem') };
}

export const revoked = (who: string, as: Ban['as'] = 'clientid'): Ban => ({
  as,
  who,
  until: 'infinity',
  reason: 'revoked',
  by: `hedgerow/${who}`,
});
export const quarantined = (client: string): Override => ({ client, kind: 'quarantine', rules: [] });

export function rightsOf(segment: string): SegmentRights {
  return {
    segment,
    publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }],
    subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
  };
}
