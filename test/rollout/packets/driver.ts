// One driver as a process that can be killed: the loop, the core and the MQTT client of `operator rollout`. The API server is the test that started it, by messages.
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { Registry } from 'prom-client';
import { Core } from '../../../operator/driver/core.ts';
import { createDriverMetrics } from '../../../operator/driver/driver-metrics.ts';
import { drive } from '../../../operator/driver/loop.ts';
import { createMqtt } from '../../../operator/driver/mqtt.ts';
import type { DevicesPort } from '../../../operator/driver/ports.ts';
import { signDirective } from '../../../operator/firmware/directive.ts';
import { readDirective } from '../../../operator/firmware/directive-reader.ts';
import { readDirectiveSigner } from '../../../operator/firmware/directive-signer.ts';
import { systemClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { systemRandom } from '../../../operator/runtime/random.ts';
import { nonceBy } from '../../firmware/fleet/random.ts';
import { deviceOf, factsFor, planOf, SITE } from '../../firmware/fleet/scene.ts';
import type { DriverNews, DriverOrder } from './messages.ts';

type Start = DriverOrder & { kind: 'start' };

const tell = (news: DriverNews): void => void process.send?.(news);
const writing = new Map<number, () => void>();
let aheadMs = 0;
/** As the machine's, and ahead of it by the hours that were left out. */
const clock = { ...systemClock, now: () => systemClock.now() + aheadMs, elapsed: () => systemClock.elapsed() + aheadMs };

process.on('disconnect', () => process.exit(0));
process.on('message', (order: DriverOrder) => {
  if (order.kind === 'start') void run(order);
  else if (order.kind === 'jump') aheadMs += order.ms;
  else {
    writing.get(order.id)?.();
    writing.delete(order.id);
  }
});

async function run({ wire, identity, clientId, size, fence, directive, directiveCaPem, devices }: Start): Promise<void> {
  const read = readDirectiveSigner(directive, { site: SITE, now: clock.now() });
  if (!read.ok) throw new Error(read.problem.code);
  const ca = new X509Certificate(directiveCaPem);
  const stop = new AbortController();
  const mqtt = createMqtt({
    ...{ host: wire.host, port: wire.tls, clock, random: systemRandom, log: silentLog },
    credentials: async () => ({ ca: wire.caPem, certificate: identity.certPem, key: createPrivateKey(identity.keyPem), clientId }),
  });
  const core = new Core(planOf(size, 0, fence), {
    nonce: () => nonceBy(Math.random),
    readDirective: (device, bytes) => readDirective(device, bytes, { ca, site: SITE }),
  });
  void mqtt.run(stop.signal);
  const ending = await drive(
    {
      ...{ core, mqtt, clock, log: silentLog, metrics: createDriverMetrics(new Registry()), shard: 0, shards: 1, fence },
      devices: devicesOf(devices),
      wave: { onChange: () => {}, report: async (report) => tell({ kind: 'report', report }) },
      lease: { held: () => true },
      sign(order) {
        const made = signDirective(order.directive, read.signer);
        return made.ok ? made.bytes : undefined;
      },
    },
    stop.signal,
  );
  tell({ kind: 'ended', ending });
  stop.abort();
}

function devicesOf(devices: Start['devices']): DevicesPort {
  let id = 0;
  return {
    onChange(listener) {
      for (const { name, bootKeyPem, record } of devices) {
        const facts = factsFor(deviceOf(name), bootKeyPem === undefined ? undefined : createPublicKey(bootKeyPem), record);
        listener({ uid: facts.candidate.uid, facts });
      }
    },
    whenSynced: () => Promise.resolve(),
    record: ({ name, record }) =>
      new Promise((resolve) => {
        id += 1;
        writing.set(id, () => resolve(record));
        tell({ kind: 'write', id, device: name, record });
      }),
  };
}
