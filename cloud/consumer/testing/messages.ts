// One good message of each type that a consumer takes.
import type { EgressMessage, MessageOf } from '../../../operator/api/egress.ts';

export const T0 = Date.parse('2026-11-26T12:00:00Z');
const common = { v: 1, site: 'berlin', rev: 0, fromMs: T0, toMs: T0 + 60_000 } as const;

export const trend = (change: Partial<MessageOf<'Trend'>> = {}): MessageOf<'Trend'> => ({
  ...{ ...common, type: 'Trend', key: 't/app/hall/temperature:celsius/1', segment: 'app', group: 'hall', metric: 'temperature:celsius' },
  ...{
    devices: 5,
    count: 7,
    mean: 21.5,
    deviation: 0.5,
    min: 20,
    max: 23,
    p50: 21,
    p95: 23,
    zeros: 0,
    positive: [150, 3, 156, 4],
    negative: [],
  },
  ...change,
});
export const alert = (change: Partial<MessageOf<'Alert'>> = {}): MessageOf<'Alert'> => ({
  ...{
    ...common,
    type: 'Alert',
    key: 'a/1',
    segment: 'app',
    kind: 'level',
    device: 'p-1',
    metric: 'temperature:celsius',
    score: 6.2,
    count: 1,
  },
  ...change,
});
export const security = (change: Partial<MessageOf<'Security'>> = {}): MessageOf<'Security'> => ({
  ...{ ...common, type: 'Security', key: 's/1', segment: 'app', kind: 'ReplayDetected', device: 'p-1', count: 12 },
  ...change,
});
export const health = (change: Partial<MessageOf<'Health'>> = {}): MessageOf<'Health'> => ({
  ...{
    ...common,
    type: 'Health',
    key: 'h/1',
    devices: 40,
    heard: 38,
    messages: 9000,
    refused: 3,
    suppressed: 2,
    spoolBytes: 1000,
    spoolMaxBytes: 4000,
  },
  certificateDays: 21,
  ...change,
});
export const loss = (change: Partial<MessageOf<'DataLoss'>> = {}): MessageOf<'DataLoss'> => ({
  ...{ ...common, type: 'DataLoss', key: 'l/1', class: 'trend', reason: 'bound', count: 120 },
  ...change,
});
export const erased = (change: Partial<MessageOf<'Erased'>> = {}): MessageOf<'Erased'> => ({
  ...{ ...common, type: 'Erased', key: 'e/1', device: 'p-1', records: 4, fromMs: T0 + 120_000, toMs: T0 + 120_000 },
  ...change,
});

export const ONE_OF_EACH: readonly EgressMessage[] = [
  trend(),
  alert({ device: 'p-2' }),
  security({ device: 'p-2' }),
  health(),
  loss(),
  erased(),
];
export const bytesOf = (message: unknown): Buffer => Buffer.from(JSON.stringify(message));
