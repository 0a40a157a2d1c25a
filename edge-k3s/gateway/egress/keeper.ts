// What goes on beside the stream of messages: who is new is taken in, who is gone is erased, and what is over by its retention goes.
import type { GatewayConfig } from '../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import type { Spool } from '../spool/spool.ts';
import type { Residents } from './residents.ts';
import { retentionOf } from './retention.ts';

export type KeeperOptions = {
  residents: Residents;
  spool: Pick<Spool, 'expire'>;
  config(): GatewayConfig;
  /** Other devices may be listened to now. */
  changed(): void;
  clock: Pick<Clock, 'now' | 'setTimer' | 'sleep'>;
  log: Log;
};

export type Keeper = {
  /** Devices or policies have changed. */
  look(): void;
  /** Resolves when those who are there were taken in: before that everybody would be a stranger. */
  readonly ready: Promise<void>;
  /** Looks after devices until the signal aborts. */
  follow(signal: AbortSignal): Promise<void>;
  retain(signal: AbortSignal): Promise<void>;
};

/** Also when nobody says that something has changed: it may have while the gateway did not run, or something failed. */
const LOOK_EVERY_MS = 10_000;
const RETAIN_EVERY_MS = 3_600_000;

export function createKeeper({ residents, spool, config, changed, clock, log }: KeeperOptions): Keeper {
  const ready = Promise.withResolvers<void>();
  let gate = Promise.withResolvers<void>();
  const look = (): void => gate.resolve();

  async function once(): Promise<void> {
    try {
      await residents.follow();
      if (residents.devices.isSynced()) ready.resolve();
    } catch (error) {
      log.warn({ err: error }, 'devices could not be taken in or erased; it is tried again');
    }
    changed();
  }

  return {
    look,
    ready: ready.promise,
    async follow(signal) {
      signal.addEventListener('abort', look, { once: true });
      while (!signal.aborted) {
        gate = Promise.withResolvers();
        await once();
        if (signal.aborted) return;
        const timer = clock.setTimer(LOOK_EVERY_MS, look);
        await gate.promise;
        timer.cancel();
      }
    },
    async retain(signal) {
      while (!signal.aborted) {
        const retention = retentionOf(config(), clock.now());
        if (retention !== undefined) {
          const expired = await spool.expire(retention.isOver, retention.beforeMs).catch((error: unknown) => {
            log.warn({ err: error }, 'what is over by its retention is still on disk; it is tried again');
            return 0;
          });
          if (expired > 0) log.info({ expired }, 'records that were over by their retention are gone');
        }
        await clock.sleep(RETAIN_EVERY_MS, signal).catch(() => undefined);
      }
    },
  };
}
