import { expect, it } from 'vitest';
import { type RefusedFilters, sortRefused } from './refused.ts';

const QUESTIONS = 'get/gateways.berlin/gateway.berlin/#';
const OWN = 'dt/gateways.berlin/#';

it.each<[string, string[], RefusedFilters]>([
  [
    'a segment that has not accepted the gateway',
    ['dt/office.berlin/#'],
    { questions: false, own: false, missing: ['dt/office.berlin/#'] },
  ],
  ['the segment of gateways, which has no telemetry', [OWN], { questions: false, own: true, missing: [] }],
  ['no topic for questions', [QUESTIONS], { questions: true, own: false, missing: [] }],
  [
    'all in one answer',
    ['dt/a.berlin/#', OWN, 'dt/b.berlin/#', QUESTIONS],
    { questions: true, own: true, missing: ['dt/a.berlin/#', 'dt/b.berlin/#'] },
  ],
])('%s', (_name, filters, expected) => expect(sortRefused(filters, QUESTIONS, [OWN])).toEqual(expected));
