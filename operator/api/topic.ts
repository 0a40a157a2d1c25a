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
/** `<segment>.<namespace>` */
const SEGMENT = '[a-z0-9-]+[.][a-z0-9-]+';
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
    code: 'HR-API-003',
    // And one that ends in +/# lets # through a level higher. Behind the segment only: what stands for the segment is never granted as it is written.
    pattern: '^[^/]*/[^/]*/(.*/)?[+]/#$',
    not: true,
    only: 'subscribe',
    cure: 'a subscription may not end in +/#: at the broker it would admit # in the place of the +; end it in # or in a word',
  },
  {
    code: 'HR-API-004',
    pattern: '^(ota|recovery)(/|$)',
    not: true,
    cure: 'topics under ota/ and recovery/ are granted to every device by Hedgerow itself: remove the entry',
  },
  {
    code: 'HR-API-004',
    pattern: '^(agg|alert|raw)/[+#]',
    not: true,
    cure: 'topics under agg/, alert/ and raw/ belong to one site each: name the namespace',
  },
  {
    code: 'HR-API-004',
    // The second level says whose topic it is. A name without a dot is nobody's; agg/, alert/ and raw/ are bound to the namespace by admission.
    pattern: `^(${WORD}/([{]segment[}]|${SEGMENT}|[+])/.|${WORD}/#$|(agg|alert|raw)/[a-z0-9-]+/.)`,
    cure: 'begin with <word>/{segment}/, or agg/, alert/ or raw/ and the namespace; topics of other segments begin with <word>/<segment>.<namespace>/, <word>/+/ or are <word>/#, and their owner has to accept them in spec.acceptFrom[].topics',
  },
];

/** What stands in the second level of another segment's topics. */
const OWN_PREFIX = `^${WORD}/[{]segment[}]/.`;

/** What is wrong with a topic filter, first finding first; undefined when it may be granted. */
export function topicProblem(filter: string, action: TopicAction): { code: ApiCode; message: string } | undefined {
  if (filter === '' || filter.length > MAX_TOPIC_LENGTH)
    return { code: 'HR-API-003', message: `a topic has 1 to ${MAX_TOPIC_LENGTH} characters` };
  const failed = checksOf(action).find((check) => matcher(check.pattern).test(filter) === (check.not ?? false));
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
  const owned = `(${WORD}/([{]segment[}]|${SEGMENT}|[+])|(agg|alert|raw)/[a-z0-9-]+)(/${LEVEL}){0,${MAX_TOPIC_LEVELS - 3}}/(${last}|#)`;
  const wider = action === 'subscribe' ? '(?![^/]*/[^/]*/(.*/)?[+]/#$)' : '';
  return `^(?!(ota|recovery)/)(?!(agg|alert|raw)/[+#])${wider}(${WORD}/#|${owned})$`;
}

/** What a segment may let others have: topics of its own, and nothing that the broker would read wider. */
export function grantProblem(filter: string, action: TopicAction): string | undefined {
  return topicProblem(filter, action)?.message ?? (matcher(OWN_PREFIX).test(filter) ? undefined : GRANT_CURE);
}

const GRANT_CURE = 'a segment lets others have topics of its own only: begin with <word>/{segment}/';

/** The same as CEL rules on one item of spec.acceptFrom[].topics. */
export function grantRules(): Rule[] {
  const own = CHECKS.slice(0, -1).map((check) => {
    const holds = `${check.not ? '!' : ''}self.topic.matches('${check.pattern}')`;
    const expression = check.only === undefined ? holds : `self.action != '${check.only}' || ${holds}`;
    return rule(check.code, expression, `topic of spec.acceptFrom: ${check.cure}`, '.topic');
  });
  return [...own, rule('HR-API-004', `self.topic.matches('${OWN_PREFIX}')`, `topic of spec.acceptFrom: ${GRANT_CURE}`, '.topic')];
}

/** Thousands of policies are checked anew whenever one changes. */
const matchers = new Map<string, RegExp>();

function matcher(pattern: string): RegExp {
  const known = matchers.get(pattern) ?? new RegExp(pattern);
  matchers.set(pattern, known);
  return known;
}

function checksOf(action: TopicAction): Check[] {
  return CHECKS.filter((check) => check.only === undefined || check.only === action);
}
