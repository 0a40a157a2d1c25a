// A log that keeps what was said, for tests of what people would read.
import type { Log } from '../log.ts';

export type Said = { level: 'debug' | 'info' | 'warn' | 'error'; fields: Record<string, unknown>; message: string };

export function recordingLog(said: Said[] = [], inherited: object = {}): Log & { said: Said[] } {
  const at =
    (level: Said['level']) =>
    (fields: object, message: string): void =>
      void said.push({ level, fields: { ...inherited, ...fields }, message });
  return {
    said,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recordingLog(said, { ...inherited, ...fields }),
  };
}
