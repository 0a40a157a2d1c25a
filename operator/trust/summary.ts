// What a pass found, as the status that people read. Pure.
import type { Decision, Phase } from './decide.ts';
import { explain, type Problem } from './errors.ts';
import { digestOf, type Message } from './message.ts';
import type { TrustStatus } from './state.ts';

const MOST_NAMES = 50;

export type SummaryInput = {
  decision: Decision;
  message: Message;
  share: number;
  forced: boolean;
  problem: Problem | undefined;
  switchedFor: string | undefined;
};

export function summarise({ decision, message, share, forced, problem, switchedFor }: SummaryInput): TrustStatus {
  const { phase, of, confirmed, waiting, leftBehind } = decision;
  return {
    phase,
    message: problem === undefined ? sentence(decision, share, forced) : explain(problem),
    sequence: message.sequence,
    digest: digestOf(message),
    share,
    of,
    confirmed,
    waiting: { count: waiting.length, first: waiting.slice(0, MOST_NAMES) },
    leftBehind: { count: leftBehind.length, first: leftBehind.slice(0, MOST_NAMES) },
    ...(switchedFor === undefined ? {} : { switchedFor }),
  };
}

/** Nothing can be said of devices: the last figures stand. */
export function stalled(before: Partial<TrustStatus>, problem: Problem): TrustStatus {
  return {
    sequence: before.sequence ?? 0,
    digest: before.digest ?? '',
    share: before.share ?? 0,
    of: before.of ?? 0,
    confirmed: before.confirmed ?? 0,
    waiting: before.waiting ?? { count: 0, first: [] },
    leftBehind: before.leftBehind ?? { count: 0, first: [] },
    ...(before.switchedFor === undefined ? {} : { switchedFor: before.switchedFor }),
    phase: 'Stalled',
    message: explain(problem),
  };
}

function sentence({ phase, of, confirmed, missing, waiting }: Decision, share: number, forced: boolean): string {
  const count = `${confirmed} of ${of} devices have confirmed`;
  const names = waiting.length === 0 ? '' : `: ${waiting.slice(0, 3).join(', ')}${waiting.length > 3 ? ' and others' : ''}`;
  const left = waiting.length === 0 ? '' : `; ${waiting.length} did not confirm${names}`;
  const texts: Record<Phase, string> = {
    Steady: `no rotation: next.pem holds nothing new; ${count}`,
    Distributing: `the broker keeps its certificate: ${count} the next anchor, ${missing} more are needed for a share of ${share}${names}`,
    ReadyToSwitch: `${count}: switch the certificate of the broker to the next CA`,
    Switching: `${forced ? 'forced by a person' : count}: cert-manager makes the certificate of the broker anew${left}`,
    Switched: `the certificate of the broker is of the next issuer${left}`,
    SwitchUndone: '',
  };
  return texts[phase];
}
