// A file that somebody named, as text.
import { promises as fs } from 'node:fs';
import { CliError } from './errors.ts';

/** Throws HR-CLI-004 where it cannot be read. */
export function textOfFile(file: string): Promise<string> {
  return fs.readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CliError('HR-CLI-004', `${file} (${error.code ?? 'unknown'})`);
  });
}
