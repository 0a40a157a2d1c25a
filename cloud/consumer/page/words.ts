// An alert in words: sites send kinds and numbers and no text, so that nothing a device made up can be in one.
import type { MessageOf } from '../../../operator/api/egress.ts';

type Kind = MessageOf<'Alert'>['kind'];

const KINDS: Readonly<Record<Kind, string>> = {
  unusable: 'sends values that are no measure',
  range: 'is outside its range',
  rate: 'changes faster than it can',
  stuck: 'has not moved for longer than it ever did',
  gap: 'is silent for longer than usual',
  cadence: 'sends in another rhythm',
  level: 'is at a level that it hardly ever has',
  step: 'has jumped',
  'time-of-day': 'is unusual for this time of day',
  pattern: 'moves in a way that it never did',
  repeat: 'repeats what it said before',
  peers: 'differs from those of its kind',
  schema: 'sends what does not fit the schema of its segment',
  rule: 'made a rule of the site act',
  storm: 'many alerts at once, sent as one',
};

type Said = { kind?: unknown; metric?: unknown; score?: unknown; rule?: unknown; count?: unknown };

/** `temperature is at a level that it hardly ever has (one reading in 2,000,000), 3 times`. */
export function inWords({ kind, metric, score, rule, count }: Said): string {
  const what = KINDS[kind as Kind] ?? String(kind);
  const named = typeof rule === 'string' ? `${what} (${rule})` : what;
  const rare = typeof score === 'number' ? ` (${rarity(score)})` : '';
  const often = typeof count === 'number' && count > 1 ? `, ${count.toLocaleString('en-US')} times` : '';
  return `${typeof metric === 'string' ? `${metric} ` : ''}${named}${rare}${often}`;
}

/** `score`: -log10 of how rare. */
function rarity(score: number): string {
  if (score >= 9) return 'fewer than one reading in 1,000,000,000';
  return `one reading in ${Number((10 ** score).toPrecision(2)).toLocaleString('en-US')}`;
}
