// What keeps a device above its limit from being quarantined. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-LIM-001': {
    title: 'QuarantineBudgetSpent',
    cause:
      'so many devices of the segment or of the fleet were quarantined without a person within the last hour that one more would be above the budget (of a segment one in ten, of the fleet one in twenty, one at least)',
    cure: 'see whether the limit or the firmware is wrong rather than the devices; quarantine those that are meant by hand (kubectl hedgerow quarantine)',
  },
  'HR-LIM-002': {
    title: 'QuarantineNameTaken',
    cause: 'an Intervention that is no quarantine of this device by the operator has the name that the automatic one would have',
    cure: 'see who made it and why, and delete it if nobody needs it',
  },
  'HR-LIM-003': {
    title: 'AskUnfit',
    cause: 'the ConfigMap hedgerow-gateway-asks of a site is not what a gateway writes, or asks for a device that is not there (any more)',
    cure: 'nothing for a device that was deleted; otherwise see who writes the ConfigMap besides the gateway, and that both are of one version',
  },
} as const;

export type LimitCode = keyof typeof ERRORS;

/** The reason of an Event. */
export function reasonOf(code: LimitCode): string {
  return ERRORS[code].title;
}

/** `HR-LIM-001: <what was found>. Cure: <cure>`. */
export function explain(code: LimitCode, found: string): string {
  return `${code}: ${found}. Cure: ${ERRORS[code].cure}`;
}
