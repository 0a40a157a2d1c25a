// Where everything lies that outlives a run: outside the tree, so that a fresh clone is quick too.
import { homedir } from 'node:os';
import { join } from 'node:path';

export function cacheRoot(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hedgerow');
}
