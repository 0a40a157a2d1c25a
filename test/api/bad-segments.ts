// SegmentPolicies that the API server refuses, each for one reason: all but their topics.
import type { BadManifest } from './bad-manifest.ts';
import { BAD_LABEL, conduit, LOW_TRUST, segment } from './manifests.ts';

const LABEL =
  'HR-API-002: names are RFC 1123 labels of at most 62 characters: a-z, 0-9 and -, starting and ending with a letter or digit; dots separate name and namespace in certificates and are not allowed here';
const NAME =
  'HR-API-002: metadata.name must be an RFC 1123 label of at most 62 characters: use a-z, 0-9 and - only, and start and end with a letter or digit (a dot would separate name and namespace in the certificate)';
const TRUST_LABEL = 'lower spec.trust, or ask the administrator of the namespace to set the label to a number of 0 to 4';
const EMPTY_SELECTOR =
  'HR-API-008: an empty podSelector would take in every pod of the namespace: name labels; to close a whole namespace its administrator labels it hedgerow.dev/site';
const VALUES = 'HR-API-015: In and NotIn need values, Exists and DoesNotExist take none';
const ONE_TARGET = 'HR-API-009: a conduit leads to exactly one of segment, workload and cidr: make one conduit for each';
const CIDR = 'HR-API-010: write the network address and the prefix length with no bits set behind it, for example 10.20.0.0/16';
const GRANTS_NOTHING = 'HR-API-009: this acceptFrom entry grants nothing: name ports or topics, or remove the entry';
const SHORTER = 'characters, the limit is 64: shorten the name or the namespace: it becomes the CN or OU of certificates';
const long = (length: number): string => 'x'.repeat(length);

const FINGERPRINT = 'a'.repeat(64);
const LISTS = { configMapRefs: [{ name: 'serials', key: 'list' }] };
const MAKER = { secretRef: { name: 'maker', key: 'ca.crt' }, sha256: [FINGERPRINT] };
const OWN_TOPIC = 'topic of spec.acceptFrom: a segment lets others have topics of its own only: begin with <word>/{segment}/';
const HOT = { name: 'hot', stream: 'climate', field: 'celsius', above: 30, command: { name: 'fan' } };
const accepts = (topic: string, action: string) => segment({ acceptFrom: [{ segment: 'gateways', topics: [{ topic, action }] }] });

export const BAD_SEGMENTS: readonly BadManifest[] = [
  ['a name with a dot', segment({}, { name: 'office.sensors' }), [NAME], 'onlyServer'],
  [
    'a name that is too long together with its namespace',
    segment({}, { name: long(55) }),
    [`HR-API-002: ${long(55)}.api-table has 65 ${SHORTER}`],
    'onlyServer',
  ],
  [
    'a trigger that could never fire',
    segment({ limits: { maxPacket: '16KiB' }, quarantine: { triggers: ['LimitExceeded'] } }),
    [
      'spec.quarantine: HR-API-026: the trigger LimitExceeded needs spec.limits.messages, bytes or connectRate: set one, or remove the trigger',
    ],
    'onlyServer',
  ],
  ['a function that is a sentence', segment({ function: 'measures things' }), [`spec.function: ${LABEL}`]],
  ['trust 5', segment({ trust: 5 }), ['spec.trust: spec.trust in body should be less than or equal to 4']],
  ['trust -1', segment({ trust: -1 }), ['spec.trust: spec.trust in body should be greater than or equal to 0']],
  [
    'trust 4 where the administrator said nothing',
    segment({ trust: 4 }),
    [`HR-API-014: spec.trust 4 is above 3, which the label hedgerow.dev/max-trust of the namespace allows (without it 3): ${TRUST_LABEL}`],
    'onlyServer',
  ],
  [
    'trust 2 where the administrator said 1',
    segment({ trust: 2 }, { namespace: LOW_TRUST }),
    [`HR-API-014: spec.trust 2 is above 1, which the label hedgerow.dev/max-trust of the namespace allows (without it 3): ${TRUST_LABEL}`],
    'onlyServer',
  ],
  [
    'the default trust where the administrator said 1',
    segment({}, { namespace: LOW_TRUST }),
    [`HR-API-014: spec.trust 2 is above 1, which the label hedgerow.dev/max-trust of the namespace allows (without it 3): ${TRUST_LABEL}`],
    'onlyServer',
  ],
  [
    'trust 0 where the label of the namespace is no number',
    segment({ trust: 0 }, { namespace: BAD_LABEL }),
    [
      `HR-API-014: spec.trust 0 is above nothing, because the label hedgerow.dev/max-trust of the namespace is no number of 0 to 4: ${TRUST_LABEL}`,
    ],
    'onlyServer',
  ],
  [
    'an empty podSelector',
    segment({ workloads: [{ podSelector: {} }] }),
    [`spec.workloads[0].podSelector: ${EMPTY_SELECTOR}`],
    'onlyServer',
  ],
  [
    'a podSelector of empty matchLabels',
    segment({ workloads: [{ podSelector: { matchLabels: {} } }] }),
    [`spec.workloads[0].podSelector: ${EMPTY_SELECTOR}`],
    'onlyServer',
  ],
  [
    'In without values',
    segment({ workloads: [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'In' }] } }] }),
    [`spec.workloads[0].podSelector.matchExpressions[0]: ${VALUES}`],
    'onlyServer',
  ],
  [
    'Exists with values',
    segment({ workloads: [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'Exists', values: ['x'] }] } }] }),
    [`spec.workloads[0].podSelector.matchExpressions[0]: ${VALUES}`],
    'onlyServer',
  ],
  [
    'a level of intraSegment that does not exist',
    segment({ intraSegment: 'Sometimes' }),
    ['spec.intraSegment: Unsupported value: "Sometimes": supported values: "Isolated", "Allow"'],
  ],
  ['a conduit without a name', conduit({ name: undefined }), ['spec.conduits[0].name: Required value']],
  ['a conduit whose name is a sentence', conduit({ name: 'to the gateway' }), [`spec.conduits[0].name: ${LABEL}`]],
  [
    'two conduits of one name',
    segment({ conduits: ['a', 'b'].map((to) => ({ name: 'out', to: { segment: to }, ports: [{ port: 1 }] })) }),
    ['spec.conduits[1]: Duplicate value: {"name":"out"}'],
    'onlyServer',
  ],
  ['a conduit that leads nowhere', conduit({ to: {} }), [`spec.conduits[0].to: ${ONE_TARGET}`], 'onlyServer'],
  [
    'a conduit that leads to two places',
    conduit({ to: { segment: 'gateways', cidr: '192.0.2.0/24' } }),
    [`spec.conduits[0].to: ${ONE_TARGET}`],
    'onlyServer',
  ],
  [
    'a namespace without a segment',
    conduit({ to: { namespace: 'paris', cidr: '192.0.2.0/24' } }),
    ['spec.conduits[0].to: HR-API-009: namespace goes with segment only: remove it, or name the segment'],
    'onlyServer',
  ],
  [
    'a conduit without ports',
    conduit({ ports: [] }),
    ['spec.conduits[0].ports: spec.conduits[0].ports in body should have at least 1 items'],
  ],
  [
    'port 0',
    conduit({ ports: [{ port: 0 }] }),
    ['spec.conduits[0].ports[0].port: spec.conduits[0].ports[0].port in body should be greater than or equal to 1'],
  ],
  [
    'port 65536',
    conduit({ ports: [{ port: 65_536 }] }),
    ['spec.conduits[0].ports[0].port: spec.conduits[0].ports[0].port in body should be less than or equal to 65535'],
  ],
  [
    'a protocol without ports',
    conduit({ ports: [{ port: 1, protocol: 'ICMP' }] }),
    ['spec.conduits[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"'],
  ],
  [
    'an address range with bits behind its prefix',
    conduit({ to: { cidr: '192.0.2.1/24' } }),
    [`spec.conduits[0].to.cidr: ${CIDR}`],
    'onlyServer',
  ],
  ['an address without a prefix', conduit({ to: { cidr: '192.0.2.1' } }), [`spec.conduits[0].to.cidr: ${CIDR}`], 'onlyServer'],
  [
    'a name in the place of an address range',
    conduit({ to: { cidr: 'ntp.example.org' } }),
    [`spec.conduits[0].to.cidr: ${CIDR}`],
    'onlyServer',
  ],
  [
    'an end that is no time',
    conduit({ expires: 'next week' }),
    ['spec.conduits[0].expires: spec.conduits[0].expires in body must be of type date-time: "next week"'],
  ],
  [
    '26 conduits',
    segment({ conduits: Array.from({ length: 26 }, (_, n) => ({ name: `c${n}`, to: { segment: 's' }, ports: [{ port: 1 }] })) }),
    ['spec.conduits: Too many: 26: must have at most 25 items'],
  ],
  [
    'an acceptFrom that grants nothing',
    segment({ acceptFrom: [{ segment: 'gateways' }] }),
    [`spec.acceptFrom[0]: ${GRANTS_NOTHING}`],
    'onlyServer',
  ],
  [
    'an acceptFrom with an empty list of ports',
    segment({ acceptFrom: [{ segment: 'gateways', ports: [] }] }),
    [`spec.acceptFrom[0]: ${GRANTS_NOTHING}`],
    'onlyServer',
  ],
  [
    'an acceptFrom for topics of another segment',
    accepts('dt/doors.berlin/+/x', 'subscribe'),
    [`spec.acceptFrom[0].topics[0].topic: HR-API-004: ${OWN_TOPIC}`],
    'onlyServer',
  ],
  [
    'an acceptFrom for topics of all segments',
    accepts('dt/+/+/x', 'subscribe'),
    [`spec.acceptFrom[0].topics[0].topic: HR-API-004: ${OWN_TOPIC}`],
    'onlyServer',
  ],
  [
    'an acceptFrom for a subscription that ends in +',
    accepts('dt/{segment}/+', 'subscribe'),
    [
      'spec.acceptFrom[0].topics[0].topic: HR-API-003: topic of spec.acceptFrom: a subscription may not end in +: at the broker it would admit # at that level; end it in # or in a word',
    ],
    'onlyServer',
  ],
  ['an acceptFrom of nobody', segment({ acceptFrom: [{ ports: [{ port: 1 }] }] }), ['spec.acceptFrom[0].segment: Required value']],
  [
    'a reason for raw data without egress: Raw',
    segment({ rawEgress: { justification: 'x', expires: '2026-12-01T00:00:00Z' } }),
    ['spec.egress: HR-API-009: egress: Raw goes with rawEgress.justification and rawEgress.expires'],
    'onlyServer',
  ],
  [
    'serials without a list',
    segment({ enrollment: { manufacturerCA: MAKER, serials: {} } }),
    [
      'spec.enrollment.serials: HR-API-020: spec.enrollment.serials names neither a list nor a pattern: add configMapRefs (or patterns with approval: Manual), or remove it',
    ],
    'onlyServer',
  ],
  [
    'serials without the fingerprint of a CA',
    segment({ enrollment: { manufacturerCA: { secretRef: MAKER.secretRef }, serials: LISTS } }),
    [
      'spec.enrollment.serials: HR-API-020: spec.enrollment.serials needs spec.enrollment.manufacturerCA.sha256, the fingerprint of the CA whose word counts: openssl x509 -in ca.crt -noout -fingerprint -sha256',
    ],
    'onlyServer',
  ],
  [
    'patterns with approval: Auto',
    segment({ enrollment: { manufacturerCA: MAKER, serials: { ...LISTS, patterns: ['TMP2-*'] }, maximum: 5, approval: 'Auto' } }),
    [
      'spec.enrollment.approval: HR-API-020: with spec.enrollment.serials.patterns a person approves each device, because whoever makes serial numbers up could match one: set approval: Manual, or list the serial numbers in ConfigMaps',
    ],
    'onlyServer',
  ],
  [
    'approval: Auto without a list',
    segment({ enrollment: { manufacturerCA: MAKER, maximum: 5, approval: 'Auto' } }),
    [
      'spec.enrollment.approval: HR-API-020: approval: Auto needs spec.enrollment.serials.configMapRefs, the exact list of serial numbers: add it, or set approval: Manual',
    ],
    'onlyServer',
  ],
  [
    'approval: Auto without a maximum',
    segment({ enrollment: { manufacturerCA: MAKER, serials: LISTS, approval: 'Auto' } }),
    [
      'spec.enrollment.approval: HR-API-020: approval: Auto needs spec.enrollment.maximum, the number of Devices that it may make at most: set it to the size of the delivery',
    ],
    'onlyServer',
  ],
  [
    'a pattern that everything matches',
    segment({ enrollment: { manufacturerCA: MAKER, serials: { patterns: ['*'] } } }),
    [
      'spec.enrollment.serials.patterns[0]: HR-API-020: a pattern begins with a character that it insists on and has at most three *: one that everything matches is no list',
    ],
    'onlyServer',
  ],
  [
    'a regular expression as a pattern',
    segment({ enrollment: { manufacturerCA: MAKER, serials: { patterns: ['TMP[0-9]+'] } } }),
    [
      'spec.enrollment.serials.patterns[0]: HR-API-015: a pattern is letters, digits, spaces and . _ : / + - with * for any characters and ? for one',
    ],
  ],
  [
    'a fingerprint that is none',
    segment({ enrollment: { manufacturerCA: { ...MAKER, sha256: ['b'.repeat(70)] }, serials: LISTS } }),
    [
      'spec.enrollment.manufacturerCA.sha256[0]: HR-API-015: paste what follows the equals sign of: openssl x509 -in ca.crt -noout -fingerprint -sha256',
    ],
  ],
  [
    'a maximum of nothing',
    segment({ enrollment: { maximum: 0 } }),
    ['spec.enrollment.maximum: spec.enrollment.maximum in body should be greater than or equal to 1'],
  ],
  [
    'a window of two days',
    segment({ telemetry: { window: '48h' } }),
    ['spec.telemetry.window: HR-API-037: spec.telemetry.window is 1s to 24h'],
    'onlyServer',
  ],
  [
    'a clock that may be off by any time',
    segment({ payload: { replay: { maxSkew: '25h' } } }),
    ['spec.payload.replay.maxSkew: HR-API-037: spec.payload.replay.maxSkew is 1s to 24h'],
    'onlyServer',
  ],
  [
    'trends that are kept for no time',
    segment({ retention: { trends: '0s' } }),
    ['spec.retention.trends: HR-API-037: spec.retention is 1m to 87600h'],
    'onlyServer',
  ],
  [
    'a range without values',
    segment({ telemetry: { detect: [{ stream: 'climate', field: 'celsius', min: 5, max: 4 }] } }),
    ['spec.telemetry.detect[0].max: HR-API-037: min of spec.telemetry.detect is above max: a value is never in such a range'],
    'onlyServer',
  ],
  [
    'a change that is never slow enough',
    segment({ telemetry: { detect: [{ stream: 'climate', field: 'celsius', maxPerSecond: 0 }] } }),
    ['spec.telemetry.detect[0].maxPerSecond: HR-API-037: maxPerSecond is more than 0'],
    'onlyServer',
  ],
  [
    'a rule with two limits',
    segment({ localRules: [{ ...HOT, below: 5 }] }),
    ['spec.localRules[0]: HR-API-035: a rule of spec.localRules has above or below, one of both: a range is two rules'],
    'onlyServer',
  ],
  [
    'a rule that is over while it holds',
    segment({ localRules: [{ ...HOT, back: 31 }] }),
    [
      'spec.localRules[0].back: HR-API-035: back of a rule in spec.localRules lies on the good side of its limit: at most above, at least below',
    ],
    'onlyServer',
  ],
  [
    'a command with levels',
    segment({ localRules: [{ ...HOT, command: { name: 'fan/on' } }] }),
    [
      'spec.localRules[0].command.name: HR-API-015: the name of a command is one level of a topic: a-z, 0-9 and -, beginning and ending with a letter or digit',
    ],
  ],
];
