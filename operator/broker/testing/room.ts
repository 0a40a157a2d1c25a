// A room around the EMQX in memory, with a clock that stands still until the test moves it.

import { FakeClock } from '../../runtime/clock.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { seededRandom } from '../../runtime/random.ts';
import type { Ban, Broker, DesiredBroker, Incident, Override, SegmentRights } from '../broker.ts';
import { brokerMetrics } from '../broker-metrics.ts';
import { createEmqx } from '../emqx.ts';
import { createRoom } from '../room.ts';
import { FakeEmqx } from './fake-emqx.ts';

export const OFFICE = 'office.berlin';
export const LAB = 'lab.berlin';
export const THERMO = 'thermo-1.berlin';
export const MD5 = 'a'.repeat(32);

export const rights = (segment: string, subscribe = 'cmd/{segment}/{device}/#'): SegmentRights => ({
  segment,
  publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }],
  subscribe: [{ topic: subscribe }],
});
export const revoked = (who: string, as: Ban['as'] = 'clientid'): Ban => ({
  as,
  who,
  until: 'infinity',
  reason: 'revoked',
  by: `hedgerow/${who}`,
});
export const quarantined = (client: string): Override => ({ client, kind: 'quarantine', rules: [] });

export class RoomScene {
  readonly clock = new FakeClock();
  readonly emqx = new FakeEmqx(this.clock);
  segments: SegmentRights[] = [rights(OFFICE), rights(LAB)];
  bans: Ban[] = [];
  overrides: Override[] = [];
  trust: DesiredBroker['trust'];
  verdicts = new Map<string, ReturnType<DesiredBroker['judge']>>();
  /** Where devices are by their manifests; of others nothing is known. */
  placed = new Map<string, string>();
  /** MD5s of certificates that have a successor. */
  readonly superseded = new Set<string>();
  readonly incidents: Incident[] = [];
  /** What becomes of an incident before it counts as written down. */
  onIncident: (incident: Incident) => Promise<void> = async () => undefined;
  /** Thrown instead of an answer. */
  notReady: Error | undefined;
  asked = 0;
  /** How often what sends the events was looked after. */
  feeds = 0;
  readonly lines: string[] = [];
  readonly changes: ('all' | string[])[] = [];
  readonly room: Broker;
  readonly #stop = new AbortController();

  constructor({ canary = false } = {}) {
    const metrics = createMetrics();
    this.room = createRoom({
      emqx: createEmqx(this.emqx),
      desired: () => {
        this.asked++;
        if (this.notReady !== undefined) throw this.notReady;
        const { segments, bans, overrides, trust } = this;
        return {
          trust,
          segments: [...segments],
          bans: [...bans],
          overrides: [...overrides],
          segmentOf: (client) => this.placed.get(client),
          judge: (client, md5) => this.verdicts.get(md5) ?? this.verdicts.get(client) ?? 'ok',
          isSuperseded: (_client, md5) => this.superseded.has(md5),
        };
      },
      feed: {
        enforce: async () => {
          this.feeds++;
        },
      },
      incident: async (incident) => {
        await this.onIncident(incident);
        this.incidents.push(incident);
      },
      canary,
      clock: this.clock,
      random: seededRandom(1),
      log: createLog({ level: 'debug', write: (line) => void this.lines.push(line) }),
      metrics,
      brokerMetrics: brokerMetrics(metrics.registry),
    });
    this.room.onChange((clients) => void this.changes.push(clients === 'all' ? 'all' : [...clients]));
  }

  /** Runs the room until the first pass is through. */
  async start(): Promise<void> {
    void this.room.controller.run(this.#stop.signal);
    await this.clock.advance(0);
  }

  stop(): void {
    this.#stop.abort(new Error('the test is over'));
  }

  state(client = THERMO, segment = OFFICE): string {
    return this.room.authorization(client, segment).state;
  }

  /** What was written while `work` ran. */
  async writesOf(work: () => Promise<unknown> | undefined): Promise<string[]> {
    const before = this.emqx.writes.length;
    await work();
    return this.emqx.writes.slice(before);
  }
}
