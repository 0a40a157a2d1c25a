// What the canary asks of the broker, and what the answers say. Pure.
import { CANARY, type SegmentRights, type TextInForce } from '../broker/broker.ts';
import type { Problem } from './errors.ts';

export type Question = {
  ask: 'publish' | 'subscribe';
  topic: string;
  expect: 'allowed' | 'refused';
  /** `<segment>.<namespace>` whose topic it is; absent: it concerns every segment. */
  segment?: string;
};

/** `code`: the reason code of SUBACK or PUBACK (MQTT 5, 2.4). */
export type Answer = { question: Question; code: number };

/** What was not as the text says: for every segment, and for one alone. */
export type Findings = { shared: Problem[]; bySegment: ReadonlyMap<string, Problem> };

/** A second name that nobody can have either: what is published there by mistake reaches nobody. */
const STRANGER = '-other.-hedgerow';
/** Granted by no text: 16 hex digits of the SHA-256 of nothing that is a text. */
const NO_TEXT = '0'.repeat(16);

export const ownTopic = (digest: string): string => `probe/${CANARY}/${CANARY}/${digest}`;

/** In the order in which they are asked: first what must go, so that a refusal means something afterwards. */
export function questionsOf({ digest, segments }: TextInForce, rights: readonly SegmentRights[]): Question[] {
  const own = ownTopic(digest);
  const foreign = `probe/${STRANGER}/${STRANGER}/${digest}`;
  return [
    { ask: 'subscribe', topic: own, expect: 'allowed' },
    { ask: 'publish', topic: own, expect: 'allowed' },
    { ask: 'publish', topic: foreign, expect: 'refused' },
    { ask: 'publish', topic: ownTopic(NO_TEXT), expect: 'refused' },
    ...[foreign, ownTopic(NO_TEXT), `probe/${CANARY}/#`, 'probe/#', '+/#', '#', '$SYS/#'].map(
      (topic): Question => ({ ask: 'subscribe', topic, expect: 'refused' }),
    ),
    ...rights.flatMap((one): Question[] => {
      const topic = segments.has(one.segment) ? topicOf(one) : undefined;
      return topic === undefined ? [] : [{ ask: 'subscribe', topic, expect: 'refused', segment: one.segment }];
    }),
  ];
}

/** What its devices say, else what they hear. Only ever asked to be read: a publish that went through would reach real devices. */
function topicOf({ segment, publish, subscribe }: SegmentRights): string | undefined {
  return [...publish, ...subscribe][0]?.topic.replaceAll('{segment}', segment).replaceAll('{device}', CANARY);
}

const NOT_AUTHORIZED = 0x87;
/** From here on a reason code says no (MQTT 5, 2.4). */
const FIRST_REFUSAL = 0x80;

export const isRefused = (code: number): boolean => code >= FIRST_REFUSAL;

/** An answer that says neither: what must go was refused for a reason that has nothing to do with rights. */
export function oddAnswer(answers: readonly Answer[]): Answer | undefined {
  return answers.find(({ question, code }) => question.expect === 'allowed' && isRefused(code) && code !== NOT_AUTHORIZED);
}

export function findingsOf(answers: readonly Answer[]): Findings {
  const shared: Problem[] = [];
  const bySegment = new Map<string, Problem>();
  for (const { question, code } of answers) {
    const problem = problemOf(question, code);
    if (problem === undefined) continue;
    if (question.segment === undefined) shared.push(problem);
    else bySegment.set(question.segment, problem);
  }
  return { shared, bySegment };
}

function problemOf({ ask, topic, expect }: Question, code: number): Problem | undefined {
  const said = `0x${code.toString(16).padStart(2, '0')}`;
  if (expect === 'refused')
    return isRefused(code)
      ? undefined
      : { code: 'HR-PRB-001', found: `the canary may ${ask} ${wordsOf(topic)}, which is denied (answer ${said})` };
  return code === NOT_AUTHORIZED
    ? { code: 'HR-PRB-002', found: `the canary may not ${ask} its own topic, which the text in force allows (answer ${said})` }
    : undefined;
}

/** Without the name of a text: the sentence stays the same however often the text changes. */
const wordsOf = (topic: string): string => topic.replace(/\/[0-9a-f]{16}$/, '/<text>');

export const isClean = ({ shared, bySegment }: Findings): boolean => shared.length === 0 && bySegment.size === 0;
