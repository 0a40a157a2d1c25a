// What is said beside an answer of the broker's own rules: what may allow it, what EMQX adds, and what the policies say otherwise.
import type { NotInForce, Verifier, WayAnswer } from '../reach/reach.ts';
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

/** For stderr: what a reader has to know of the rules that an answer about a whole fleet rests on. Gives whether it is one: where a rule that is not understood may allow something, it is none. */
export function fleetLines(verifier: Verifier, output: Output, device?: string): boolean {
  const fleet = verifier.fleet(device);
  if (fleet === undefined) return true;
  notesOf(verifier, output);
  const ways = device === undefined ? fleet.ways() : [...fleet.from(device), ...fleet.to(device)];
  const perhaps = ways.filter(({ unsure }) => unsure).flatMap(({ grants }) => grants);
  if (perhaps.length > 0) unsureLines(perhaps, verifier, output);
  return perhaps.length === 0;
}

export function notesOf({ notes }: Verifier, output: Output): void {
  for (const line of notes) output.err(`kubectl hedgerow: note: ${printable(line)}\n`);
}

/** Rights that are granted and that the broker does not hold. */
export function driftLines(drift: readonly NotInForce[]): string {
  const lines = Map.groupBy(
    drift,
    ({ segment, devices, why }) => `${segment} (${devices} ${devices === 1 ? 'device' : 'devices'}), ${why}`,
  );
  return [...lines]
    .map(
      ([whose, rights]) =>
        `drift   not in force at the broker for ${whose}: ${rights.map(({ action, filter }) => `${action} ${filter}`).join(', ')}`,
    )
    .map((line) => `${printable(line)}\n`)
    .join('');
}

const MOST_NAMED = 10;

/** For stderr: an answer that is none, by the rules that it rests on. */
export function unsureLines(grants: ByBroker['grants'], { unread }: Verifier, output: Output): void {
  const lines = unread.filter((line) => grants.some(({ policy }) => `EMQX, ${line}`.startsWith(`${policy}: `)));
  for (const line of lines.length > 0 ? lines.slice(0, MOST_NAMED) : ['the broker compares what is not known of the client'])
    output.err(`kubectl hedgerow: ${printable(explain('HR-CLI-067', line))}\n`);
}
