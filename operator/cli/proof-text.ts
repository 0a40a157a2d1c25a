// What says so, and what is missing: the texts behind an answer, for a person. Pure.
import type { Verifier, WayAnswer } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';

type Grants = WayAnswer['grants'];

/** Numbered lines, each with the policy, the file it stands in, the field, and what that says. */
export function proofLines(grants: Grants, { survey }: Verifier, indent: string): string {
  const shown = new Map(grants.map((grant) => [JSON.stringify(grant), grant]));
  return [...shown.values()]
    .map(({ policy, path, value }, at) => {
      const file = survey.live ? undefined : survey.sources.get(policy);
      const where = [`${policy}${file === undefined ? '' : ` (${file})`}`, path].filter((part) => part !== '').join(', ');
      return `${indent}${at + 1}. ${printable(where)}: ${printable(value)}\n`;
    })
    .join('');
}

export const missingLines = (missing: readonly string[], indent: string): string =>
  [...new Set(missing)].map((line) => `${indent}missing: ${printable(line)}\n`).join('');
