// Rows against each other and against what the cluster has: one name, one serial number, one key. The first row of several is good, as the operator would have it. Pure.
import type { Device } from '../api/device.ts';
import { explain } from './errors.ts';
import type { RowProblem } from './import-csv.ts';
import type { Imported } from './import-row.ts';

export function withoutTwins(
  all: readonly Imported[],
  inCluster: ReadonlyMap<string, Device>,
): { good: Imported[]; problems: RowProblem[] } {
  const taken = new Map<string, string>();
  for (const [name, { spec }] of inCluster)
    if (spec.hardware?.serial !== undefined) taken.set(`serial ${spec.hardware.serial}`, `Device ${name}`);
  const good: Imported[] = [];
  const problems: RowProblem[] = [];
  for (const row of all) {
    const { name } = row.device.metadata;
    const claims = claimsOf(row);
    const twin = claims.find((claim) => ![undefined, `Device ${name}`].includes(taken.get(claim)));
    if (twin !== undefined) {
      const [what] = twin.split(' ');
      problems.push({ line: row.line, name, problem: explain('HR-CLI-053', `the ${what} is that of ${taken.get(twin)}`) });
      continue;
    }
    for (const claim of claims) taken.set(claim, `line ${row.line}`);
    good.push(row);
  }
  return { good, problems };
}

function claimsOf({ device, key }: Imported): string[] {
  const { serial } = device.spec.hardware ?? {};
  return [
    `name ${device.metadata.name}`,
    ...(serial === undefined ? [] : [`serial ${serial}`]),
    ...(key === undefined ? [] : [`key ${key}`]),
  ];
}

/** Whether what is wanted is there already: everything that the manifest says, whatever else the object has. */
export function says(live: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return live === wanted;
  if (typeof live !== 'object' || live === null) return false;
  return Object.entries(wanted).every(([field, value]) => says((live as Record<string, unknown>)[field], value));
}
