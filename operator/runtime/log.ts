// Structured logs, one JSON object a line. What looks like a credential is cut out of every line, wherever it stands.
import pino from 'pino';
import type { Log as KubeLog } from '../kube/ports.ts';

export type Log = KubeLog;

export type LogOptions = { level?: 'debug' | 'info' | 'warn' | 'error' | 'silent'; write?: (line: string) => void };

/** Errors go under the field `err`. */
export function createLog(options: LogOptions = {}): Log {
  const write = options.write ?? ((line: string) => process.stderr.write(line));
  return pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
      serializers: { err: pino.stdSerializers.err },
    },
    { write: (line: string) => write(redactText(line)) },
  );
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

const SECRET_FIELDS = [
  'authorization',
  'Authorization',
  'token',
  'secret',
  'apiSecret',
  'apiKey',
  'password',
  'privateKey',
  'bearer',
  'cookie',
];
const SECRET_PATHS = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);

/** Private keys, bearer and basic credentials, and JWTs: by their shape, because a message may quote what a server or a file said. */
const SECRET_SHAPES: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?(-----END \1-----|(?=")|$)/g, '[redacted private key]'],
  [/\b(Bearer|Basic) +[A-Za-z0-9+/_.~=-]{8,}/gi, '$1 [redacted]'],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, '[redacted token]'],
];

/** `text` without anything that has the shape of a credential. Also for texts that go into a status or an event. */
export function redactText(text: string): string {
  let clean = text;
  for (const [shape, instead] of SECRET_SHAPES) clean = clean.replace(shape, instead);
  return clean;
}
