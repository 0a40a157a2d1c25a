/** What was changed by API and survives a restart (EMQX: `cluster.hocon` and `authz/acl.conf`); it wins over what the broker boots with. */

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';

type Saved = { config: Config; bootBinds: Record<string, string> };

export class ConfigFile {
  readonly #file: string;
  #bootBinds: Record<string, string> = {};

  constructor(dataDir: string) {
    this.#file = join(dataDir, 'cluster.json');
  }

  load(boot: Config): Config {
    this.#bootBinds = bindsOf(boot);
    if (!existsSync(this.#file)) return boot;
    const { config, bootBinds } = JSON.parse(readFileSync(this.#file, 'utf8')) as Saved;
    // A stand-in started anew has other ports: an address that nobody changed follows.
    for (const [id, listener] of Object.entries(config.listeners)) {
      const now = this.#bootBinds[id];
      if (now !== undefined && listener.bind === bootBinds[id]) listener.bind = now;
    }
    return { ...boot, ...config };
  }

  /** Synced at once: a SIGKILL right after a PUT of the ACL text loses nothing (restart.json). */
  save(config: Config): void {
    const file = openSync(`${this.#file}.new`, 'w', 0o600);
    writeSync(file, JSON.stringify({ config, bootBinds: this.#bootBinds } satisfies Saved));
    fsyncSync(file);
    closeSync(file);
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function bindsOf({ listeners }: Config): Record<string, string> {
  return Object.fromEntries(Object.entries(listeners).map(([id, { bind }]) => [id, bind]));
}
