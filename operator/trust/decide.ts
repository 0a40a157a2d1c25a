// Whether the broker may switch to its next server certificate, and who is waited for. Pure.
import type { IssuerName } from './anchors.ts';

export type Phase =
  /** No next anchor. */
  | 'Steady'
  /** The next anchor is on its way to the devices: the broker keeps its certificate. */
  | 'Distributing'
  /** Enough have it, and a person has to switch: no Certificate or no next issuer is named. */
  | 'ReadyToSwitch'
  /** The Certificate names the next issuer and is not signed by it yet. */
  | 'Switching'
  | 'Switched'
  /** Somebody set the Certificate back after the operator had switched it. */
  | 'SwitchUndone';

export type DecideInput = {
  rotating: boolean;
  /** `<device>.<namespace>` of each device that could connect and is not out of touch. */
  fleet: readonly string[];
  /** Of each that could connect and was not there for longer than its offlineBudget: nobody waits for it. */
  outOfTouch: readonly string[];
  confirmed: ReadonlySet<string>;
  /** 0 to 1: of `fleet`, so many must have confirmed. */
  share: number;
  /** A person said to switch now, whoever is missing. */
  forced: boolean;
  nextIssuer: IssuerName | undefined;
  /** What the Certificate of the broker names now, and whether cert-manager has signed that; undefined when none was named. */
  certificate: { issuer: IssuerName; ready: boolean } | undefined;
  /** The operator itself has switched for this very set. */
  switchedBefore: boolean;
};

export type Decision = {
  phase: Phase;
  /** Let the Certificate name the next issuer. */
  act: 'switch' | 'none';
  of: number;
  confirmed: number;
  /** How many more are needed. */
  missing: number;
  /** Of the fleet, by name, in order. */
  waiting: string[];
  /** Of those out of touch: they will have to ask the EST server. */
  leftBehind: string[];
};

export function decide(input: DecideInput): Decision {
  const waiting = input.fleet.filter((name) => !input.confirmed.has(name)).sort();
  const leftBehind = input.outOfTouch.filter((name) => !input.confirmed.has(name)).sort();
  const of = input.fleet.length;
  const confirmed = of - waiting.length;
  const missing = Math.max(0, needed(input.share, of) - confirmed);
  return { ...next(input, missing), of, confirmed, missing, waiting, leftBehind };
}

function next(input: DecideInput, missing: number): Pick<Decision, 'phase' | 'act'> {
  const { certificate, nextIssuer } = input;
  if (!input.rotating) return { phase: 'Steady', act: 'none' };
  if (certificate !== undefined && nextIssuer !== undefined && sameIssuer(certificate.issuer, nextIssuer))
    return { phase: certificate.ready ? 'Switched' : 'Switching', act: 'none' };
  const canSwitch = certificate !== undefined && nextIssuer !== undefined;
  // Git or a person is the stronger: switched once for a set, never again against them.
  if (canSwitch && input.switchedBefore) return { phase: 'SwitchUndone', act: 'none' };
  if (missing > 0 && !input.forced) return { phase: 'Distributing', act: 'none' };
  if (!canSwitch) return { phase: 'ReadyToSwitch', act: 'none' };
  return { phase: 'Switching', act: 'switch' };
}

/** Rounded up, so that a share of 0.95 of 10 devices is all of them; `0.07 * 100` is a little more than 7. */
function needed(share: number, of: number): number {
  return Math.ceil(share * of - 1e-9);
}

const sameIssuer = (a: IssuerName, b: IssuerName): boolean => a.kind === b.kind && a.name === b.name;
