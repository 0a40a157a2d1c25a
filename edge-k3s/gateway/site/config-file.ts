// The configuration as a file: a ConfigMap that the operator writes, mounted.
import { readFile } from 'node:fs/promises';
import { type GatewayConfig, readGatewayConfig } from '../../../operator/api/gateway-config.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import { followFiles } from '../../../operator/runtime/follow-files.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import { Refused } from '../errors.ts';

export type ConfigRead = { text: string; config: GatewayConfig };

/** Rejects with `Refused` HR-GW-311. */
export async function readConfigFile(file: string): Promise<ConfigRead> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Refused('HR-GW-311', error, `${file} cannot be read`);
  });
  const found = readGatewayConfig(text);
  if (!('segments' in found)) throw new Refused('HR-GW-311', undefined, found.message);
  return { text, config: found };
}

export type FollowConfig = {
  first: ConfigRead;
  /** Throws `Refused` where it is not taken; nothing has changed then. What it gives rejects where the process has to end. */
  take(config: GatewayConfig): Promise<void>;
  clock: Clock;
  log: Log;
};

/** Looks until the signal aborts. What is not taken leaves the last good one in force. */
export async function followConfig(file: string, { first, take, clock, log }: FollowConfig, signal: AbortSignal): Promise<void> {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const followed = {
    read: () => readConfigFile(file),
    isSame: (one: ConfigRead, other: ConfigRead) => one.text === other.text,
    onNew({ config }: ConfigRead): void {
      if (config.site !== first.config.site) throw new Refused('HR-GW-311', undefined, 'it is of another site');
      take(config).catch((error: unknown) => failed.reject(error));
      log.info({ segments: config.segments.length }, 'another configuration is in force');
    },
    onTrouble(error: unknown): void {
      if (!(error instanceof Refused)) throw error;
      log.warn({ code: error.code, problem: error.message }, 'the configuration is not taken; the last good one stays in force');
    },
  };
  await Promise.race([followFiles(first, followed, clock, signal), failed.promise]);
}
