// The meter at work beside the core: it hears of every message, says what it found each minute, and gives on whom the operator is asked to shut.
import type { GatewayConfig } from '../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import { type Asks, createAsks } from '../ask/asks.ts';
import type { Output } from '../core/output.ts';
import type { Devices } from '../site/devices.ts';
import { createMeter, type Meter } from './meter.ts';

export type Security = Pick<Meter, 'count' | 'configure' | 'forget'> &
  Pick<Asks, 'standing'> & {
    /** A session with the broker began. */
    resumed(): void;
    /** Until the signal aborts. */
    run(signal: AbortSignal): Promise<void>;
  };

export type SecurityOptions = {
  config: GatewayConfig;
  devices: Pick<Devices, 'get'>;
  /** What is to leave, if it may. */
  put(output: Output): void;
  clock: Pick<Clock, 'now' | 'sleep'>;
};

const TICK_MS = 1_000;

export function createSecurity({ config, devices, put, clock }: SecurityOptions): Security {
  const meter = createMeter(clock.now());
  const asks = createAsks(config.site, devices);
  meter.configure(config);
  return {
    count: meter.count,
    configure: meter.configure,
    forget: meter.forget,
    standing: asks.standing,
    resumed: () => meter.resumed(clock.now()),
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(TICK_MS, signal).catch(() => undefined);
        if (signal.aborted) return;
        const { outputs, raised } = meter.tick(clock.now());
        for (const output of outputs) put(output);
        for (const one of raised) asks.raise(one);
      }
    },
  };
}
