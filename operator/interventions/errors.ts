// What can stand between an Intervention and the world. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-IV-001': {
    title: 'TargetNotFound',
    cause: 'there is no object of this kind and name in the namespace of the intervention',
    cure: 'correct spec.target.name in a new Intervention; this one holds as soon as one of that name appears',
  },
  'HR-IV-002': {
    title: 'NotSupportedYet',
    cause: 'this action or kind of target is part of the API but nothing honours it yet',
    cure: 'use action Quarantine, Revoke or Rotate on a Device',
  },
  'HR-IV-003': {
    title: 'ApprovedByAuthor',
    cause: 'nobody approves a release of their own, and without spec.author nobody can tell whose it is',
    cure: 'let somebody else make the Approve; give the release spec.author where it has none',
  },
  'HR-IV-004': {
    title: 'ApprovalOfOther',
    cause: 'the approval is of other bytes or of an older text of the release: it counts for nothing',
    cure: 'look at the release as it is now and make another Approve: kubectl hedgerow rollout approve',
  },
} as const;

export type InterventionCode = keyof typeof ERRORS;

/** The condition reason of a code. */
export function reasonOf(code: InterventionCode): string {
  return ERRORS[code].title;
}

/** `HR-IV-001: <what was found>. Cure: <cure>`. */
export function explain(code: InterventionCode, found: string): string {
  return `${code}: ${found}. Cure: ${ERRORS[code].cure}`;
}
