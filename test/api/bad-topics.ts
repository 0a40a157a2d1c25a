// Topics that no SegmentPolicy may grant.
import type { BadManifest } from './bad-manifest.ts';
import { publishes, segment, subscribes } from './manifests.ts';

const CHARACTERS =
  'only letters, digits and . _ : @ ~ = - may be in a level (quotes, backslashes, spaces and control characters could change the rule at the broker)';
const DOLLAR = 'topics that begin with $ belong to the broker: begin with a word of your own';
const OUTSIDE =
  'begin with <word>/{segment}/, or agg/, alert/ or raw/ and the namespace; topics of other segments begin with <word>/<segment>.<namespace>/, <word>/+/ or are <word>/#, and their owner has to accept them in spec.acceptFrom[].topics';
const EVERY_SITE = 'topics under agg/, alert/ and raw/ belong to one site each: name the namespace';
const EMPTY_LEVEL = 'a level is empty: remove the / at the beginning, at the end or beside another /';
const HASH = '# stands alone as the last level: put it behind the last /, or use + for a single level';
const PLACEHOLDERS = 'the only placeholders are {device} and {segment}: they stand for <device>.<namespace> and <segment>.<namespace>';
const PLACEHOLDER_ALONE = 'a placeholder stands alone in its level: write x/{device}/y, not x-{device}';
const RESERVED = 'topics under ota/ and recovery/ are granted to every device by Hedgerow itself: remove the entry';
const OTHER_SITE = 'HR-API-004: topics under agg/, alert/ and raw/ belong to one site each: go on with api-table/';
const long = (length: number): string => 'x'.repeat(length);
const own = 'dt/{segment}/{device}';
const topic = (action: 'publish' | 'subscribe', code: string, cure: string): string =>
  `spec.topics.${action}[0].topic: ${code}: topic of spec.topics.${action}: ${cure}`;

export const BAD_TOPICS: readonly BadManifest[] = [
  [
    'a topic of the broker',
    publishes('$SYS/{segment}/x'),
    [topic('publish', 'HR-API-003', CHARACTERS), topic('publish', 'HR-API-003', DOLLAR), topic('publish', 'HR-API-004', OUTSIDE)],
  ],
  [
    'a shared subscription',
    subscribes('$share/g/dt/{segment}/{device}/x'),
    [topic('subscribe', 'HR-API-003', CHARACTERS), topic('subscribe', 'HR-API-003', DOLLAR), topic('subscribe', 'HR-API-004', OUTSIDE)],
  ],
  [
    'an empty topic',
    publishes(''),
    [
      topic('publish', 'HR-API-004', OUTSIDE),
      'spec.topics.publish[0].topic: spec.topics.publish[0].topic in body should be at least 1 chars long',
    ],
  ],
  [
    'a topic of more than 256 characters',
    publishes(`${own}/${long(240)}`),
    ['spec.topics.publish[0].topic: Too long: may not be more than 256 bytes'],
  ],
  [
    'a topic that begins with a slash',
    publishes(`/${own}/x`),
    [topic('publish', 'HR-API-003', EMPTY_LEVEL), topic('publish', 'HR-API-004', OUTSIDE)],
  ],
  ['an empty level', publishes(`${own}//x`), [topic('publish', 'HR-API-003', EMPTY_LEVEL)]],
  ['a slash at the end', publishes(`${own}/`), [topic('publish', 'HR-API-003', EMPTY_LEVEL)]],
  ['# in the middle', publishes(`${own}/#/x`), [topic('publish', 'HR-API-003', HASH)]],
  ['# behind a letter', publishes(`${own}/x#`), [topic('publish', 'HR-API-003', HASH)]],
  ['+ behind a letter', subscribes(`${own}/x+/y`), [topic('subscribe', 'HR-API-003', '+ stands alone in its level: write a/+/b')]],
  [
    'a subscription that ends in +, which admits # at the broker',
    subscribes(`${own}/+`),
    [
      topic(
        'subscribe',
        'HR-API-003',
        'a subscription may not end in +: at the broker it would admit # at that level; end it in # or in a word',
      ),
    ],
  ],
  ['a placeholder that does not exist', publishes('dt/{segment}/{clientid}/x'), [topic('publish', 'HR-API-003', PLACEHOLDERS)]],
  [
    'a placeholder of EMQX',
    publishes(`dt/{segment}/\${clientid}/x`),
    [
      topic('publish', 'HR-API-003', PLACEHOLDER_ALONE),
      topic('publish', 'HR-API-003', CHARACTERS),
      topic('publish', 'HR-API-003', PLACEHOLDERS),
    ],
  ],
  ['a placeholder beside a letter', publishes('dt/{segment}/x-{device}'), [topic('publish', 'HR-API-003', PLACEHOLDER_ALONE)]],
  ['a brace that is left open', publishes('dt/{segment}/{device/x'), [topic('publish', 'HR-API-003', PLACEHOLDERS)]],
  [
    'a quote, which would end the string in the rule of the broker',
    publishes(`${own}/x"}.`),
    [
      topic('publish', 'HR-API-003', PLACEHOLDER_ALONE),
      topic('publish', 'HR-API-003', CHARACTERS),
      topic('publish', 'HR-API-003', PLACEHOLDERS),
    ],
  ],
  ['a backslash', publishes(`${own}/x\\y`), [topic('publish', 'HR-API-003', CHARACTERS)]],
  ['a space', publishes(`${own}/living room`), [topic('publish', 'HR-API-003', CHARACTERS)]],
  [
    'a line break',
    publishes(`${own}/x\n{allow, all}.`),
    [
      topic('publish', 'HR-API-003', PLACEHOLDER_ALONE),
      topic('publish', 'HR-API-003', CHARACTERS),
      topic('publish', 'HR-API-003', PLACEHOLDERS),
    ],
  ],
  ['a letter that is not ASCII', publishes(`${own}/größe`), [topic('publish', 'HR-API-003', CHARACTERS)]],
  ['nine levels', publishes(`${own}/4/5/6/7/8/9`), [topic('publish', 'HR-API-003', 'at most 8 levels: shorten the topic')]],
  [
    'firmware topics, which every device has',
    publishes('ota/v1/d/{device}/hello'),
    [topic('publish', 'HR-API-004', OUTSIDE), topic('publish', 'HR-API-004', RESERVED)],
  ],
  ['recovery topics', subscribes('recovery/{segment}/{device}'), [topic('subscribe', 'HR-API-004', RESERVED)]],
  ['everything', subscribes('#'), [topic('subscribe', 'HR-API-004', OUTSIDE)]],
  [
    'a subscription that ends in +/#, which admits # a level higher at the broker',
    subscribes(`${own}/+/#`),
    [
      topic(
        'subscribe',
        'HR-API-003',
        'a subscription may not end in +/#: at the broker it would admit # in the place of the +; end it in # or in a word',
      ),
    ],
  ],
  ['a topic of a segment without its namespace', publishes('dt/doors/{device}/x'), [topic('publish', 'HR-API-004', OUTSIDE)]],
  ['everything', subscribes('#'), [topic('subscribe', 'HR-API-004', OUTSIDE)]],
  ['aggregates of every site', subscribes('agg/+/x'), [topic('subscribe', 'HR-API-004', EVERY_SITE)]],
  ['aggregates of another segment', publishes('agg/doors.berlin/x'), [OTHER_SITE], 'onlyServer'],
  ['aggregates of another site', publishes('agg/paris/x'), [OTHER_SITE], 'onlyServer'],
  ['alerts of a site whose name begins alike', publishes('alert/api-table-2/x'), [OTHER_SITE], 'onlyServer'],
  [
    'a wildcard where {device} would stand, to publish',
    publishes('dt/{segment}/+/x'),
    [
      'spec.topics.publish: HR-API-004: a topic of spec.topics.publish has a wildcard where {device} would stand, so one device could speak in the name of another: put {device} before it, or set intraSegment: Allow',
    ],
    'onlyServer',
  ],
  [
    '# where {device} would stand, to subscribe',
    subscribes('cmd/{segment}/#'),
    [
      'spec.topics.subscribe: HR-API-004: a topic of spec.topics.subscribe has a wildcard where {device} would stand, so one device could hear another: put {device} before it, or set intraSegment: Allow',
    ],
    'onlyServer',
  ],
  [
    'quality of service 3',
    segment({ topics: { publish: [{ topic: `${own}/x`, qosMax: 3 }] } }),
    ['spec.topics.publish[0].qosMax: Unsupported value: 3: supported values: "0", "1", "2"'],
  ],
  [
    'a topic twice',
    segment({ topics: { publish: [{ topic: `${own}/x` }, { topic: `${own}/x` }] } }),
    ['spec.topics.publish[1]: Duplicate value: {"topic":"dt/{segment}/{device}/x"}'],
    'onlyServer',
  ],
];
