// Takes questions for last values and sends the answers, as many in a second as the gateway can spare.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Outgoing } from '../mqtt/link.ts';
import type { Devices } from '../site/devices.ts';
import type { LastAlerts } from './alerted.ts';
import { answerOf, readQuestion } from './answer.ts';
import type { Latest } from './latest.ts';

export type DeskOptions = {
  latest: Pick<Latest, 'of'>;
  alerts: Pick<LastAlerts, 'of'>;
  devices: Pick<Devices, 'get'>;
  publish(message: Outgoing): Promise<number | undefined>;
  clock: Pick<Clock, 'now' | 'elapsed'>;
  asked(result: 'answered' | 'malformed' | 'unknown' | 'busy'): void;
};

export type Desk = { offer(topic: string, payload: Buffer): void };

/** Telemetry comes first: an answer costs as much as a few messages. */
const MOST_PER_SECOND = 100;
/** Who asks waits no longer. */
const EXPIRY_SECONDS = 30;

export function createDesk({ latest, alerts, devices, publish, clock, asked }: DeskOptions): Desk {
  let [sinceMs, answered] = [Number.NEGATIVE_INFINITY, 0];
  return {
    offer(topic, payload) {
      const nowMs = clock.elapsed();
      if (nowMs - sinceMs >= 1_000) [sinceMs, answered] = [nowMs, 0];
      answered += 1;
      if (answered > MOST_PER_SECOND) return asked('busy');
      const question = readQuestion(topic, payload);
      if (question === undefined) return asked('malformed');
      const reader = devices.get(question.reader);
      if (reader?.lifecycle !== 'Active') return asked('unknown');
      asked('answered');
      // Whoever gets none asks again.
      const { device } = question;
      const known = { latest: latest.of(device), alerts: alerts.of(device) };
      void publish({ ...answerOf(question, reader, known, clock.now()), expirySeconds: EXPIRY_SECONDS });
    },
  };
}
