// The gateway's session at the local broker: the telemetry of all its segments.
import type { GatewayConfig, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import type { Random } from '../../../operator/runtime/random.ts';
import { untilAborted } from '../../../operator/runtime/until-aborted.ts';
import { Refused } from '../errors.ts';
import type { Outgoing } from '../mqtt/link.ts';
import type { Publish } from '../mqtt/reader.ts';
import { type Subscription, type SubscriptionOptions, subscribe } from '../mqtt/subscription.ts';
import type { Identity } from '../site/identity.ts';
import { filtersOf, ROOT } from '../sparkplug/topic.ts';
import type { Intake } from './intake.ts';
import { sortRefused } from './refused.ts';

export type ListenerOptions = {
  broker: { host: string; port: number };
  /** As it is now. */
  identity(): Identity;
  intake: Intake;
  /** What is no telemetry: topic filter, and who is told of it. */
  beside: { filter: string; offer(topic: string, payload: Buffer): void };
  config(): GatewayConfig;
  /** The session is there, or there again. */
  connected(): void;
  clock: Clock;
  random: Random;
  log: Log;
};

export type Listener = {
  /** Until the signal aborts; what is certain is acknowledged before it resolves. */
  run(signal: AbortSignal): Promise<void>;
  /** The segments are others. */
  configured(): void;
  reconnect(why: string): void;
  isConnected(): boolean;
  /** The broker's code; undefined when nothing came back. */
  publish(message: Outgoing): Promise<number | undefined>;
};

/** So many are on their way to the disk: a commit of 100 ms at 30,000 messages a second, three times over. */
const RECEIVE_MAXIMUM = 10_000;
/** For who stops: the largest payload of a segment, and its topic. */
const MOST_PACKET_BYTES = 1_048_576 + 1_024;
/** A node that is down for an hour finds what came meanwhile, as far as the broker keeps it. */
const SESSION_EXPIRY_SECONDS = 3_600;
const KEEP_ALIVE_SECONDS = 30;

export function createListener(o: ListenerOptions): Listener {
  const { log, intake } = o;
  let subscription: Subscription | undefined;
  const filters = (): string[] => [...o.config().segments.flatMap(telemetryOf), o.beside.filter];

  function changed({ connected, why, refused, filters: of }: Parameters<SubscriptionOptions['changed']>[0]): void {
    if (refused === undefined) {
      if (connected) o.connected();
      log.info({ connected, why }, 'the session at the local broker');
      return;
    }
    if (of === undefined) {
      refusedBy(why);
      return;
    }
    const ownSegment = o.config().segments.find(({ name }) => name === o.identity().segment);
    const { questions, own, missing } = sortRefused(of, o.beside.filter, ownSegment === undefined ? [] : telemetryOf(ownSegment));
    if (questions) log.info({}, 'nobody asks this gateway for last values: its segment has no topic for it');
    if (own) log.info({}, "the gateway's own segment has no telemetry for it");
    if (missing.length > 0) refusedBy(`the broker refused the subscription of ${missing.join(', ')} with code ${refused}`);
  }
  function refusedBy(why: string): void {
    const problem = new Refused('HR-GW-314', undefined, why);
    log.warn({ code: problem.code, problem: problem.message }, 'the local broker refuses the gateway; it is tried again');
  }

  return {
    async run(signal) {
      const { broker, clock, random } = o;
      let isOver = false;
      const settle = (message: Publish): void => {
        if (message.qos === 1) mine.acknowledge(message);
      };
      const receive = (message: Publish): void => {
        // Not acknowledged, so the session has it for the next start.
        if (isOver) return;
        if (message.topic.startsWith('dt/') || message.topic.startsWith(`${ROOT}/`)) {
          intake.offer(message.topic, message.payload, message, settle);
          return;
        }
        o.beside.offer(message.topic, message.payload);
        settle(message);
      };
      const mine = subscribe({
        ...{ host: broker.host, port: broker.port, servername: broker.host, credentials: o.identity, clientId: o.identity().name },
        ...{ filters: filters(), receiveMaximum: RECEIVE_MAXIMUM, maximumPacketBytes: MOST_PACKET_BYTES },
        ...{ sessionExpirySeconds: SESSION_EXPIRY_SECONDS, keepAliveSeconds: KEEP_ALIVE_SECONDS },
        ...{ receive, changed, clock, random, log },
      });
      subscription = mine;
      await untilAborted(signal);
      isOver = true;
      await intake.settled().catch(() => undefined);
      await mine.stop();
    },
    configured: () => subscription?.setFilters(filters()),
    reconnect: (why) => subscription?.reconnect(why),
    isConnected: () => subscription?.connected === true,
    publish: (message) => subscription?.publish(message) ?? Promise.resolve(undefined),
  };
}

const telemetryOf = ({ name, format }: GatewaySegment): string[] => (format === 'SparkplugB' ? filtersOf(name) : [`dt/${name}/#`]);
