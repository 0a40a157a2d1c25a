// What a policy wants of one device's use of the broker, and EMQX keeps for no segment of its own. Pure.
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import type { Segment } from './model.ts';

type Limits = NonNullable<Segment['limits']>;
type Gap = NonNullable<SegmentPolicyStatus['gaps']>[number];

/** EMQX 5.8 and 6.x alike: rates belong to a listener, the size of a packet to a zone, and both are the same for every segment that connects there. */
const AT_THE_BROKER: Readonly<Record<keyof Limits, { what: string; instead: string }>> = {
  connectRate: {
    what: 'how often one device connects is not limited; max_conn_rate counts the whole listener',
    instead: 'set max_conn_rate of the listener to what the whole fleet needs; a device that goes on is shut out by an Intervention',
  },
  messages: {
    what: 'messages of one device are limited for all segments alike, if at all',
    instead:
      'set messages_rate of the listener to the highest that any segment needs; it counts each client by itself, so neighbours lose nothing',
  },
  bytes: {
    what: 'bytes of one device are limited for all segments alike, if at all',
    instead:
      'set bytes_rate of the listener to the highest that any segment needs; it counts each client by itself, so neighbours lose nothing',
  },
  maxPacket: {
    what: 'the largest packet is the same for all segments',
    instead: 'set mqtt.max_packet_size of EMQX to the highest that any segment needs',
  },
};

/** A gap for each limit that is written, in the order of the table. */
export function limitGaps({ limits }: Segment): Gap[] {
  return (Object.keys(AT_THE_BROKER) as (keyof Limits)[]).flatMap((name): Gap[] => {
    const wanted = limits?.[name];
    if (wanted === undefined) return [];
    const { what, instead } = AT_THE_BROKER[name];
    return [{ surface: 'broker', reason: 'LimitPerListener', affects: `limits.${name} ${wanted}: ${what}`, mitigation: instead }];
  });
}
