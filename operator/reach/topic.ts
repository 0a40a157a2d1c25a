// Topic filters of MQTT 5 §4.7 as sets of topics: what two of them have in common, and whether some of them hold all of another. Pure; a filter is the list of its levels.

export type Levels = readonly string[];

/** No topic and no filter may hold U+0000 (MQTT-4.7.3-2): with it begin the levels that no text can say. */
const SYSTEM = '\0$';
const fresh = (at: number): string => `\0${at}`;

/** Every topic there is: a wildcard at the first level leaves those that begin with $ (MQTT-4.7.2-1). */
export const EVERYTHING: readonly Levels[] = [['#'], [SYSTEM, '#']];

export const levelsOf = (text: string): Levels => text.split('/');

/** A level that stands for any word is shown as what it stands for. */
export const topicText = (levels: Levels): string =>
  levels.map((level) => (level.startsWith(SYSTEM) || level.startsWith('$\0') ? '$…' : level.startsWith('\0') ? '+' : level)).join('/');

/** MQTT-4.7.1-1 and -2: # alone and last, + alone. */
export const isFilter = (levels: Levels): boolean =>
  levels.join('/') !== '' && levels.every((level, at) => level === '+' || (level === '#' ? at === levels.length - 1 : !/[+#]/.test(level)));

/**
 * Level by level, as EMQX compares (emqx_topic:match). A subscription's filter is compared as if it were a topic: that is how EMQX decides whether one may subscribe, and why a
 * right to `t/+` admits the subscription `t/#`.
 */
export function matches(topic: Levels, filter: Levels): boolean {
  for (const [at, level] of filter.entries()) {
    const word = topic[at];
    if (level === '#' && at === filter.length - 1) return at > 0 || !isSystem(topic[0]);
    if (word === undefined || !holdsWord(level, word, at)) return false;
  }
  return topic.length === filter.length;
}

const isSystem = (word: string | undefined): boolean => word !== undefined && (word.startsWith('$') || word === SYSTEM);

function holdsWord(level: string, word: string, at: number): boolean {
  if (level === '+') return at > 0 || !isSystem(word);
  return level === word || (level === SYSTEM && at === 0 && word.startsWith('$'));
}

/** The topics that both hold, which are those of one filter; undefined when there are none. */
export const intersection = (a: Levels, b: Levels): Levels | undefined =>
  overlay(a, b, (x, y, at) => (holdsWord(x, y, at) ? y : holdsWord(y, x, at) ? x : undefined));

/** Two filters level by level; `shared` says what two levels have in common that are no #. `x/#` holds x too, so a # leaves the rest of the other side as it is, though nothing be left of it. */
export function overlay(a: Levels, b: Levels, shared: (x: string, y: string, at: number) => string | undefined): Levels | undefined {
  const both: string[] = [];
  for (let at = 0; ; at++) {
    const [x, y] = [a[at], b[at]];
    if (x === '#' && at === a.length - 1) return at === 0 && isSystem(y) ? undefined : [...both, ...b.slice(at)];
    if (y === '#' && at === b.length - 1) return at === 0 && isSystem(x) ? undefined : [...both, ...a.slice(at)];
    if (x === undefined || y === undefined) return x === y ? both : undefined;
    const level = shared(x, y, at);
    if (level === undefined) return undefined;
    both.push(level);
  }
}

/**
 * One topic for each number of levels up to `longest`, with words that stand in no filter where `filter` leaves the choice. Words are compared for equality only, so a filter that
 * holds such a topic holds every topic of `filter` with as many levels.
 */
export function typicalTopics(filter: Levels, longest: number): Levels[] {
  const open = filter.at(-1) === '#';
  const head = (open ? filter.slice(0, -1) : filter).map((level, at) =>
    level === '+' ? fresh(at) : level === SYSTEM ? `$${fresh(at)}` : level,
  );
  const topics: Levels[] = head.length === 0 ? [] : [head];
  for (let at = head.length; open && at < Math.max(longest, head.length + 1); at++) topics.push([...(topics.at(-1) ?? []), fresh(at)]);
  return topics;
}

/** Whether every topic of `narrow` is one of these filters'. */
export function covers(wide: readonly Levels[], narrow: Levels): boolean {
  const longest = Math.max(narrow.length, ...wide.map((one) => one.length)) + 1;
  return typicalTopics(narrow, longest).every((topic) => wide.some((one) => matches(topic, one)));
}

/** What a right to subscribe to `filter` lets a client receive at EMQX: a # is let through in the place of a last +. */
export function receivable(filter: Levels): Levels {
  const plus = filter.at(-1) === '#' ? filter.length - 2 : filter.length - 1;
  return filter[plus] === '+' ? [...filter.slice(0, plus), '#'] : filter;
}

/** What is left of `$share/<group>/F` and `$queue/F` when EMQX asks for the right to it: F. Undefined: EMQX closes the connection. */
export function subscribedFilter(text: string): Levels | undefined {
  const levels = levelsOf(text);
  const group = levels[0] === '$share' ? 2 : levels[0] === '$queue' && levels.length > 1 ? 1 : 0;
  const filter = levels.slice(group);
  const nested = group > 0 && filter.length > 1 && (filter[0] === '$share' || filter[0] === '$queue');
  const goodGroup = group < 2 || (levels[1] !== '' && levels[1] !== undefined && !/[+#]/.test(levels[1]));
  return filter.length > 0 && goodGroup && !nested && isFilter(filter) && !text.includes('\0') ? filter : undefined;
}
