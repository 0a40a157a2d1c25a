// A rollout as text: what a person asks first at the top. Pure.
import { printable } from './adoption-text.ts';
import type { Counts, RolloutView, WaveRow } from './rollout-view.ts';
import { facts, growingTable } from './table.ts';

const SAMPLES_SHOWN = 10;
const BAR_CELLS = 24;

export function rolloutText(view: RolloutView): string {
  const { waitsFor } = view;
  const parts = [
    facts([
      ['release', `${view.release} (${view.component} ${view.version})`],
      ['phase', view.message === undefined ? view.phase : `${view.phase}: ${view.message}`],
      ['waits for', waitsFor?.what],
      ...(waitsFor?.commands ?? []).map((command): [string, string] => ['go on with', command]),
      ['devices', devicesText(view.counts)],
      ['failures', failuresText(view)],
      ['gate', gateText(view.gate)],
      ['way back', wayBackText(view.wayBack)],
      ['statement', statementText(view)],
      ['sites', sitesText(view.sites)],
    ]),
    `\n${growingTable(['WAVE', 'PHASE', 'PROGRESS', 'DONE', 'REACHED', 'CONFIRMED', 'FAILED', 'GATE', 'APPROVED BY'])(view.waves.map(waveCells))}`,
    samplesText(view),
  ];
  return parts.join('');
}

/** One line for one change, where nothing can be drawn anew. */
export function rolloutLine(view: RolloutView): string {
  const { confirmed = 0, matched = 0, inFlight = 0 } = view.counts;
  const wave = view.waves.findLast(({ target }) => target !== undefined);
  const where = wave === undefined ? '' : `, wave ${wave.name} ${wave.counts.confirmed ?? 0} of ${wave.target}`;
  const waits = view.waitsFor === undefined ? '' : `; waits for ${view.waitsFor.what}`;
  return printable(
    `${view.phase}: ${confirmed} of ${matched} confirmed, ${inFlight} at work, ${wrongOf(view.counts)} failed${where}${waits}`,
  );
}

/** `=` confirmed, `x` failed in any way, `>` at work, `.` not yet; whoever is there has a cell at least. */
export function bar(counts: Counts, target: number, cells = BAR_CELLS): string {
  const { confirmed = 0, inFlight = 0 } = counts;
  const known = [confirmed, wrongOf(counts), inFlight];
  const all = Math.max(
    target,
    known.reduce((sum, count) => sum + count, 0),
  );
  if (all === 0) return `[${'.'.repeat(cells)}]`;
  const parts = known.map((count) => (count === 0 ? 0 : Math.max(1, Math.floor((count * cells) / all))));
  // A cell for somebody who is one of thousands is taken from the largest part.
  for (let over = sum(parts) - cells; over > 0; over--) parts[parts.indexOf(Math.max(...parts))] = Math.max(...parts) - 1;
  // Where everybody is somewhere, no cell is left over.
  if (sum(known) === all) parts[parts.indexOf(Math.max(...parts))] = Math.max(...parts) + cells - sum(parts);
  const [done = 0, wrong = 0, busy = 0] = parts;
  return `[${'='.repeat(done)}${'x'.repeat(wrong)}${'>'.repeat(busy)}${'.'.repeat(cells - sum(parts))}]`;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const wrongOf = ({ failed = 0, rolledBack = 0, timedOut = 0, lost = 0 }: Counts): number => failed + rolledBack + timedOut + lost;

function waveCells({ name, phase, target, counts, soakUntil, gate, approvedBy }: WaveRow): string[] {
  if (target === undefined) return [name, phase, '', '', '', '', '', '', approvedBy ?? ''];
  const { confirmed = 0, reached = 0 } = counts;
  const ended = confirmed + wrongOf(counts);
  const share = target === 0 ? '100%' : `${Math.floor((100 * ended) / target)}%`;
  const said = phase === 'Soaking' && soakUntil !== undefined ? `Soaking until ${soakUntil}` : phase;
  return [
    name,
    said,
    bar(counts, target),
    share,
    `${reached} of ${target}`,
    `${confirmed}`,
    `${wrongOf(counts)}`,
    gate ?? '',
    approvedBy ?? '',
  ];
}

function devicesText({
  matched = 0,
  confirmed = 0,
  unproven = 0,
  inFlight = 0,
  waiting = 0,
  incompatible = 0,
  blocked = 0,
  straggler = 0,
}: Counts): string {
  const proof = unproven > 0 ? ` (${unproven} of them by the word of the image only)` : '';
  const rest = [
    [inFlight, 'at work'],
    [waiting, 'not asked yet'],
    [straggler, 'away'],
    [incompatible, 'without an image for them'],
    [blocked, 'that need something else first'],
  ] as const;
  const others = rest.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  return `${confirmed} of ${matched} confirmed${proof}${others.join('')}`;
}

function failuresText({ estimate, counts }: RolloutView): string {
  const kinds = [
    [counts.failed, 'failed'],
    [counts.rolledBack, 'went back by themselves'],
    [counts.timedOut, 'took too long'],
    [counts.lost, 'not heard of again'],
  ] as const;
  const said = kinds.filter(([count = 0]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const ended = (counts.confirmed ?? 0) + wrongOf(counts);
  if (estimate?.point === undefined) return said.length === 0 ? 'none so far' : said.join(', ');
  const bounds = `between ${estimate.lower95} and ${estimate.upper95} (each bound at 95%)`;
  return `${said.length === 0 ? 'none' : said.join(', ')}: ${estimate.point} of ${ended} devices at an end; the true share is ${bounds}`;
}

function gateText(gate: RolloutView['gate']): string | undefined {
  if (gate === undefined) return undefined;
  const needs =
    gate.needs === 0 ? '' : gate.needs === null ? '; no number of devices can pass it' : `; passes with ${gate.needs} more without failure`;
  return `wave ${gate.wave}: ${gate.says}${needs}`;
}

function wayBackText(way: RolloutView['wayBack']): string | undefined {
  if (way === undefined) return undefined;
  return way.possible ? 'yes, devices can go back to what they ran before' : `no: ${way.reason ?? 'the operator gave no reason'}`;
}

function statementText({ digest, signers, rootVersion }: RolloutView): string {
  if (digest === undefined) return 'not verified yet';
  return `${digest}, signed by ${signers} release keys, trust root ${rootVersion ?? '?'}`;
}

function sitesText(sites: RolloutView['sites']): string | undefined {
  if (sites?.total === undefined) return undefined;
  const silent = sites.unreachable ?? 0;
  return silent === 0 ? `${sites.total}` : `${sites.total}, of which ${silent} do not answer`;
}

function samplesText({ samples }: RolloutView): string {
  if (samples.length === 0) return '';
  const rows = samples.slice(0, SAMPLES_SHOWN).map(({ device, code, wave = '', time = '' }) => [device, code, wave, time]);
  const more = samples.length > SAMPLES_SHOWN ? `and ${samples.length - SAMPLES_SHOWN} more: -o json has them\n` : '';
  return `\n${growingTable(['FAILED DEVICE', 'HOW', 'WAVE', 'WHEN'])(rows)}${more}`;
}
