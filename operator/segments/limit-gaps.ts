// What a policy wants of one device's use of the broker, and EMQX keeps for no segment of its own. Pure.
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import type { Segment } from './model.ts';

type Limits = NonNullable<Segment['limits']>;
type Gap = NonNullable<SegmentPolicyStatus['gaps']>[number];

/** EMQX 5.8 and 6.x alike: rates belong to a listener, the size of a packet to a zone, and both are the same for every segment that connects there. */
const AT_THE_BROKER: Readonly<Record<keyof Limits, { what: string; instead: string; counted: 'always' | 'by events' | 'never' }>> = {
  connectRate: {
    what: 'how often one device connects is not limited; max_conn_rate counts the whole listener',
    instead: 'set max_conn_rate of the listener to what the whole fleet needs; a device that goes on is shut out by an Intervention',
    counted: 'by events',
  },
  messages: {
    what: 'messages of one device are limited for all segments alike, if at all',
    instead:
      'set messages_rate of the listener to the highest that any segment needs; it counts each client by itself, so neighbours lose nothing',
    counted: 'always',
  },
  bytes: {
    what: 'bytes of one device are limited for all segments alike, if at all',
    instead:
      'set bytes_rate of the listener to the highest that any segment needs; it counts each client by itself, so neighbours lose nothing',
    counted: 'always',
  },
  maxPacket: {
    what: 'the largest packet is the same for all segments',
    instead: 'set mqtt.max_packet_size of EMQX to the highest that any segment needs',
    counted: 'never',
  },
};

/** A gap for each limit that is written, in the order of the table, and one for a trigger that would wait for events that nobody sends. */
export function limitGaps({ limits, triggers }: Pick<Segment, 'limits' | 'triggers'>, events: boolean): Gap[] {
  const follows = triggers.includes('LimitExceeded') ? QUARANTINED : FLAGGED;
  const ofLimits = (Object.keys(AT_THE_BROKER) as (keyof Limits)[]).flatMap((name): Gap[] => {
    const wanted = limits?.[name];
    if (wanted === undefined) return [];
    const { what, instead, counted } = AT_THE_BROKER[name];
    const isCounted = counted === 'always' || (counted === 'by events' && events);
    const affects = `limits.${name} ${wanted}: ${what}${isCounted ? follows : ''}`;
    return [{ surface: 'broker', reason: 'LimitPerListener', affects, mitigation: instead }];
  });
  return events || !triggers.includes('AuthorizationDenials') ? ofLimits : [...ofLimits, NOT_TOLD];
}

const NOT_TOLD: Gap = {
  surface: 'broker',
  reason: 'EventsOff',
  affects: 'spec.quarantine.triggers AuthorizationDenials: the broker tells the operator of no denials, so nobody is quarantined for them',
  mitigation: 'set broker.events of the chart (docs/guides/limits.md)',
};

/** A look every 15 s, counts that EMQX writes down every 15 s, and as long again until the look that finds it (docs/adr/0024-limits-measured.md). */
const FLAGGED =
  '; a device far above it says LimitExceeded within about a minute, and goes on (spec.quarantine.triggers: LimitExceeded ends that)';
const QUARANTINED =
  '; a device far above it says LimitExceeded and is quarantined within about a minute, as long as the budget of automatic quarantines lasts; one that is a little above it after minutes, or never';
