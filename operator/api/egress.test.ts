import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EgressMessage, egressProblem, isEgress, type MessageOf, topicOf } from './egress.ts';

const COMMON = { v: 1, site: 'berlin', key: 'trend/office/3/climate:celsius/60000', rev: 0, fromMs: 60_000, toMs: 120_000 } as const;
const TREND: MessageOf<'Trend'> = {
  ...{ ...COMMON, type: 'Trend', segment: 'office', group: '3', metric: 'climate:celsius', devices: 5, count: 12 },
  ...{ mean: 21.5, deviation: 0.4, min: 20.9, max: 22.3, p50: 21.4, p95: 22.1, zeros: 1, positive: [152, 5, 153, 6], negative: [] },
};
const ALERT: MessageOf<'Alert'> = {
  ...{ ...COMMON, type: 'Alert', segment: 'office', kind: 'level', device: '6f1c', metric: 'climate:celsius', score: 4.2, count: 1 },
};
const MESSAGES: [EgressMessage, string][] = [
  [TREND, 'agg/berlin/office/3/climate:celsius'],
  [{ ...TREND, group: '_', metric: 'door' }, 'agg/berlin/office/_/door'],
  [ALERT, 'alert/berlin/office/level'],
  [{ ...COMMON, type: 'Alert', segment: 'office', kind: 'storm', count: 70, kinds: { level: 60, gap: 10 } }, 'alert/berlin/office/storm'],
  [
    { ...COMMON, type: 'Security', segment: 'office', kind: 'ReplayDetected', device: '6f1c', count: 3, code: 'HR-GW-202' },
    'alert/berlin/site/security',
  ],
  [
    {
      ...{ ...COMMON, type: 'Health', devices: 40, heard: 38, messages: 9_000, refused: 3, suppressed: 0 },
      ...{ spoolBytes: 1, spoolMaxBytes: 2, certificateDays: 30 },
    },
    'agg/berlin/site/health',
  ],
  [{ ...COMMON, type: 'DataLoss', class: 'alert', reason: 'bound', count: 4 }, 'alert/berlin/site/loss'],
  [{ ...COMMON, type: 'Erased', device: '6f1c', records: 7 }, 'alert/berlin/site/erased'],
  [
    { ...COMMON, type: 'Raw', segment: 'office', device: 'thermo-17.berlin', stream: 'climate/in', boot: 1, seq: 9, m: { celsius: 21.5 } },
    'raw/berlin/office/thermo-17.berlin/climate/in',
  ],
];

describe('what may leave a site', () => {
  it.each(MESSAGES)('%j has a place of its own', (message, topic) => {
    expect(egressProblem(JSON.parse(JSON.stringify(message)))).toBeUndefined();
    expect(topicOf(message)).toBe(topic);
  });

  it.each(MESSAGES)('%j has no room for a word more', (message) => {
    expect(egressProblem({ ...message, note: 'Alice is at home' })).toBe('the whole must NOT have additional properties');
    for (const name of ['v', 'site', 'key', 'rev', 'fromMs', 'toMs', 'type'])
      expect(isEgress({ ...message, [name]: undefined })).toBe(false);
  });

  it.each([
    ['a payload as it came', { celsius: 21.5 }],
    ['a type that is none', { ...ALERT, type: 'Reading' }],
    ['a type by the name of what every object has', { ...ALERT, type: 'constructor' }],
    ['a site that would be another level of the topic', { ...TREND, site: 'berlin/x' }],
    ['a site that is every site', { ...TREND, site: '+' }],
    ['a group with a slash', { ...TREND, group: '3/x' }],
    ['a metric that is every metric', { ...TREND, metric: '#' }],
    ['a metric with a space, as a sentence has', { ...TREND, metric: 'Alice is at home' }],
    ['an alert of a kind that a device made up', { ...ALERT, kind: 'alice' }],
    ['an alert that says what was measured', { ...ALERT, says: '21.5 is far from 20' }],
    ['a storm that names what is no kind', { ...ALERT, kind: 'storm', kinds: { alice: 1 } }],
    ['a trend of nobody', { ...TREND, devices: 0 }],
    ['a trend of more devices than readings', { ...TREND, devices: 13 }],
    ['a trend whose bins hold more than it counts', { ...TREND, positive: [152, 5, 153, 7] }],
    ['a trend with half a bin', { ...TREND, positive: [152, 5, 153] }],
    ['a trend with one bin twice', { ...TREND, positive: [152, 5, 152, 6] }],
    ['a trend with a bin of less than nothing', { ...TREND, positive: [152, 12, 153, -1] }],
    ['a trend with a bin where the sketch has none', { ...TREND, positive: [152, 5, 9_000_000, 6] }],
    ['an end before the beginning', { ...TREND, toMs: 59_999 }],
    ['a number that is text', { ...TREND, mean: '21.5' }],
    ['nothing', null],
    ['a list', [TREND]],
  ])('does not let %s go', (_what, value) => {
    expect(egressProblem(value)).toEqual(expect.any(String));
  });

  it('says what is wrong without a word of what stands there', () => {
    const secret = fc.string({ minLength: 12 }).map((text) => `canary-${text}`);
    fc.assert(
      fc.property(
        fc.constantFrom(...MESSAGES.map(([message]) => message)),
        fc.constantFrom('site', 'key', 'type', 'extra'),
        secret,
        (message, name, value) => {
          const problem = egressProblem({ ...message, [name]: value, [value]: value });
          expect(problem).not.toContain('canary');
          expect(problem).toEqual(expect.any(String));
        },
      ),
    );
  });

  it('never gives a topic outside of its site', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('berlin', '..', '+', '#', '$share', 'a/b', ''));
    const hostile = fc.record({ site: word, segment: word, group: word, metric: word, device: word, stream: word }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.constantFrom(...MESSAGES.map(([message]) => message)), hostile, (message, change) => {
        const names = Object.fromEntries(Object.entries(change).filter(([name]) => name in message));
        const changed = { ...message, ...names };
        if (!isEgress(changed)) return;
        expect(topicOf(changed)).toMatch(new RegExp(`^(agg|alert|raw)/${changed.site}/[^+#$]+$`));
        if (changed.type !== 'Raw') expect(topicOf(changed).split('/').length).toBeLessThanOrEqual(5);
      }),
    );
  });
});
