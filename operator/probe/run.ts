// Asks the questions over one connection. What was found open is shut again at once: the canary must not hear what it should not.
import type { Clock } from '../runtime/clock.ts';
import type { Problem } from './errors.ts';
import { Broken, type Credentials, openSession, type Session, type Target } from './mqtt.ts';
import { type Answer, findingsOf, isClean, isRefused, oddAnswer, type Question } from './questions.ts';

/** `ended: false`: not all was asked, and nothing wrong was found until then. */
export type Run = { ended: true; answers: readonly Answer[] } | { ended: false; problem: Problem };

export type RunDeps = {
  target: Target;
  credentials: Credentials;
  /** Of the message that has to come back: nobody could have sent it before. */
  nonce: string;
  clock: Clock;
};

/** 50 filters of 512 characters at the most: 26 KB, a tenth of the broker's max_packet_size. */
const FILTERS_AT_ONCE = 50;

export async function run(questions: readonly Question[], deps: RunDeps, signal: AbortSignal): Promise<Run> {
  let session: Session;
  try {
    session = await openSession(deps.target, deps.credentials, deps.clock, signal);
  } catch (error) {
    return { ended: false, problem: { code: 'HR-PRB-012', found: wordsOf(error) } };
  }
  const answers: Answer[] = [];
  try {
    await askAll(questions, session, deps.nonce, answers);
    return { ended: true, answers };
  } catch (error) {
    // What was found does not become less true because the rest could not be asked.
    if (!isClean(findingsOf(answers))) return { ended: true, answers };
    return { ended: false, problem: { code: 'HR-PRB-013', found: wordsOf(error) } };
  } finally {
    session.close();
  }
}

async function askAll(questions: readonly Question[], session: Session, nonce: string, answers: Answer[]): Promise<void> {
  for (const batch of batches(questions)) {
    const got = batch[0]?.ask === 'publish' ? await publish(batch, session, nonce) : await subscribe(batch, session);
    answers.push(...got);
    const odd = oddAnswer(got);
    if (odd !== undefined)
      throw new Broken(`the broker answered 0x${odd.code.toString(16)} to ${odd.question.ask} of the canary's own topic`);
  }
}

/** Those that follow each other and are asked in one packet: filters of one expectation. Each publish stands alone. */
function batches(questions: readonly Question[]): Question[][] {
  const made: Question[][] = [];
  for (const question of questions) {
    const last = made.at(-1);
    const [first] = last ?? [];
    const joins =
      last !== undefined &&
      last.length < FILTERS_AT_ONCE &&
      first?.ask === 'subscribe' &&
      question.ask === 'subscribe' &&
      first.expect === question.expect;
    if (joins) last.push(question);
    else made.push([question]);
  }
  return made;
}

async function publish([question]: readonly Question[], session: Session, nonce: string): Promise<Answer[]> {
  if (question === undefined) return [];
  const arrived = question.expect === 'allowed' ? session.arrival(question.topic, nonce) : undefined;
  arrived?.catch(() => undefined);
  const code = await session.publish(question.topic, nonce);
  // Refused, there is nothing to wait for.
  if (!isRefused(code)) await arrived;
  return [{ question, code }];
}

async function subscribe(batch: readonly Question[], session: Session): Promise<Answer[]> {
  const codes = await session.subscribe(batch.map(({ topic }) => topic));
  const answers = batch.map((question, i): Answer => ({ question, code: codes[i] ?? 0 }));
  const open = answers.filter(({ question, code }) => question.expect === 'refused' && !isRefused(code));
  if (open.length > 0) await session.unsubscribe(open.map(({ question }) => question.topic));
  return answers;
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
