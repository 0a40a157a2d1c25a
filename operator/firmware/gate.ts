// The gate of a wave: what the devices that were reached prove about all the others, and nothing more. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { atLeast, atMost, bounds } from './binomial.ts';
import { percentText, restOf, share } from './size.ts';

export type Gates = NonNullable<FirmwareReleaseSpec['rollout']['gates']>;

/** Counts of devices of one wave. All but `target` are ends: a device that is still on its way is in none of them. */
export type Outcomes = { target: number; confirmed: number; failed: number; rolledBack: number; timedOut: number; lost: number };

/** Wait: more devices may still tell. Ask: there are no more, and what they showed is too little, so a person decides. */
export type Verdict = { result: 'Pass' | 'Fail' | 'Wait' | 'Ask'; reason: string };

/** Whether no device of the wave is still on its way; `stragglers` that were never reached do not hold it up. */
export type Progress = { ended: boolean };

/**
 * Fails as soon as the errors cannot be chance, passes only when the successes cannot be: both by exact bounds at the confidence that the gate names, and neither
 * before its least sample. A wave that ended without either never passes by itself, however well it went: three devices prove nothing about a hundred thousand.
 */
export function verdictOf(gates: Gates | undefined, outcomes: Outcomes, { ended }: Progress): Verdict {
  const parts = [errorPart(gates?.error, outcomes), successPart(gates?.success, outcomes, ended)].flatMap((part) => part ?? []);
  const failed = parts.find(({ result }) => result === 'Fail');
  if (failed !== undefined) return failed;
  const open = parts.filter(({ result }) => result === 'Wait').map(({ reason }) => reason);
  if (open.length > 0) return { result: ended ? 'Ask' : 'Wait', reason: open.join('; ') };
  if (!ended) return { result: 'Wait', reason: 'devices of the wave are on their way' };
  return { result: 'Pass', reason: parts.length === 0 ? 'the release has no gate' : parts.map(({ reason }) => reason).join('; ') };
}

type ErrorGate = NonNullable<Gates['error']>;
type SuccessGate = NonNullable<Gates['success']>;
const KINDS = { Failed: 'failed', RolledBack: 'rolledBack', TimedOut: 'timedOut', Lost: 'lost' } as const;
type Kind = keyof typeof KINDS;
/** More than any fleet has: a gate that they do not pass never passes. */
const MOST_DEVICES = 4_000_000;
const ALL: readonly Kind[] = ['Failed', 'RolledBack', 'TimedOut', 'Lost'];

function errorPart(gate: ErrorGate | undefined, outcomes: Outcomes): Verdict | undefined {
  if (gate === undefined) return undefined;
  const kinds = gate.kinds === undefined || gate.kinds.length === 0 ? ALL : gate.kinds;
  const errors = kinds.reduce((sum, kind) => sum + outcomes[KINDS[kind]], 0);
  const sample = reachedOf(outcomes);
  const limit = share(gate.ratio);
  const reason = saying(`${errors} of ${sample} devices went wrong`, errors, sample, gate.confidence, `${gate.ratio} are allowed`);
  if (sample < gate.minSample) return { result: 'Wait', reason: `${reason}; the gate looks from ${gate.minSample} devices on` };
  if (isNoChance(atLeast(errors, sample, limit), gate.confidence)) return { result: 'Fail', reason };
  return { result: isNoChance(atMost(errors, sample, limit), gate.confidence) ? 'Pass' : 'Wait', reason };
}

function successPart(gate: SuccessGate | undefined, outcomes: Outcomes, ended: boolean): Verdict | undefined {
  if (gate === undefined) return undefined;
  const sample = gate.of === 'Matched' ? outcomes.target : reachedOf(outcomes);
  const missing = sample - outcomes.confirmed;
  const limit = restOf(gate.ratio);
  const reason = saying(`${outcomes.confirmed} of ${sample} devices succeeded`, missing, sample, gate.confidence, `${gate.ratio} have to`);
  if (sample < gate.minSample) return { result: 'Wait', reason: `${reason}; the gate looks from ${gate.minSample} devices on` };
  // Of all devices of a wave those that are still on their way are no failures yet.
  const isKnown = gate.of !== 'Matched' || ended;
  if (isKnown && isNoChance(atLeast(missing, sample, limit), gate.confidence)) return { result: 'Fail', reason };
  return { result: isNoChance(atMost(missing, sample, limit), gate.confidence) ? 'Pass' : 'Wait', reason };
}

/** Whether something of this probability is too rare to be chance; the last digits of a double decide nothing. */
const isNoChance = (probability: number, confidence: string): boolean => probability <= restOf(confidence) * (1 + 1e-9);

const reachedOf = ({ confirmed, failed, rolledBack, timedOut, lost }: Outcomes): number =>
  confirmed + failed + rolledBack + timedOut + lost;

function saying(what: string, errors: number, sample: number, confidence: string, limit: string): string {
  if (sample === 0) return `${what}; ${limit}`;
  const { lower, upper } = bounds(errors, sample, share(confidence));
  return `${what}: a failure ratio of ${percentText(lower)} to ${percentText(upper)} (each bound at ${confidence}); ${limit}`;
}

/** How many devices without any failure a gate needs before it can pass; Infinity where it never can. */
export function sampleToPass(gates: Gates | undefined): number {
  const { error, success } = gates ?? {};
  return Math.max(
    error === undefined ? 0 : needs(share(error.ratio), error.confidence, error.minSample),
    success === undefined ? 0 : needs(restOf(success.ratio), success.confidence, success.minSample),
  );
}

/** How many more devices without failure the gates need before they pass; 0 where they do, Infinity where they never can. */
export function stillNeeded(gates: Gates | undefined, outcomes: Outcomes): number {
  const passesWith = (more: number): boolean => {
    const next = { ...outcomes, target: Math.max(outcomes.target, reachedOf(outcomes) + more), confirmed: outcomes.confirmed + more };
    return verdictOf(gates, next, { ended: true }).result === 'Pass';
  };
  if (passesWith(0)) return 0;
  let enough = 1;
  while (!passesWith(enough)) {
    if (enough > MOST_DEVICES) return Number.POSITIVE_INFINITY;
    enough *= 2;
  }
  // A gate that passes passes with one more success, too.
  let tooFew = Math.floor(enough / 2);
  while (enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2);
    if (passesWith(middle)) enough = middle;
    else tooFew = middle;
  }
  return enough;
}

/** The least n with (1 - limit)^n <= 1 - confidence. */
function needs(limit: number, confidence: string, minSample: number): number {
  const rest = restOf(confidence);
  if (limit === 0 || rest === 0) return Number.POSITIVE_INFINITY;
  if (limit === 1) return minSample;
  let n = Math.max(0, Math.floor(Math.log(rest) / Math.log1p(-limit)) - 1);
  while (!isNoChance(atMost(0, n, limit), confidence)) n++;
  return Math.max(n, minSample);
}
