// The door of the inventory room: what devices say of their firmware by themselves, kept in their records (docs/adr/0031-driver-rights.md). What becomes of a
// release is written by its driver; here is what comes without one: the first hello, a change by hand, an image that went back days after it was confirmed.
import { readFile } from 'node:fs/promises';
import { Counter } from 'prom-client';
import type { DeviceStatus } from '../api/device.ts';
import { LISTENER } from '../api/names.ts';
import { apiVersionOf, DEVICES } from '../api/resources.ts';
import { readHello, readState } from '../firmware/firmware.ts';
import type { OwnCertificate } from '../identity/identity.ts';
import { createBackoff } from '../kube/backoff.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, refOf } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type Delivery, openSubscriber, type Target } from '../runtime/mqtt-subscriber.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import type { Random } from '../runtime/random.ts';
import { writeStatus } from '../runtime/status.ts';
import { createHearing, SETTLE_MS } from './hearing.ts';
import { hasRolledBack } from './record.ts';

/** What this room needs to know of a Device. */
export type DeviceOfInventory = { uid: string; resourceVersion: string; status: DeviceStatus | undefined };

export type InventoryDeps = {
  client: Pick<KubeClient, 'mergePatch'>;
  /** Where devices reach the broker; `caFile`: by what the listener knows it (default: the system's CAs). */
  target: Target;
  caFile: string | undefined;
  /** A certificate for LISTENER as client and segment. Rejects with a sentence. */
  certificate(signal: AbortSignal): Promise<OwnCertificate>;
  devices: {
    get(key: Key): DeviceOfInventory | undefined;
    /** The key of the Device of this name on the wire; of a name that is none, one that no Device has. */
    keyOf(wireName: string): Key;
  };
  recorder: Pick<Recorder, 'event'>;
  /** How long what a device says has to stay so. */
  settleMs?: number;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export type Inventory = {
  /** Hears, while this process leads. Ends with the signal. */
  run(signal: AbortSignal): Promise<void>;
  /** Writes; to be run while this process leads. */
  controller: Controller;
  /** Whether a client that calls itself the listener is the one of this process, by the MD5 of its certificate. */
  isListener(md5: string): boolean;
  /** The Device has another status, or is gone. */
  changed(device: Key): void;
};

const FILTERS = ['ota/v1/d/+/hello', 'ota/v1/d/+/state'];
/** The largest message of the protocol has 16,384 bytes. */
const MOST_BYTES = 32_768;
const CONCURRENCY = 4;
/** The text that grants it may be on its way, or EMQX has lost it. */
const REFUSED_MS = 5_000;
/** A certificate is replaced this long before it ends. */
const RENEW_BEFORE_MS = 3_600_000;
/** Of a directive that has come to no end on the device. */
const AT_WORK: ReadonlySet<string> = new Set(['Accepted', 'Deferred', 'Downloading', 'Verified', 'Staged', 'Rebooting', 'Testing']);

export function createInventory(deps: InventoryDeps): Inventory {
  const { clock, devices } = deps;
  const log = deps.log.child({ room: 'inventory' });
  const settleMs = deps.settleMs ?? SETTLE_MS;
  const hearing = createHearing(settleMs);
  let own: OwnCertificate | undefined;
  const messages = new Counter({
    name: 'fleet_firmware_messages_total',
    help: 'Hellos and states of devices that the operator heard, by what became of them: taken, unknown (no Device of this name), or the code of the refusal',
    labelNames: ['result'],
    registers: [deps.metrics.registry],
  });

  function hear({ topic, payload }: Delivery): void {
    const [, device = '', word] = /^ota\/v1\/d\/([^/]+)\/(hello|state)$/.exec(topic) ?? [];
    const key = devices.keyOf(device);
    const known = devices.get(key);
    if (known === undefined) return void messages.inc({ result: 'unknown' });
    const problem = word === 'hello' ? hello(key, known, device, payload) : state(key, device, payload);
    messages.inc({ result: problem ?? 'taken' });
    if (problem !== undefined) log.debug({ device, code: problem }, 'a message of a device was dropped');
  }

  function hello(key: Key, { status }: DeviceOfInventory, device: string, payload: Uint8Array): string | undefined {
    const read = readHello(device, payload);
    if (!read.ok) return read.problem.code;
    const isNews = hearing.hello(key, read.message.components, status?.firmware, clock.now());
    if (isNews) controller.queue.add(key, { afterMs: settleMs });
    return undefined;
  }

  function state(key: Key, device: string, payload: Uint8Array): string | undefined {
    const read = readState(device, payload);
    if (!read.ok) return read.problem.code;
    const { component, state: said } = read.message;
    if (hearing.atWork(key, component, AT_WORK.has(said), clock.now())) controller.queue.add(key, { afterMs: settleMs });
    return undefined;
  }

  async function reconcile(key: Key, { signal }: ReconcileContext): Promise<Outcome> {
    const device = devices.get(key);
    if (device === undefined) {
      hearing.forget(key);
      return done;
    }
    const { status, uid, resourceVersion } = device;
    const { records, changed, againMs } = hearing.due(key, status?.firmware, clock.now());
    if (changed.length > 0) {
      const target = { ref: refOf(key), uid, status, resourceVersion };
      // What differs is written, and refused when the Device is another than this cache shows: then it is looked at again.
      await writeStatus(deps.client, DEVICES, target, { ...status, firmware: records }, { signal });
      for (const component of changed)
        if (hasRolledBack(status?.firmware?.[component], records[component] ?? { version: '', digest: '' }))
          announce(key, uid, component, records);
    }
    return againMs === undefined ? done : { kind: 'requeue', afterMs: againMs, reason: 'not at rest yet' };
  }

  function announce(key: Key, uid: string, component: string, records: NonNullable<DeviceStatus['firmware']>): void {
    const { version = '', release = 'its release' } = records[component] ?? {};
    deps.recorder.event(
      { apiVersion: apiVersionOf(DEVICES), kind: DEVICES.kind, ...refOf(key), uid },
      {
        type: 'Warning',
        reason: 'FirmwareRolledBack',
        message: `${component}: it had confirmed ${release} and runs ${version} now`,
        action: 'Hear',
      },
    );
  }

  async function certificate(signal: AbortSignal): Promise<OwnCertificate> {
    if (own === undefined || own.notAfterMs - clock.now() < RENEW_BEFORE_MS) own = await deps.certificate(signal);
    return own;
  }

  /** One connection from its beginning to its end; gives why it ended. */
  async function connection(signal: AbortSignal): Promise<string> {
    const { certificate: chain, key, notAfterMs } = await certificate(signal);
    const ca = deps.caFile === undefined ? undefined : await readFile(deps.caFile, 'utf8');
    const who = { ca, certificate: chain, key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), clientId: LISTENER };
    const listening = await openSubscriber(deps.target, who, { name: 'listener', qos: 0, mostBytes: MOST_BYTES, take: hear, clock });
    const close = (): void => listening.close();
    signal.addEventListener('abort', close, { once: true });
    const renewal = clock.setTimer(Math.max(notAfterMs - RENEW_BEFORE_MS - clock.now(), 0), close);
    try {
      if (signal.aborted) close();
      await subscribe(listening.subscribe, signal);
      return await listening.ended;
    } finally {
      renewal.cancel();
      signal.removeEventListener('abort', close);
      close();
    }
  }

  async function subscribe(ask: (filters: readonly string[]) => Promise<number | undefined>, signal: AbortSignal): Promise<void> {
    for (let isFirst = true; ; isFirst = false) {
      const code = await ask(FILTERS);
      if (code === undefined) return void log.info({}, 'the operator hears what devices say of their firmware');
      if (isFirst) log.warn({ code: `0x${code.toString(16)}` }, 'the broker does not let the listener hear devices yet; it is tried again');
      await clock.sleep(REFUSED_MS, signal);
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    const backoff = createBackoff(deps.random);
    while (!signal.aborted) {
      const startedAt = clock.elapsed();
      const why = await connection(signal).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
      if (signal.aborted) return;
      log.warn({ found: why }, 'the operator does not hear devices; it connects again');
      await clock.sleep(backoff.next(clock.elapsed() - startedAt), signal).catch(() => undefined);
    }
  }

  const controller = createController({ name: 'inventory', concurrency: CONCURRENCY, reconcile, clock, log, metrics: deps.metrics });
  return {
    run,
    controller,
    isListener: (md5) => own?.md5 === md5,
    changed(device) {
      if (devices.get(device) === undefined) hearing.forget(device);
    },
  };
}
