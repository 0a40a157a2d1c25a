// SegmentPolicy: one zone of the fleet. From one text follow topic rights at the broker and NetworkPolicies in the cluster.
import { type Static, Type } from 'typebox';
import { accepted, cidr, conduit } from './conduit.ts';
import { conditions, label, labelSelector, objectName, observedGeneration, SELECTS_SOMETHING } from './fields.ts';
import { AGE, conditionColumn, type KindDefinition, type KindObject } from './kind.ts';
import { localRules } from './local-rule.ts';
import { SEGMENT_POLICIES } from './resources.ts';
import { choice, count, flag, list, object, rule, text } from './schema.ts';
import { egress, payload, rawEgress, retention, telemetry } from './telemetry.ts';
import { MAX_TOPIC_LENGTH, topicPattern, topicRules } from './topic.ts';

const podSelector = labelSelector('Labels of the pods.', {
  rules: [
    rule(
      'HR-API-008',
      SELECTS_SOMETHING,
      'an empty podSelector would take in every pod of the namespace: name labels; to close a whole namespace its administrator labels it hedgerow.dev/site',
    ),
  ],
});

const workload = object('Pods that belong to the segment.', {
  podSelector,
  namespaceSelector: Type.Optional(
    labelSelector("Labels of other namespaces whose pods belong to it. Default: this policy's namespace only."),
  ),
});

const network = object('An address range where devices of the segment live.', {
  cidr: cidr('The range, for example 10.20.0.0/16.'),
  except: Type.Optional(
    list('Ranges inside it that do not belong to the segment. Default: none.', cidr('One range.'), { max: 16, set: true }),
  ),
  preservesSourceIP: flag('Whether the devices are seen with these addresses in the cluster (no source NAT on the way). Default: false.', {
    default: false,
  }),
});

const qosMax = Type.Unsafe<0 | 1 | 2>({
  type: 'integer',
  enum: [0, 1, 2],
  description: 'Highest quality of service, 0 to 2. Default: 1.',
  default: 1,
});

const justification = text(
  'Why the topics of a segment of higher trust that is no gateway (trust 3) are needed; required for those. Default: empty.',
  { max: 512 },
);

const publish = object('One right to publish.', {
  topic: text('MQTT topic filter, at most 8 levels, for example dt/{segment}/{device}/#. Topics of other segments need their acceptFrom.', {
    max: MAX_TOPIC_LENGTH,
    min: 1,
    pattern: topicPattern('publish'),
    rules: topicRules('publish'),
  }),
  qosMax,
  retain: flag('Whether it may publish retained messages. Default: false.', { default: false }),
  justification: Type.Optional(justification),
});

const subscribe = object('One right to subscribe.', {
  topic: text(
    'MQTT topic filter, at most 8 levels, for example cmd/{segment}/{device}/#. Topics of other segments need their acceptFrom.',
    {
      max: MAX_TOPIC_LENGTH,
      min: 1,
      pattern: topicPattern('subscribe'),
      rules: topicRules('subscribe'),
    },
  ),
  qosMax,
  justification: Type.Optional(justification),
});

const topics = object(
  'What each device of the segment may do at the broker. {device} stands for <device>.<namespace>, {segment} for <segment>.<namespace>; there are no other placeholders. Firmware and recovery topics are granted to every device and need not be repeated.',
  {
    publish: Type.Optional(list('What it may publish. Default: nothing.', publish, { max: 32, keys: ['topic'] })),
    subscribe: Type.Optional(list('What it may subscribe to. Default: nothing.', subscribe, { max: 32, keys: ['topic'] })),
  },
);

const rate = (description: string, pattern: string, cure: string) =>
  text(description, { max: 24, min: 2, pattern, code: 'HR-API-015', cure });

const limits = object(
  'What one device may use. EMQX keeps such limits for a whole listener only, so each that is written stands in status.gaps with what to set there; messages and bytes are also measured, and a device above them says LimitExceeded. Default: the broker listener limits only.',
  {
    connectRate: Type.Optional(
      rate('Connections, for example 5/m.', '^[0-9]{1,6}/[smh]$', 'write a number per s, m or h, for example 5/m'),
    ),
    messages: Type.Optional(
      rate(
        'Messages it publishes, for example 10/s. Measured over a minute, or over the hour where it is given by the hour.',
        '^[0-9]{1,6}/[smh]$',
        'write a number per s, m or h, for example 10/s',
      ),
    ),
    bytes: Type.Optional(
      rate(
        'Bytes it sends, with all that MQTT adds, for example 20KiB/s. Measured like messages.',
        '^[0-9]{1,6}(KiB|MiB)?/[smh]$',
        'write bytes per s, m or h, for example 20KiB/s',
      ),
    ),
    maxPacket: Type.Optional(rate('Largest packet, for example 16KiB.', '^[0-9]{1,6}(KiB|MiB)?$', 'write a size, for example 16KiB')),
  },
);

const keyRef = (description: string) =>
  object(description, {
    name: objectName('Name of the object in this namespace.'),
    key: text('Key in its data.', { max: 253, min: 1 }),
  });

/** What stands in a list of serial numbers, and in spec.hardware.serial of the Device that follows from it. */
const SERIAL_PATTERN = '^[A-Za-z0-9*?._:/+-][A-Za-z0-9*?._:/+ -]{0,63}$';

const fingerprint = text('SHA-256 of one CA certificate, 64 hexadecimal digits or as openssl prints it with colons.', {
  max: 95,
  min: 64,
  pattern: '^([0-9a-f]{64}|([0-9A-F]{2}:){31}[0-9A-F]{2})$',
  code: 'HR-API-015',
  cure: 'paste what follows the equals sign of: openssl x509 -in ca.crt -noout -fingerprint -sha256',
});

const serials = object('Which devices may become Devices by themselves: exact serial numbers, or patterns of such.', {
  configMapRefs: Type.Optional(
    list(
      'Exact lists, one serial number a line, # begins a comment; each at most 1 MiB. Default: none.',
      keyRef('One list: a ConfigMap that est.serialLists of the chart names.'),
      {
        max: 16,
        keys: ['name', 'key'],
      },
    ),
  ),
  patterns: Type.Optional(
    list(
      'Patterns of whole serial numbers: * stands for any characters, ? for one. Each device they match waits for a person. Default: none.',
      text('One pattern, for example TMP2-2026-*.', {
        max: 64,
        min: 1,
        pattern: SERIAL_PATTERN,
        code: 'HR-API-015',
        cure: 'a pattern is letters, digits, spaces and . _ : / + - with * for any characters and ? for one',
        rules: [
          rule(
            'HR-API-020',
            "!self.matches('^[*?]') && !self.matches('[*].*[*].*[*].*[*]')",
            'a pattern begins with a character that it insists on and has at most three *: one that everything matches is no list',
          ),
        ],
      }),
      { max: 16, set: true },
    ),
  ),
});

const enrollment = object(
  'By which factory certificates devices of this segment may enrol by EST, and which of them become Devices without a manifest.',
  {
    manufacturerCA: Type.Optional(
      object("The manufacturer's CA of the factory certificates.", {
        secretRef: keyRef('The Secret with the CA certificates in PEM; one that est.manufacturerSecrets of the chart lists.'),
        sha256: Type.Optional(
          list(
            'The CA certificates of that Secret under which devices may become Devices by themselves, by fingerprint. Default: none; spec.enrollment.serials needs it.',
            fingerprint,
            { max: 8, set: true },
          ),
        ),
      }),
    ),
    serials: Type.Optional(serials),
    maximum: Type.Optional(count('How many Devices this policy may make by itself; approval: Auto needs it.', { min: 1, max: 1_000_000 })),
    approval: choice(
      ['Auto', 'Manual'],
      'Auto: a device whose serial number is on a list becomes a Device by itself. Manual: a person makes the Device; an Event shows the manifest. Default: Manual.',
      { default: 'Manual' },
    ),
  },
  {
    rules: [
      rule(
        'HR-API-020',
        '!has(self.serials) || (has(self.serials.configMapRefs) && self.serials.configMapRefs.size() > 0) || (has(self.serials.patterns) && self.serials.patterns.size() > 0)',
        'spec.enrollment.serials names neither a list nor a pattern: add configMapRefs (or patterns with approval: Manual), or remove it',
        '.serials',
      ),
      rule(
        'HR-API-020',
        '!has(self.serials) || (has(self.manufacturerCA) && has(self.manufacturerCA.sha256) && self.manufacturerCA.sha256.size() > 0)',
        'spec.enrollment.serials needs spec.enrollment.manufacturerCA.sha256, the fingerprint of the CA whose word counts: openssl x509 -in ca.crt -noout -fingerprint -sha256',
        '.serials',
      ),
      rule(
        'HR-API-020',
        "self.approval != 'Auto' || !has(self.serials) || !has(self.serials.patterns) || self.serials.patterns.size() == 0",
        'with spec.enrollment.serials.patterns a person approves each device, because whoever makes serial numbers up could match one: set approval: Manual, or list the serial numbers in ConfigMaps',
        '.approval',
      ),
      rule(
        'HR-API-020',
        "self.approval != 'Auto' || (has(self.serials) && has(self.serials.configMapRefs) && self.serials.configMapRefs.size() > 0)",
        'approval: Auto needs spec.enrollment.serials.configMapRefs, the exact list of serial numbers: add it, or set approval: Manual',
        '.approval',
      ),
      rule(
        'HR-API-020',
        "self.approval != 'Auto' || has(self.maximum)",
        'approval: Auto needs spec.enrollment.maximum, the number of Devices that it may make at most: set it to the size of the delivery',
        '.approval',
      ),
    ],
  },
);

const quarantine = object('What sends a device to quarantine without a person.', {
  triggers: Type.Optional(
    list(
      'Observations that quarantine a device. Default: none.',
      choice(
        ['ReplayDetected', 'SchemaFlood', 'AuthorizationDenials', 'LimitExceeded'],
        'One observation. LimitExceeded: the device sends more than limits.messages or limits.bytes, or connects more often than limits.connectRate. AuthorizationDenials: it is denied more than 30 topics a minute. connectRate and AuthorizationDenials need broker.events of the chart. ReplayDetected: the gateway of the site refused more than 30 of its messages within a minute as ones that were there before. SchemaFlood: as many as ones that fit no schema.',
      ),
      { max: 4, set: true },
    ),
  ),
  release: choice(['Manual', 'Automatic'], 'Who ends it. Default: Manual.', { default: 'Manual' }),
});

const spec = object(
  'What is wanted of the segment.',
  {
    function: Type.Optional(label('What its devices do, for people and reports, for example office-sensor.')),
    trust: count(
      'Trust, 0 to 4: 0 quarantine, 1 unverified, 2 device, 3 gateway or workload, 4 control plane. At most what the label hedgerow.dev/max-trust on the namespace says (default 3). Default: 2.',
      { max: 4, default: 2 },
    ),
    workloads: Type.Optional(list('Pods that belong to the segment. Default: none.', workload, { max: 16 })),
    networks: Type.Optional(list('Where its devices live. Default: unknown.', network, { max: 16, keys: ['cidr'] })),
    intraSegment: choice(
      ['Isolated', 'Allow'],
      'Whether members of the segment may reach each other: pods by network, devices by topics with a wildcard where {device} would stand. Default: Isolated.',
      { default: 'Isolated' },
    ),
    topics: Type.Optional(topics),
    conduits: Type.Optional(list('The only ways out. Default: none.', conduit, { max: 25, keys: ['name'] })),
    acceptFrom: Type.Optional(list('Whose conduits this segment accepts. Default: nobody.', accepted, { max: 32 })),
    limits: Type.Optional(limits),
    payload: Type.Optional(payload),
    telemetry: Type.Optional(telemetry),
    localRules: Type.Optional(localRules),
    egress,
    rawEgress: Type.Optional(rawEgress),
    retention: Type.Optional(retention),
    enrollment: Type.Optional(enrollment),
    quarantine: Type.Optional(quarantine),
    mode: choice(
      ['Enforce', 'Audit'],
      'Enforce, or Audit: compile, prove and report, apply nothing; what was enforced last stays in force. Default: Enforce.',
      {
        default: 'Enforce',
      },
    ),
  },
  {
    rules: [
      rule(
        'HR-API-004',
        "self.intraSegment == 'Allow' || !has(self.topics) || !has(self.topics.publish) || self.topics.publish.all(t, !t.topic.matches('[{]segment[}]/([^{]*/)?[+#]'))",
        'a topic of spec.topics.publish has a wildcard where {device} would stand, so one device could speak in the name of another: put {device} before it, or set intraSegment: Allow',
        '.topics.publish',
      ),
      rule(
        'HR-API-004',
        "self.intraSegment == 'Allow' || !has(self.topics) || !has(self.topics.subscribe) || self.topics.subscribe.all(t, !t.topic.matches('[{]segment[}]/([^{]*/)?[+#]'))",
        'a topic of spec.topics.subscribe has a wildcard where {device} would stand, so one device could hear another: put {device} before it, or set intraSegment: Allow',
        '.topics.subscribe',
      ),
      rule(
        'HR-API-026',
        "!has(self.quarantine) || !has(self.quarantine.triggers) || !('LimitExceeded' in self.quarantine.triggers) || (has(self.limits) && (has(self.limits.messages) || has(self.limits.bytes) || has(self.limits.connectRate)))",
        'the trigger LimitExceeded needs spec.limits.messages, bytes or connectRate: set one, or remove the trigger',
        '.quarantine',
      ),
      rule(
        'HR-API-009',
        "(self.egress == 'Raw') == has(self.rawEgress)",
        'egress: Raw goes with rawEgress.justification and rawEgress.expires',
        '.egress',
      ),
    ],
  },
);

const status = object('What is true of the segment. Written by the operator only.', {
  observedGeneration: Type.Optional(observedGeneration),
  conditions: Type.Optional(conditions),
  accepted: Type.Optional(
    object('The last spec that was accepted with mode: Enforce; it stays in force while a newer one is refused or audited.', {
      generation: count('metadata.generation of that spec.'),
      spec: Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'The spec as it was accepted.',
        'x-kubernetes-preserve-unknown-fields': true,
      }),
    }),
  ),
  counts: Type.Optional(
    object('How much there is; with mode: Audit how much there would be.', {
      devices: Type.Optional(count('Devices that name this segment.')),
      registered: Type.Optional(count('Devices that this policy made just in time and that still exist; with spec.enrollment.serials.')),
      pods: Type.Optional(count('Pods that its workloads select.')),
      conduits: Type.Optional(count('Conduits in force.')),
      networkPolicies: Type.Optional(count('NetworkPolicies made for it.')),
      brokerRules: Type.Optional(count('Topic rights it has at the broker.')),
    }),
  ),
  reach: Type.Optional(
    object(
      'Which segments reach which, with this one as one of both: by conduits, or by topics that one says and the other hears. With mode: Audit what it would be.',
      {
        pairs: Type.Optional(count('Reachable pairs of segments; the segment with itself is one when its members may reach each other.')),
        added: Type.Optional(count('Pairs that the last accepted change of this manifest added; with mode: Audit that it would add.')),
        removed: Type.Optional(count('Pairs that it removed, or would remove.')),
        modelDigest: Type.Optional(
          text('Digest of these pairs with their ports and topics, and of the conduits to addresses: it changes when any of them does.', {
            max: 80,
          }),
        ),
      },
    ),
  ),
  gaps: Type.Optional(
    list(
      "What this cluster's network or broker cannot enforce.",
      object('One gap.', {
        surface: text('Where: network, broker or gateway.', { max: 63 }),
        reason: text('One constant word.', { max: 63 }),
        affects: text('Which flows or members.', { max: 1024 }),
        mitigation: text('What to do about it.', { max: 1024 }),
      }),
      { max: 50 },
    ),
  ),
});

export const segmentPolicyKind: KindDefinition = {
  resource: SEGMENT_POLICIES,
  singular: 'segmentpolicy',
  shortNames: ['seg'],
  description:
    'A SegmentPolicy is one segment of the fleet: who belongs to it, what its devices may do at the broker, and the only conduits in and out. Everything it does not grant is denied, also after it was deleted. Its name on the wire is <segment>.<namespace>.',
  spec,
  status,
  columns: [
    { name: 'Trust', type: 'integer', description: 'Trust of the segment.', jsonPath: '.spec.trust' },
    conditionColumn('Ready', 'Ready', 'status', 'Accepted, compiled and enforced.'),
    conditionColumn('Reason', 'Ready', 'reason', 'Why it is or is not Ready.'),
    { name: 'Devices', type: 'integer', description: 'Devices that name it.', jsonPath: '.status.counts.devices' },
    { name: 'Conduits', type: 'integer', description: 'Conduits in force.', jsonPath: '.status.counts.conduits' },
    conditionColumn('Gaps', 'GapsPresent', 'status', 'Whether something cannot be enforced here.'),
    AGE,
    { name: 'Function', type: 'string', description: 'What its devices do.', jsonPath: '.spec.function', wide: true },
    { name: 'Mode', type: 'string', description: 'Enforce or Audit.', jsonPath: '.spec.mode', wide: true },
    { ...conditionColumn('Message', 'Ready', 'message', 'What Ready says, in a sentence.'), wide: true },
  ],
};

export type SegmentPolicy = KindObject<typeof spec, typeof status>;
export type SegmentPolicySpec = Static<typeof spec>;
export type SegmentPolicyStatus = Static<typeof status>;
export type Enrollment = Static<typeof enrollment>;
export type Conduit = Static<typeof conduit>;
export type AcceptFrom = Static<typeof accepted>;
export type LabelSelector = Static<typeof podSelector>;
