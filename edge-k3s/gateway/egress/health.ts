// How the site is, in numbers, every five minutes: never who is there. Not part of the state: what a gateway has not sent before it was killed, the next one says anew.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Output } from '../core/output.ts';

export type HealthOptions = {
  out(output: Output): void;
  clock: Pick<Clock, 'now' | 'sleep'>;
  read(): HealthReadings;
};
export type HealthReadings = {
  devices: number;
  /** Windows that were of too few devices, since the state began. */
  suppressed: number;
  spoolBytes: number;
  spoolMaxBytes: number;
  /** Of the uplink. */
  certificateEndsMs: number | undefined;
};

export type Health = {
  /** A message of a device was taken. */
  heard(device: string): void;
  refused(): void;
  run(signal: AbortSignal): Promise<void>;
};

const EVERY_MS = 300_000;
/** With fewer it would say of single devices whether they are there. */
const LEAST_HEARD = 5;
const DAY_MS = 86_400_000;

export function createHealth({ out, clock, read }: HealthOptions): Health {
  let heard = new Set<string>();
  let [messages, refused, suppressed] = [0, 0, 0];

  function tell(fromMs: number, toMs: number): void {
    const { certificateEndsMs, ...now } = read();
    const body = {
      ...({ type: 'Health', ...now, messages, refused, suppressed: Math.max(0, now.suppressed - suppressed) } as const),
      ...(now.devices < LEAST_HEARD ? {} : { heard: heard.size }),
      ...(certificateEndsMs === undefined ? {} : { certificateDays: Math.floor((certificateEndsMs - toMs) / DAY_MS) }),
    };
    // A clock that was set back in between does not make it end before it began.
    out({ segment: '', device: '', id: `${toMs}`, subject: 'health', rev: 0, fromMs: Math.min(fromMs, toMs), toMs, body });
    heard = new Set();
    [messages, refused, suppressed] = [0, 0, now.suppressed];
  }

  return {
    heard(device) {
      messages += 1;
      heard.add(device);
    },
    refused() {
      refused += 1;
    },
    async run(signal) {
      ({ suppressed } = read());
      for (let fromMs = clock.now(); ; ) {
        await clock.sleep(EVERY_MS, signal).catch(() => undefined);
        if (signal.aborted) return;
        const toMs = clock.now();
        tell(fromMs, toMs);
        fromMs = toMs;
      }
    },
  };
}
