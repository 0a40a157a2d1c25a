// What changes between two relations, in the words of np-guard's netpol-analyzer: `ref1` is before, `ref2` is after.
import { type AddressRange, compareRanges, contains, mergeNeighbours, partition } from './addresses.ts';
import { byCodeUnits, type Connection, type Party, rangeParty } from './connections.ts';
import { type Connections, connectionsText, equal, NOTHING } from './ports.ts';

export type Difference = { from: Party; to: Party; before: Connections; after: Connections };
export type Relation = { connections: readonly Connection[]; workloads: ReadonlySet<string> };

/** Pairs whose connections differ. Addresses are cut alike on both sides first, and neighbours with the same difference become one again. */
export function differencesOf(before: Relation, after: Relation): Difference[] {
  const pairs = new Map<string, Difference>();
  const cuts = { from: cutsOf([before, after], 'from'), to: cutsOf([before, after], 'to') };
  for (const side of ['before', 'after'] as const) {
    for (const { from, to, connections } of (side === 'before' ? before : after).connections) {
      for (const finerFrom of refined(from, cuts.from)) {
        for (const finerTo of refined(to, cuts.to)) {
          const key = `${finerFrom.text} ${finerTo.text}`;
          const pair = pairs.get(key) ?? { from: finerFrom, to: finerTo, before: NOTHING, after: NOTHING };
          pairs.set(key, { ...pair, [side]: connections });
        }
      }
    }
  }
  return merged([...pairs.values()].filter((pair) => !equal(pair.before, pair.after)));
}

/** A heading and a line for each pair, sorted; empty when nothing differs. */
export function differencesList(differences: readonly Difference[], before: Relation, after: Relation): string {
  if (differences.length === 0) return '';
  const lines = differences.map((difference) => {
    const type = difference.before.size === 0 ? 'added' : difference.after.size === 0 ? 'removed' : 'changed';
    const { from, to } = difference;
    const refs = `ref1: ${connectionsText(difference.before)}, ref2: ${connectionsText(difference.after)}`;
    const missingFrom = type === 'added' ? before.workloads : type === 'removed' ? after.workloads : undefined;
    const news = [from, to].filter((party) => party.range === undefined && missingFrom?.has(party.text) === false);
    const info = news.length === 0 ? '' : `, workloads-diff-info: workload ${news.map(({ text }) => text).join(' and ')} ${type}`;
    return `diff-type: ${type}, source: ${from.text}, destination: ${to.text}, ${refs}${info}\n`;
  });
  return `Connectivity diff:\n${lines.sort(byCodeUnits).join('')}`;
}

function cutsOf(relations: readonly Relation[], end: 'from' | 'to'): AddressRange[] {
  const ranges = relations.flatMap(({ connections }) => connections.flatMap((connection) => connection[end].range ?? []));
  return ([4, 6] as const).flatMap((family) => partition(family, ranges));
}

function refined(party: Party, cuts: readonly AddressRange[]): Party[] {
  const { range } = party;
  return range === undefined ? [party] : cuts.filter((cut) => contains(range, cut)).map(rangeParty);
}

function merged(differences: readonly Difference[]): Difference[] {
  const groups = Map.groupBy(differences, ({ from, to, before, after }) =>
    [
      from.range === undefined ? from.text : '',
      to.range === undefined ? to.text : '',
      connectionsText(before),
      connectionsText(after),
    ].join('\n'),
  );
  return [...groups.values()].flatMap((alike) => {
    const [first] = alike;
    if (first === undefined) return [];
    const end = first.from.range === undefined ? (first.to.range === undefined ? undefined : 'to') : 'from';
    if (end === undefined) return alike;
    const ranges = mergeNeighbours(alike.flatMap((difference) => difference[end].range ?? []).sort(compareRanges));
    return ranges.map((range) => ({ ...first, [end]: rangeParty(range) }));
  });
}
