// What both subjects have before them: the same devices, messages, schema and limit, the same certificates.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDeviceCa, SERVER_AUTH, subject } from '../../broker/testing/pki.ts';
import { LIMIT_PPM } from './feeder/message.ts';

export const SITE = 'berlin';
export const SEGMENT = `air-sensors.${SITE}`;
export const STREAM = 'air';
const DEVICES = 1_000;
/** Of the longest name a number of three digits is left. */
export const deviceNames: readonly string[] = Array.from({ length: DEVICES }, (_, n) => `air-${String(n).padStart(4, '0')}.${SITE}`);
export const topics: readonly string[] = deviceNames.map((name) => `dt/${SEGMENT}/${name}/${STREAM}`);

export const LIMIT = { field: 'co2', max: LIMIT_PPM };
/** Of `m`: what a SegmentPolicy says of the stream. */
export const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['co2', 'humidity'],
  properties: { co2: { type: 'number', minimum: 0, maximum: 40_000 }, humidity: { type: 'number', minimum: 0, maximum: 100 } },
};
/** The whole message, for who has no envelope reader. */
export const ENVELOPE_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['v', 'boot', 'seq', 'ts', 'm'],
  properties: {
    v: { const: 1 },
    boot: { type: 'integer', minimum: 1 },
    seq: { type: 'integer', minimum: 1 },
    ts: { type: 'integer', minimum: 1 },
    m: SCHEMA,
  },
};

export type TlsPaths = { cert: string; key: string; ca: string };
/** Where a subject starts: an own directory, the broker's port, its certificate. */
export type SubjectPlace = { directory: string; port: number; tls: TlsPaths };
export type Keys = { server: { keyPem: string; certPem: string }; caPem: string; gateway: TlsPaths };

/** One CA for all: who trusts whom is tested elsewhere. */
export async function makeKeys(directory: string): Promise<Keys> {
  const ca = await makeDeviceCa('bench');
  const server = await ca.issue([[{ type: 'CN', value: 'localhost' }]], { usages: [SERVER_AUTH] });
  const gateway = await ca.issue(subject('hedgerow', `gateways.${SITE}`, `gateway.${SITE}`));
  mkdirSync(directory, { recursive: true });
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  return {
    server: { keyPem: server.keyPem, certPem: server.certPem },
    caPem: ca.certPem,
    gateway: { cert: write('tls.crt', gateway.certPem), key: write('tls.key', gateway.keyPem), ca: write('ca.crt', ca.certPem) },
  };
}
