// The gateway as a process: what a site's devices say goes in, and through all stages.
import { connect } from '../../operator/kube/client.ts';
import { findConnection, KubeConfigError } from '../../operator/kube/config.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { environment } from '../../operator/runtime/environment.ts';
import { createHealthServer } from '../../operator/runtime/health.ts';
import { createLog } from '../../operator/runtime/log.ts';
import { createManager, EXIT, type ExitCode } from '../../operator/runtime/manager.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { type Closing, compose, type Known, type Parts } from './compose.ts';
import { Refused } from './errors.ts';
import type { GatewayOptions } from './options.ts';
import { readConfigFile } from './site/config-file.ts';
import { watchDevices } from './site/devices.ts';
import { openDevicesFile } from './site/devices-file.ts';

type Base = Omit<Parts, 'manager'>;

/** Runs until the signal aborts or a part fails; gives the exit code of the process. Throws `KubeConfigError` where there is no cluster to ask. */
export async function runGateway(options: GatewayOptions, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base: Base = { clock: systemClock, random: systemRandom, log, metrics };
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const manager = createManager({ ...base, health });
  const open: Closing = [];
  try {
    const config = await readConfigFile(options.configFile);
    let changed = (): void => undefined;
    const known = await knownDevices(options.devices, config.config.site, { ...base, manager }, () => changed(), open);
    const running = await compose(options, config, known, { ...base, manager }, open);
    changed = running.devicesChanged;
    health.ready({
      name: 'broker',
      failing: () => (running.listener.isConnected() ? undefined : 'there is no session at the local broker'),
    });
    log.info({ site: config.config.site, segments: config.config.segments.length }, 'the gateway starts');
    return await manager.run(signal);
  } catch (error) {
    if (error instanceof KubeConfigError) throw error;
    if (error instanceof Refused) log.error({ code: error.code, err: error }, 'the start failed');
    else log.error({ err: error }, 'the start failed');
    return EXIT.failed;
  } finally {
    for (const close of open.reverse()) await close();
  }
}

async function knownDevices(
  source: GatewayOptions['devices'],
  site: string,
  { manager, ...base }: Parts,
  onChange: () => void,
  open: Closing,
): Promise<Known> {
  if (source.kind === 'file') {
    const devices = await openDevicesFile({ file: source.file, onChange, ...base });
    manager.always({ name: 'devices', run: (stop) => devices.run(stop) });
    return { devices, client: undefined };
  }
  const connection = await findConnection({ kubeconfig: source.kubeconfig, env: environment });
  const client = connect(connection, { ...base, userAgent: 'hedgerow-gateway' });
  open.push(() => client.close());
  const devices = watchDevices(site, { ...base, client }, onChange);
  manager.cache(devices.reflector);
  return { devices, client };
}
