// The stricter of what Git says and what people did by hand. Pure: no I/O, no clock.

export type Lifecycle = 'Active' | 'Quarantined' | 'Revoked';

/** An intervention on one Device. */
export type Standing = {
  name: string;
  action: 'Quarantine' | 'Revoke';
  requestedBy: string;
  reason: string;
  /** RFC 3339 */
  createdAt: string;
  /** When it ends by itself, ms since the epoch; only a Quarantine does. */
  expiresAt?: number;
};

/** `by`, `reason` and `since` are there when an intervention is at least as strict as the manifest: it names a person. */
export type Effective = { lifecycle: Lifecycle; by?: string; reason?: string; since?: string };

/** Never less strict than `spec`, and never less strict with an intervention than without it. */
export function effective(spec: Lifecycle, interventions: Iterable<Standing>, now: number): Effective {
  const standing = [...interventions].filter((one) => holds(one, now)).sort(strictestThenOldest);
  const [first] = standing;
  if (first === undefined || STRICTNESS[MAKES[first.action]] < STRICTNESS[spec]) return { lifecycle: spec };
  return {
    lifecycle: MAKES[first.action],
    by: `Intervention ${first.name} of ${first.requestedBy}`,
    reason: first.reason,
    since: first.createdAt,
  };
}

/** A Revoke does not end, whatever it says. The instant of the end is over. */
export function holds(intervention: Pick<Standing, 'action' | 'expiresAt'>, now: number): boolean {
  return intervention.action === 'Revoke' || intervention.expiresAt === undefined || now < intervention.expiresAt;
}

const STRICTNESS: Record<Lifecycle, number> = { Active: 0, Quarantined: 1, Revoked: 2 };
const MAKES: Record<Standing['action'], Lifecycle> = { Quarantine: 'Quarantined', Revoke: 'Revoked' };

function strictestThenOldest(a: Standing, b: Standing): number {
  const strictness = STRICTNESS[MAKES[b.action]] - STRICTNESS[MAKES[a.action]];
  if (strictness !== 0) return strictness;
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
