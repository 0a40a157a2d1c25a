// What is said beside an answer of the broker's own rules: what may allow it, what EMQX adds, and what the policies say otherwise.
import type { Verifier, WayAnswer } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import type { Output } from './command.ts';
import { explain } from './errors.ts';
import { missingLines, proofLines } from './proof-text.ts';

type ByBroker = Omit<Extract<WayAnswer, { by: 'Broker' }>, 'way'>;

export function brokerLines({ unsure, grants, adds, policies }: ByBroker, verifier: Verifier): string {
  return [
    ...(unsure ? [`  may be allowed by\n${proofLines(grants, verifier, '    ')}`] : []),
    ...adds.map((line) => `  note: ${printable(line)}\n`),
    ...(policies === undefined ? [] : [driftText(policies, verifier)]),
  ].join('');
}

const driftText = ({ allowed, grants, missing }: NonNullable<ByBroker['policies']>, verifier: Verifier): string =>
  `  drift: SegmentPolicies say ${allowed ? 'yes' : 'no'}\n${allowed ? proofLines(grants, verifier, '    ') : missingLines(missing, '    ')}`;

const MOST_NAMED = 10;

/** For stderr: an answer that is none, by the rules that it rests on. */
export function unsureLines(grants: ByBroker['grants'], { unread }: Verifier, output: Output): void {
  const lines = unread.filter((line) => grants.some(({ policy }) => `EMQX, ${line}`.startsWith(`${policy}: `)));
  for (const line of lines.length > 0 ? lines.slice(0, MOST_NAMED) : ['the broker compares what is not known of the client'])
    output.err(`kubectl hedgerow: ${printable(explain('HR-CLI-067', line))}\n`);
}
