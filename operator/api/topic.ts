// The grammar of topic filters in a SegmentPolicy, as a table: one row is one CEL rule of the CRD and one check here, so that both always agree.
// It is narrower than MQTT's own (MQTT-4.7): everything that the broker's text could read in another way is outside it (emqx-profile.md, 14).
import type { ApiCode } from './errors.ts';
import { type Rule, rule } from './schema.ts';

export type TopicAction = 'publish' | 'subscribe';

export const MAX_TOPIC_LENGTH = 256;
export const MAX_TOPIC_LEVELS = 8;

/** `pattern` must match, or with `not` must not match. RE2 and JavaScript read all of them alike: no look-around, no classes but plain ones. */
type Check = { code: ApiCode; pattern: string; not?: true; only?: TopicAction; cure: string };

const WORD = '[A-Za-z0-9._:@~=-]+';
const SAFE_LAST_LEVEL = `(${WORD}|[{]device[}]|[{]segment[}])`;
const LEVEL = `(${WORD}|[{]device[}]|[{]segment[}]|[+])`;

const CHECKS: readonly Check[] = [
  { code: 'HR-API-003', pattern: '^[$]', not: true, cure: 'topics that begin with $ belong to the broker: begin with a word of your own' },
  {
    code: 'HR-API-003',
    pattern: '^/|//|/$',
    not: true,
    cure: 'a level is empty: remove the / at the beginning, at the end or beside another /',
  },
  {
    code: 'HR-API-003',
    pattern: '#.|[^/]#',
    not: true,
    cure: '# stands alone as the last level: put it behind the last /, or use + for a single level',
  },
  { code: 'HR-API-003', pattern: '[^/][+]|[+][^/]', not: true, cure: '+ stands alone in its level: write a/+/b' },
  {
    code: 'HR-API-003',
    pattern: '^([^{}]|[{]device[}]|[{]segment[}])*$',
    cure: 'the only placeholders are {device} and {segment}: they stand for <device>.<namespace> and <segment>.<namespace>',
  },
  {
    code: 'HR-API-003',
    pattern: '[^/][{]|[}][^/]',
    not: true,
    cure: 'a placeholder stands alone in its level: write x/{device}/y, not x-{device}',
  },
  {
    code: 'HR-API-003',
    pattern: '^[A-Za-z0-9._:@~=/{}+#-]*$',
    cure: 'only letters, digits and . _ : @ ~ = - may be in a level (quotes, backslashes, spaces and control characters could change the rule at the broker)',
  },
  {
    code: 'HR-API-003',
    pattern: `^[^/]*(/[^/]*){0,${MAX_TOPIC_LEVELS - 1}}$`,
    cure: `at most ${MAX_TOPIC_LEVELS} levels: shorten the topic`,
  },
  {
    code: 'HR-API-003',
    // EMQX: a rule that ends in + lets a subscription to # through at that level.
    pattern: '(^|/)[+]$',
    not: true,
    only: 'subscribe',
    cure: 'a subscription may not end in +: at the broker it would admit # at that level; end it in # or in a word',
  },
  {
    code: 'HR-API-004',
    pattern: '^(ota|recovery)(/|$)',
    not: true,
    cure: 'topics under ota/ and recovery/ are granted to every device by Hedgerow itself: remove the entry',
  },
  {
    code: 'HR-API-004',
    // Without {segment} a device named like a segment would fall into that segment's topics; agg/ and alert/ are bound to the namespace by admission.
    pattern: '^([A-Za-z0-9._:@~=-]+/[{]segment[}]|agg/[a-z0-9-]+|alert/[a-z0-9-]+)/.',
    cure: 'begin with <word>/{segment}/, agg/<namespace>/ or alert/<namespace>/: anything else reaches topics of other segments, for which acceptFrom.topics is not supported yet',
  },
];

/** What is wrong with a topic filter, first finding first; undefined when it may be granted. */
export function topicProblem(filter: string, action: TopicAction): { code: ApiCode; message: string } | undefined {
  if (filter === '' || filter.length > MAX_TOPIC_LENGTH)
    return { code: 'HR-API-003', message: `a topic has 1 to ${MAX_TOPIC_LENGTH} characters` };
  const failed = checksOf(action).find((check) => new RegExp(check.pattern).test(filter) === (check.not ?? false));
  return failed === undefined ? undefined : { code: failed.code, message: failed.cure };
}

/** The same checks as CEL rules on the string. */
export function topicRules(action: TopicAction): Rule[] {
  return checksOf(action).map((check) =>
    rule(check.code, `${check.not ? '!' : ''}self.matches('${check.pattern}')`, `topic of spec.topics.${action}: ${check.cure}`),
  );
}

/** The same language as one JavaScript pattern, for ajv. That it is the same is a property test. */
export function topicPattern(action: TopicAction): string {
  const last = action === 'publish' ? LEVEL : SAFE_LAST_LEVEL;
  return `^(?!(ota|recovery)/)(${WORD}/[{]segment[}]|agg/[a-z0-9-]+|alert/[a-z0-9-]+)(/${LEVEL}){0,${MAX_TOPIC_LEVELS - 3}}/(${last}|#)$`;
}

function checksOf(action: TopicAction): Check[] {
  return CHECKS.filter((check) => check.only === undefined || check.only === action);
}
