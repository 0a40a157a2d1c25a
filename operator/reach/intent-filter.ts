// Topic filters as the intent needs them (MQTT 5 §4.7): what two of them have in common, and for which devices they meet. Pure.
// `{device}` stands for the one device that uses the right.
import { levelsOf, overlay } from './topic.ts';

/** All topics that both filters hold, as a filter; `{device}` is the same device in both. */
export function common(a: string, b: string): string | undefined {
  return overlay(levelsOf(a), levelsOf(b), (x, y) => {
    if (x === y || y === '+') return x;
    return x === '+' ? y : undefined;
  })?.join('/');
}

/** Whether every topic of `narrow` is one of `wide`. */
export const isWithin = (narrow: string, wide: string): boolean => common(narrow, wide) === narrow;

/** A publisher and a subscriber meet there; only the devices of these names when one is given. */
export type Meeting = { topic: string; publisher?: string; subscriber?: string };

/** Where a policy names one device by a word, only that one is meant. */
export function meetingText({ topic, publisher, subscriber }: Meeting): string {
  const only = [...(publisher === undefined ? [] : [`from ${publisher}`]), ...(subscriber === undefined ? [] : [`to ${subscriber}`])];
  return only.length === 0 ? topic : `${topic} only ${only.join(' ')}`;
}

/** Where what one device may publish meets what another one may subscribe to. Two devices never have one name. */
export function meeting(publish: string, subscribe: string): Meeting | undefined {
  const only: Partial<Record<'publisher' | 'subscriber', string>> = {};
  /** A placeholder and a word meet for the one device of that name. */
  const pin = (side: 'publisher' | 'subscriber', word: string): string | undefined => {
    if ((only[side] ?? word) !== word || word.startsWith('{')) return undefined;
    only[side] = word;
    return word;
  };
  const topic = overlay(levelsFor('{publisher}', publish), levelsFor('{subscriber}', subscribe), (x, y) => {
    if (x === y || y === '+') return x;
    if (x === '+') return y;
    if (x === '{publisher}') return pin('publisher', y);
    return y === '{subscriber}' ? pin('subscriber', x) : undefined;
  });
  return topic === undefined ? undefined : { topic: topic.join('/'), ...only };
}

const levelsFor = (device: string, filter: string): string[] => filter.split('/').map((level) => (level === '{device}' ? device : level));

const WORD = /^[A-Za-z0-9._:@~=-]+$/;
const SEGMENT = /^[a-z0-9-]+[.][a-z0-9-]+$/;
const MOST_CHARACTERS = 256;
const MOST_LEVELS = 8;

export type Action = 'publish' | 'subscribe';

/** What leaves a site: these words go on with its name. */
export const isOfSites = (word: string | undefined): boolean => word === 'agg' || word === 'alert' || word === 'raw';

/** Why a policy may not have this filter, or undefined. `{segment}` stands where its own name stood. */
export function filterFault(filter: string, action: Action, namespace: string): string | undefined {
  const levels = filter.split('/');
  const [word = '', whose = ''] = levels;
  if (filter.length > MOST_CHARACTERS || levels.length > MOST_LEVELS) return 'it is too long';
  const odd = levels.find((level, i) => !isLevel(level) && !(level === '#' && i === levels.length - 1));
  if (odd !== undefined) return `${JSON.stringify(odd.slice(0, 40))} is no level`;
  if (!WORD.test(word)) return 'it does not begin with a word';
  if (word === 'ota' || word === 'recovery') return `topics under ${word}/ are given to every device and to nobody else`;
  // The broker reads a # of a subscription as a word, and what follows a + may be nothing (emqx.md §2, trap b).
  if (action === 'subscribe' && levels.at(-1) === '+') return 'a subscription that ends in + admits #';
  if (action === 'subscribe' && levels.length > 3 && levels.at(-1) === '#' && levels.at(-2) === '+')
    return 'a subscription that ends in +/# admits # a level higher';
  if (whose === '#') return isOfSites(word) ? 'it is of every site' : undefined;
  if (levels.length < 3) return 'nothing stands below the name of the segment';
  if (isOfSites(word)) return whose === namespace || whose === '{segment}' ? undefined : 'it is of another site';
  return whose === '{segment}' || whose === '+' || SEGMENT.test(whose) ? undefined : 'its second level names no segment';
}

/** A wildcard behind `{segment}` and before any `{device}`: one device could hear another, or speak for it. */
export function mixesDevices(filter: string): boolean {
  const levels = filter.split('/');
  return levels.some((level, i) => {
    if (level !== '{segment}') return false;
    const next = levels.slice(i + 1).find((one) => one === '+' || one === '#' || one.startsWith('{'));
    return next === '+' || next === '#';
  });
}

const isLevel = (level: string): boolean => level === '+' || level === '{device}' || level === '{segment}' || WORD.test(level);
