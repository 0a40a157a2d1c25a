// What every device keeps whatever becomes of its segment: it can be repaired (design/api.md, Topics; firmware and recovery), and it learns whom to trust as the
// broker before that changes (docs/reference/trust-message.md).
import type { ClientRule, TopicRight } from './broker.ts';

/** Retained state has one slot a device; everything else of a device is not retained. */
export const BASE_PUBLISH: readonly (TopicRight & { qosMax: 1 })[] = [
  { topic: 'ota/v1/d/{device}/hello', qosMax: 1, retain: false },
  { topic: 'ota/v1/d/{device}/log', qosMax: 1, retain: false },
  { topic: 'recovery/{device}/#', qosMax: 1, retain: false },
  { topic: 'ota/v1/d/{device}/state', qosMax: 1 },
  { topic: 'trust/v1/d/{device}/confirmed', qosMax: 1 },
];

export const BASE_SUBSCRIBE: readonly TopicRight[] = [
  { topic: 'ota/v1/d/{device}/directive' },
  { topic: 'recovery/{device}/#' },
  { topic: 'trust/v1/anchors' },
];

/** The same as rules of one client. */
export function baseRules(client: string): ClientRule[] {
  const literal = (topic: string): string => topic.replace('{device}', client);
  return [
    ...BASE_PUBLISH.map(
      (right): ClientRule => ({
        topic: literal(right.topic),
        permission: 'allow',
        action: 'publish',
        qos: [0, 1],
        ...(right.retain === false ? { retain: false } : {}),
      }),
    ),
    ...BASE_SUBSCRIBE.map((right): ClientRule => ({ topic: literal(right.topic), permission: 'allow', action: 'subscribe' })),
  ];
}
