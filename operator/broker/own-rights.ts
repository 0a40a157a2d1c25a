// Rights of the clients that Hedgerow is itself: the drivers of rollouts, and the listener of the operator. Theirs are the only topics that name no segment and no device.
import { LISTENER, ROLLOUT_SEGMENT } from '../api/names.ts';
import type { SegmentRights, TopicRight } from './broker.ts';

/** What devices say of their firmware, and what was said to them (docs/reference/firmware-protocol.md). */
const HEARD: readonly TopicRight[] = ['state', 'hello', 'directive', 'log'].map((word) => ({ topic: `ota/v1/d/+/${word}` }));

/** One rule to publish; the one to subscribe is that of the listener too. */
export const ROLLOUT_RIGHTS: SegmentRights = {
  segment: ROLLOUT_SEGMENT,
  publish: [{ topic: 'ota/v1/d/+/directive', qosMax: 1 }],
  subscribe: [...HEARD],
};

export const LISTENER_RIGHTS: SegmentRights = { segment: LISTENER, publish: [], subscribe: [...HEARD] };
