// Names of Devices out of a file, one a line.
import { LABEL_PATTERN } from '../api/names.ts';
import { printable } from './adoption-text.ts';
import { WrongUse } from './parse.ts';
import { textOfFile } from './text-file.ts';

const LABEL = new RegExp(LABEL_PATTERN);
const LONGEST_SHOWN = 80;

export async function namesIn(file: string): Promise<string[]> {
  return namesOf(await textOfFile(file), file);
}

/** Empty lines and those that begin with # say nothing. */
export function namesOf(text: string, file: string): string[] {
  const names: string[] = [];
  for (const [at, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const name = line.trim();
    if (name === '' || name.startsWith('#')) continue;
    if (!LABEL.test(name))
      throw new WrongUse(`${file}, line ${at + 1}: "${printable(name.slice(0, LONGEST_SHOWN))}" is no name of a Device`);
    names.push(name);
  }
  if (names.length === 0) throw new WrongUse(`${file} names no Device`);
  return names;
}
