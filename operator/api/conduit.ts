// The only ways in and out of a segment: what leads out (conduit) and what is let in (acceptFrom). Both sides must grant a flow.
import { Type } from 'typebox';
import { label, labelSelector } from './fields.ts';
import { choice, count, list, object, rule, text, time } from './schema.ts';
import { grantRules, MAX_TOPIC_LENGTH } from './topic.ts';

export function cidr(description: string) {
  return text(description, {
    max: 43,
    min: 3,
    rules: [
      rule(
        'HR-API-010',
        'isCIDR(self) && cidr(self) == cidr(self).masked()',
        'write the network address and the prefix length with no bits set behind it, for example 10.20.0.0/16',
      ),
    ],
  });
}

const port = object('One port.', {
  protocol: choice(['TCP', 'UDP', 'SCTP'], 'TCP, UDP or SCTP. Default: TCP.', { default: 'TCP' }),
  port: count('Port number, 1 to 65535.', { min: 1, max: 65535 }),
});

const conduitTarget = object(
  'Where the conduit leads: exactly one of segment, workload and cidr.',
  {
    namespace: Type.Optional(label("Namespace of the segment. Default: the policy's own.")),
    segment: Type.Optional(label('Name of a SegmentPolicy.')),
    workload: Type.Optional(
      object('Pods that belong to no segment.', {
        podSelector: labelSelector('Labels of the pods.'),
        namespaceSelector: Type.Optional(labelSelector("Labels of their namespaces. Default: the policy's own namespace.")),
      }),
    ),
    cidr: Type.Optional(cidr('Addresses outside the cluster, for example 192.0.2.0/24.')),
  },
  {
    rules: [
      rule(
        'HR-API-009',
        '(has(self.segment) ? 1 : 0) + (has(self.workload) ? 1 : 0) + (has(self.cidr) ? 1 : 0) == 1',
        'a conduit leads to exactly one of segment, workload and cidr: make one conduit for each',
      ),
      rule(
        'HR-API-009',
        '!has(self.__namespace__) || has(self.segment)',
        'namespace goes with segment only: remove it, or name the segment',
      ),
    ],
  },
);

export const conduit = object('One way out of the segment, in one direction, named after who initiates.', {
  name: label('Name of the conduit, unique in the policy.'),
  to: conduitTarget,
  ports: list('Ports at the other end; at least one.', port, { max: 16, min: 1 }),
  expires: Type.Optional(time('When the conduit closes by itself (RFC 3339). Required for maintenance. Default: never.')),
  justification: Type.Optional(
    text('Why it is needed. Required when trust rises other than to a gateway (trust 3). Default: empty.', { max: 512 }),
  ),
});

export const accepted = object(
  "One segment whose flows this one accepts. A flow exists only when both sides grant it: the other side's conduit and this entry.",
  {
    namespace: Type.Optional(label("Namespace of the other segment. Default: the policy's own.")),
    segment: label('Name of the other SegmentPolicy.'),
    ports: Type.Optional(list('Ports of this segment that it may reach. Default: none.', port, { max: 16 })),
    topics: Type.Optional(
      list(
        'Topics of this segment that its devices may use, as far as its own spec.topics asks for them. Default: none.',
        object(
          'One right.',
          {
            topic: text(
              'MQTT topic filter of this segment, for example dt/{segment}/+/temperature. {segment} stands for this segment, {device} for the device of the other one that uses it.',
              { max: MAX_TOPIC_LENGTH, min: 1 },
            ),
            action: choice(['publish', 'subscribe'], 'What the other segment may do: publish or subscribe.'),
          },
          { rules: grantRules() },
        ),
        { max: 16, keys: ['topic', 'action'] },
      ),
    ),
  },
  {
    rules: [
      rule(
        'HR-API-009',
        '(has(self.ports) && self.ports.size() > 0) || (has(self.topics) && self.topics.size() > 0)',
        'this acceptFrom entry grants nothing: name ports or topics, or remove the entry',
      ),
    ],
  },
);
