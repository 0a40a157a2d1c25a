// The configuration as a file: a ConfigMap that the operator writes, mounted.
import { readFile } from 'node:fs/promises';
import { type GatewayConfig, readGatewayConfig } from '../../../operator/api/gateway-config.ts';
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
