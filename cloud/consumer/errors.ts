// Why the cloud consumer does not take something. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-CC-101': {
    title: 'NoJson',
    cause: 'the message is no JSON in UTF-8, or larger than a message of a site may be',
    cure: 'see which program publishes under agg/ and alert/ of this site: only its gateway may',
  },
  'HR-CC-102': {
    title: 'NotInContract',
    cause: 'the message does not fit the schema of what may leave a site: a type or a field that is not in it, or a value out of bounds',
    cure: 'give gateway and consumer the same version; until then the message is counted and not kept',
  },
  'HR-CC-103': {
    title: 'ForeignSite',
    cause:
      'the site in the message is not the one of its topic, and the broker lets a gateway publish under the topics of its own site only',
    cure: 'find out who publishes there: a gateway never says another site than its own',
  },
  'HR-CC-104': {
    title: 'WrongTopic',
    cause: 'the message belongs on another topic of its site',
    cure: 'give gateway and consumer the same version',
  },
  'HR-CC-105': {
    title: 'AfterErased',
    cause: 'the message is about a device that its site has erased, from before the erasure',
    cure: 'nothing: it came late, and what was erased stays so',
  },
  'HR-CC-201': {
    title: 'StoreFailed',
    cause: 'the store could not be opened or written',
    cure: 'look at the disk: the log has the error; what was not written is not acknowledged, and the broker sends it again',
  },
  'HR-CC-202': {
    title: 'StoreOfAnother',
    cause: 'the file is no store of this version of the consumer',
    cure: 'give it a file of its own, or the version that wrote it',
  },
  'HR-CC-203': {
    title: 'SessionLost',
    cause:
      'the broker has forgotten the session of the consumer: it was restarted without it, or the consumer was away for longer than four days',
    cure: 'what sites sent meanwhile may be missing; let the broker keep sessions on disk, and allow as many waiting messages as come in an outage',
  },
  'HR-CC-204': {
    title: 'SubscriptionRefused',
    cause: 'the broker does not let the consumer subscribe to agg/# and alert/#',
    cure: 'grant both to the subject of its certificate',
  },
  'HR-CC-301': {
    title: 'NotAQuery',
    cause: 'the text is not one SELECT, or DuckDB does not understand it',
    cure: 'ask one thing with one SELECT; the tables and views are in docs/reference/cloud-consumer.md',
  },
  'HR-CC-302': {
    title: 'QueryTooLong',
    cause: 'the query has taken more than a minute',
    cure: 'ask for less: a site, a span of time',
  },
} as const;

export type ConsumerCode = keyof typeof ERRORS;

/** `found` in words, more exact than the table's cause. */
export type Problem = { code: ConsumerCode; found?: string };

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly problem: Problem;
  constructor(code: ConsumerCode, found?: string) {
    const problem = found === undefined ? { code } : { code, found };
    super(explain(problem));
    this.problem = problem;
  }
}

export function explain({ code, found }: Problem): string {
  const { title, cause, cure } = ERRORS[code];
  return `${code} ${title}: ${found ?? cause}. ${cure}.`;
}
