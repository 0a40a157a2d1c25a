// The gateway as it runs at a site: the process from source, its state on the disk of this machine, every stage on.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GatewayConfig } from '../../../operator/api/gateway-config.ts';
import { type Pinned, SUBJECT_CORE, startPinned } from './pinned.ts';
import { deviceNames, LIMIT, SCHEMA, SEGMENT, SITE, STREAM, type SubjectPlace } from './scene.ts';

const MAIN = fileURLToPath(new URL('../../../edge-k3s/gateway/main.ts', import.meta.url));
const DAY_MS = 86_400_000;

export function startGateway({ directory, port, tls }: SubjectPlace): Pinned {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, value: unknown): string => {
    const path = join(directory, name);
    writeFileSync(path, JSON.stringify(value));
    return path;
  };
  const broker = `localhost:${port}`;
  return startPinned(SUBJECT_CORE, [
    ...[MAIN, '--broker', broker, '--broker-ca-file', tls.ca, '--broker-cert-file', tls.cert, '--broker-key-file', tls.key],
    ...['--uplink', broker, '--uplink-ca-file', tls.ca, '--uplink-cert-file', tls.cert, '--uplink-key-file', tls.key],
    ...['--config-file', write('gateway.json', config), '--devices-file', write('devices.json', devices)],
    ...['--state-dir', join(directory, 'state'), '--metrics-host', '127.0.0.1', '--metrics-port', '0', '--log-level', 'warn'],
  ]);
}

/** What a policy without special wishes compiles to, and the limit that the peer has too. */
const config: GatewayConfig = {
  version: 1,
  site: SITE,
  segments: [
    {
      ...{ name: SEGMENT, egress: 'Aggregates', pseudonyms: true, minGroup: 5, groupBy: 'floor', windowMs: 60_000 },
      schemas: [{ topic: `dt/${SEGMENT}/+/${STREAM}`, schema: SCHEMA }],
      ...{ onViolation: 'Drop', maxBytes: 16_384, replay: { window: 64, maxSkewMs: 120_000 }, triggers: [] },
      detect: [{ stream: STREAM, field: LIMIT.field, range: { max: LIMIT.max } }],
      rules: [],
      retentionMs: { trend: 30 * DAY_MS, alert: 30 * DAY_MS, security: 30 * DAY_MS },
    },
  ],
};

const devices = deviceNames.map((name, n) => ({
  ...{ name, uid: `uid-${n}`, segment: SEGMENT, labels: { floor: String(n % 10) }, lifecycle: 'Active' },
}));
