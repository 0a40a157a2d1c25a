// The trust room on an API server and a broker in memory, with files that the test writes. One `turn` is one look at everything.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CERTIFICATES, CONFIG_MAPS } from '../../api/resources.ts';
import type { Retained, RetainedRow } from '../../broker/broker.ts';
import { FakeApi } from '../../identity/testing/fake-api.ts';
import { FakeClock } from '../../runtime/clock.ts';
import type { EventNote } from '../../runtime/events.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { recordingLog } from '../../runtime/testing/recording-log.ts';
import type { TrustStatus } from '../state.ts';
import { createTrust } from '../trust.ts';

const STATE = { namespace: 'hedgerow', name: 'hedgerow-trust' };
const CERTIFICATE = { namespace: 'emqx', name: 'broker' };

/** The retained messages of a broker that everybody may write to: what the room believes is its own business. */
export class FakeRetained implements Pick<Retained, 'list' | 'get' | 'put'> {
  readonly messages = new Map<string, { row: RetainedRow; payload: Buffer }>();
  reads: string[] = [];
  writes: string[] = [];
  away = false;
  #ids = 0;

  async list(filter: string): Promise<RetainedRow[]> {
    this.#answer();
    const pattern = new RegExp(`^${filter.replaceAll('+', '[^/]+')}$`);
    return [...this.messages.values()].map(({ row }) => row).filter(({ topic }) => pattern.test(topic));
  }
  async get(topic: string): Promise<Buffer | undefined> {
    this.#answer();
    this.reads.push(topic);
    return this.messages.get(topic)?.payload;
  }
  async put(topic: string, payload: string): Promise<void> {
    this.#answer();
    this.writes.push(topic);
    this.publish(topic, payload, 'http_api');
  }
  publish(topic: string, payload: string | Buffer, from: string): void {
    this.messages.set(topic, { row: { topic, id: String(++this.#ids), from }, payload: Buffer.from(payload) });
  }
  #answer(): void {
    if (this.away) throw new Error('the broker is away');
  }
}

export type TrustScene = Awaited<ReturnType<typeof startTrust>>;

/** `files`: the folder of the anchors at the start. `named`: a Certificate of the broker, by the issuer servers-1. */
export async function startTrust(o: { files: Record<string, string>; key: string; named?: boolean; withoutState?: boolean }) {
  const dir = mkdtempSync(join(tmpdir(), 'trust-'));
  const api = new FakeApi();
  const retained = new FakeRetained();
  // Certificates of these tests are made now: an hour on, none of them is in the future.
  const clock = new FakeClock(Date.now() + 3_600_000);
  const log = recordingLog();
  const events: EventNote[] = [];
  const fleet = new Set<string>();
  const away = new Set<string>();
  let passes = 0;
  let stop = new AbortController();

  const write = (name: string, text: string | undefined): void =>
    text === undefined ? rmSync(join(dir, name), { force: true }) : writeFileSync(join(dir, name), text);
  for (const [name, text] of Object.entries(o.files)) write(name, text);
  write('tls.key', o.key);
  if (o.withoutState !== true) await api.create(CONFIG_MAPS, { metadata: { ...STATE } });
  await api.create(CERTIFICATES, {
    metadata: { ...CERTIFICATE, generation: 1 },
    spec: { issuerRef: { name: 'servers-1' } },
    status: { conditions: [{ type: 'Ready', status: 'True', observedGeneration: 1 }] },
  } as never);

  const scene = {
    ...{ api, retained, clock, log, events, fleet, away, write },
    start(): void {
      stop = new AbortController();
      const { controller } = createTrust({
        ...{ client: api, namespace: STATE.namespace, retained, clock, log, metrics: createMetrics() },
        options: {
          ...{ anchorsDir: dir, keyFile: join(dir, 'tls.key'), state: STATE.name, switchShare: 0.75 },
          certificate: o.named === true ? CERTIFICATE : undefined,
        },
        fleet: () => ({ inTouch: [...fleet].filter((name) => !away.has(name)), outOfTouch: [...fleet].filter((name) => away.has(name)) }),
        recorder: { event: (_regarding, note) => void events.push(note) },
        // Asked once at the end of each look.
        random: () => {
          passes += 1;
          return 0.5;
        },
      });
      void controller.run(stop.signal);
    },
    kill(): void {
      stop.abort(new Error('the operator was killed'));
    },
    /** The next look, begun and ended. */
    async turn(): Promise<void> {
      const before = passes;
      await clock.advance(16_000);
      for (let i = 0; passes === before && i < 10_000; i++) {
        await sleep(2);
        await clock.advance(0);
      }
      if (passes === before) throw new Error('the look did not end');
      await clock.advance(0);
    },
    data: (): Record<string, string> =>
      (api.objects.get(`configmaps/${STATE.namespace}/${STATE.name}`)?.data ?? {}) as Record<string, string>,
    status: (): TrustStatus => JSON.parse(scene.data()['status.json'] ?? '{}') as TrustStatus,
    published: (): string | undefined => retained.messages.get('trust/v1/anchors')?.payload.toString(),
    issuer(): string | undefined {
      const object = api.objects.get(`certificates/${CERTIFICATE.namespace}/${CERTIFICATE.name}`);
      return (object?.spec as { issuerRef: { name: string } } | undefined)?.issuerRef.name;
    },
    async patchState(data: Record<string, string | null>): Promise<void> {
      await api.mergePatch(CONFIG_MAPS, STATE, { data });
    },
    async patchCertificate(patch: object): Promise<void> {
      await api.mergePatch(CERTIFICATES, CERTIFICATE, patch);
    },
    end(): void {
      scene.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  scene.start();
  return scene;
}
