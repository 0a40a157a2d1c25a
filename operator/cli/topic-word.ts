// A topic or a filter as typed (MQTT 5 §4.7). Pure.
import { WrongUse } from './parse.ts';

const MOST_CHARACTERS = 1024;

export function topicIn(word: string): string {
  const levels = word.split('/');
  const good = levels.every((level, at) => level === '+' || (level === '#' && at === levels.length - 1) || !/[+#]/.test(level));
  if (word === '' || word.length > MOST_CHARACTERS || /\p{C}/u.test(word) || !good)
    throw new WrongUse(`${JSON.stringify(word.slice(0, 60))} is no topic: + stands for a whole level, # for all that follow`);
  return word;
}
