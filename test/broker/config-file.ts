/** What was changed by API and survives a restart (EMQX: `cluster.hocon` and `authz/acl.conf`); it wins over what the broker boots with. */

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';

export class ConfigFile {
  readonly #file: string;

  constructor(dataDir: string) {
    this.#file = join(dataDir, 'cluster.json');
  }

  load(boot: Config): Config {
    if (!existsSync(this.#file)) return boot;
    return { ...boot, ...(JSON.parse(readFileSync(this.#file, 'utf8')) as Partial<Config>) };
  }

  /** Synced at once: a SIGKILL right after a PUT of the ACL text loses nothing (restart.json). */
  save(config: Config): void {
    const file = openSync(`${this.#file}.new`, 'w', 0o600);
    writeSync(file, JSON.stringify(config));
    fsyncSync(file);
    closeSync(file);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
