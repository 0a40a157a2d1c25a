// Which release of spec.requires a release waits for before it begins. What each device needs is looked at for each device. Pure.
import type { ReleaseView } from './view.ts';

/** `Cycle`: it would wait for ever, unless somebody changes a manifest. */
export type Lack = { what: string; why: 'Cycle' | 'NotFound' | 'Failed' | 'Required' };

type Named = Pick<ReleaseView, 'namespace' | 'name' | 'spec' | 'status'>;

const FAILED: readonly string[] = ['Failed', 'RolledBack', 'Superseded'];

/** The first that is not completed; a cycle before all others. `find`: a release of the same namespace. */
export function lackOf(own: Named, find: (name: string) => Named | undefined): Lack | undefined {
  const cycle = cycleOf(own, find);
  if (cycle !== undefined) return { what: `spec.requires leads back to it: ${cycle.join(' requires ')}`, why: 'Cycle' };
  for (const name of requiredBy(own)) {
    const what = `FirmwareRelease ${own.namespace}/${name}, which it requires,`;
    const other = find(name);
    if (other === undefined) return { what: `${what} is not there`, why: 'NotFound' };
    const phase = other.status?.phase ?? 'Verifying';
    if (FAILED.includes(phase)) return { what: `${what} is ${phase}`, why: 'Failed' };
    if (phase !== 'Completed') return { what: `${what} is not completed: ${phase}`, why: 'Required' };
  }
  return undefined;
}

export const requiredBy = ({ spec }: Pick<Named, 'spec'>): string[] =>
  (spec.requires ?? []).flatMap(({ release }) => (release === undefined ? [] : [release]));

/** Names from the release to itself, by what each requires. */
function cycleOf(own: Named, find: (name: string) => Named | undefined): string[] | undefined {
  const seen = new Set<string>();
  const paths = requiredBy(own).map((name) => [own.name, name]);
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const name = path.at(-1) ?? '';
    if (name === own.name) return path;
    const other = seen.has(name) ? undefined : find(name);
    seen.add(name);
    for (const next of other === undefined ? [] : requiredBy(other)) paths.push([...path, next]);
  }
  return undefined;
}
