// What detectors find becomes what a person is told: the same thing once and then how often it came, and never more than a person can read. What is too much is
// counted in one alert for all. docs/reference/edge-egress.md.
import { type ALERT_KINDS, OTHER_METRIC } from '../../../operator/api/egress.ts';
import type { Station } from '../core/core.ts';
import type { Output } from '../core/output.ts';
import { createAge } from '../groups/age.ts';

export type Kind = Exclude<(typeof ALERT_KINDS)[number], 'storm'>;
/** `stream` and `field` of a detector's finding; `rule` of a rule of the site. */
export type Found = {
  device: string;
  segment: string;
  kind: Kind;
  stream?: string;
  field?: string;
  rule?: string;
  atMs: number;
  score?: number;
};

export type Alerts = Station & { found(one: Found): void };

type Episode = Omit<Found, 'atMs' | 'score'> & {
  metric: string | undefined;
  score: number | undefined;
  serial: number;
  fromMs: number;
  toMs: number;
  count: number;
  /** In the last revision that was given out. */
  told: number;
  rev: number;
  /** By the age of the state: when the last one came, when it is over whatever comes. */
  lastMs: number;
  overMs: number;
};
type Storm = { serial: number; sinceMs: number; fromMs: number; toMs: number; count: number; kinds: Partial<Record<Kind, number>> };
type Budget = { left: number; atMs: number; storm: Storm | undefined };

/** Quiet for so long, and the next one is another alert; one that lasts is told of anew. */
const QUIET_MS = 900_000;
const LONGEST_MS = 21_600_000;
/** Of a segment: so many at once, and then one every three seconds. */
const BURST = 60;
const REFILL_MS = 3_000;
/** Of one device at a time: it cannot use up what its segment may say. */
const MOST_OF_DEVICE = 16;
const MOST = 16_384;
const STORM_MS = 60_000;
const VERSION = 'alerts 1';
type Header = { epoch: number; serial: number; age: string };
type Line = ['episode', Episode] | ['budget', string, Budget];

/** `nameOf`: by which name a value may be called outside of the site. */
export function createAlerts(
  out: (output: Output) => void,
  nameOf: (segment: string, stream: string, field: string) => string | undefined,
): Alerts {
  const episodes = new Map<string, Episode>();
  const ofDevice = new Map<string, number>();
  const budgets = new Map<string, Budget>();
  const age = createAge();
  let [epoch, serial] = [0, 0];

  const idOf = (kind: string, number: number): string => `${kind}/${epoch.toString(36)}-${number}`;

  function budgetOf(segment: string): Budget {
    const known = budgets.get(segment) ?? { left: BURST, atMs: age.now(), storm: undefined };
    budgets.set(segment, known);
    const more = Math.floor((age.now() - known.atMs) / REFILL_MS);
    known.atMs += more * REFILL_MS;
    known.left = Math.min(BURST, known.left + more);
    return known;
  }

  function begin(key: string, { atMs, ...one }: Found): void {
    const budget = budgetOf(one.segment);
    const ofThis = ofDevice.get(one.device) ?? 0;
    if (budget.left < 1 || ofThis >= MOST_OF_DEVICE || episodes.size >= MOST) {
      inStorm(budget, one.kind, atMs);
      return;
    }
    budget.left -= 1;
    ofDevice.set(one.device, ofThis + 1);
    serial += 1;
    const metric = one.stream === undefined ? undefined : (nameOf(one.segment, one.stream, one.field ?? '') ?? OTHER_METRIC);
    const [lastMs, overMs] = [age.now(), age.now() + LONGEST_MS];
    const made: Episode = { ...one, metric, score: one.score, serial, fromMs: atMs, toMs: atMs, count: 1, told: 0, rev: 0, lastMs, overMs };
    episodes.set(key, made);
    tell(made);
  }

  function inStorm(budget: Budget, kind: Kind, atMs: number): void {
    if (budget.storm === undefined) serial += 1;
    const storm = budget.storm ?? { serial, sinceMs: age.now(), fromMs: atMs, toMs: atMs, count: 0, kinds: {} };
    budget.storm = storm;
    storm.count += 1;
    storm.kinds[kind] = (storm.kinds[kind] ?? 0) + 1;
    storm.fromMs = Math.min(storm.fromMs, atMs);
    storm.toMs = Math.max(storm.toMs, atMs);
  }

  function tell(one: Episode): void {
    const { segment, device, kind, metric, score, rule, count, rev, fromMs, toMs } = one;
    const body = {
      ...({ type: 'Alert', kind, count } as const),
      ...(metric === undefined ? {} : { metric }),
      ...(score === undefined ? {} : { score: Number(score.toPrecision(3)) }),
      ...(rule === undefined ? {} : { rule }),
    };
    const subject = JSON.stringify([segment, device, kind, metric ?? rule ?? '']);
    out({ segment, device, id: idOf(kind, one.serial), subject, rev, fromMs, toMs, body });
    one.told = count;
    one.rev += 1;
  }

  function tellStorm(segment: string, { serial: number, count, kinds, fromMs, toMs }: Storm): void {
    const body = { type: 'Alert', kind: 'storm', count, kinds } as const;
    out({ segment, device: '', id: idOf('storm', number), subject: JSON.stringify([segment, 'storm']), rev: 0, fromMs, toMs, body });
  }

  function end(key: string, one: Episode): void {
    if (one.count > one.told) tell(one);
    episodes.delete(key);
    const left = (ofDevice.get(one.device) ?? 0) - 1;
    if (left > 0) ofDevice.set(one.device, left);
    else ofDevice.delete(one.device);
  }

  return {
    name: 'alerts',
    found(one) {
      // To the second: the exact time is one of the device's own numbers.
      const atMs = Math.floor(one.atMs / 1000) * 1000;
      const key = keyOf(one);
      const known = episodes.get(key);
      if (known === undefined) {
        begin(key, { ...one, atMs });
        return;
      }
      known.count += 1;
      known.lastMs = age.now();
      known.fromMs = Math.min(known.fromMs, atMs);
      known.toMs = Math.max(known.toMs, atMs);
      known.score = Math.max(known.score ?? 0, one.score ?? 0) || undefined;
    },
    configure(config) {
      for (const name of budgets.keys()) if (!config.segments.some((segment) => segment.name === name)) budgets.delete(name);
    },
    message(event) {
      epoch ||= event.heardMs;
    },
    tick(tick) {
      epoch ||= tick.nowMs;
      age.tick(tick);
      const now = age.now();
      for (const [key, one] of episodes) if (now - one.lastMs >= QUIET_MS || now >= one.overMs) end(key, one);
      for (const [segment, budget] of budgets) {
        if (budget.storm === undefined || now - budget.storm.sinceMs < STORM_MS) continue;
        tellStorm(segment, budget.storm);
        budget.storm = undefined;
      }
    },
    *snapshot() {
      yield VERSION;
      yield JSON.stringify({ epoch, serial, age: age.snapshot() } satisfies Header);
      for (const one of episodes.values()) yield JSON.stringify(['episode', one] satisfies Line);
      for (const [segment, budget] of budgets) yield JSON.stringify(['budget', segment, budget] satisfies Line);
    },
    restore(lines) {
      episodes.clear();
      ofDevice.clear();
      budgets.clear();
      [epoch, serial] = [0, 0];
      const [version, header, ...rest] = lines;
      if (version !== VERSION || header === undefined) return;
      const read = JSON.parse(header) as Header;
      ({ epoch, serial } = read);
      age.restore(read.age);
      for (const text of rest) putBack(JSON.parse(text) as Line);
    },
    forget(device) {
      ofDevice.delete(device);
      for (const [key, one] of episodes) if (one.device === device) episodes.delete(key);
    },
  };

  function putBack(line: Line): void {
    if (line[0] === 'budget') {
      budgets.set(line[1], line[2]);
      return;
    }
    const [, one] = line;
    episodes.set(keyOf(one), one);
    ofDevice.set(one.device, (ofDevice.get(one.device) ?? 0) + 1);
  }
}

const keyOf = ({ device, kind, stream, field, rule }: Pick<Found, 'device' | 'kind' | 'stream' | 'field' | 'rule'>): string =>
  JSON.stringify([device, kind, stream, field, rule]);
