import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import type { Outgoing } from '../mqtt/link.ts';
import type { KnownDevice } from '../site/devices.ts';
import type { Alerted } from './alerted.ts';
import { readQuestion } from './answer.ts';
import { createDesk } from './desk.ts';
import type { LatestDevice } from './latest.ts';

const NOW = 1_790_000_000_000;
const PANEL: KnownDevice = { name: 'panel-1.berlin', uid: 'u', segment: 'panels.berlin', labels: {}, lifecycle: 'Active' };
const SAID: LatestDevice = {
  segment: 'office.berlin',
  streams: new Map([
    ['climate', { atMs: NOW - 9, heardMs: NOW - 5, readings: [['celsius', 21.5]] }],
    ['air', { atMs: NOW - 8, heardMs: NOW - 4, readings: [['', 400]] }],
  ]),
};

function makeDesk(known: KnownDevice = PANEL, said: LatestDevice | undefined = SAID, alerts: readonly Alerted[] = []) {
  const sent: Outgoing[] = [];
  const results: string[] = [];
  const clock = new FakeClock(NOW);
  const desk = createDesk({
    latest: { of: (device) => (device === 'thermo-1.berlin' ? said : undefined) },
    alerts: { of: () => alerts },
    devices: { get: (name) => (name === known.name ? known : undefined) },
    publish: (message) => {
      sent.push(message);
      return Promise.resolve(0);
    },
    ...{ clock, asked: (result: string) => void results.push(result) },
  });
  const ask = (question: unknown, topic = 'get/gateways.berlin/gateway.berlin/panel-1.berlin'): void =>
    desk.offer(topic, Buffer.from(typeof question === 'string' ? question : JSON.stringify(question)));
  return {
    ask,
    sent,
    results,
    clock,
    answers: () => sent.map(({ topic, payload }) => ({ topic, ...(JSON.parse(payload.toString()) as object) })),
  };
}
const QUESTION = { v: 1, id: 'a-1', device: 'thermo-1.berlin' };

describe('the last values of a device', () => {
  it('come with the last alerts, each with the sentence that says why', () => {
    const why = { kind: 'range', atMs: NOW - 9, says: '26 is above 25, the highest allowed', field: 'celsius' } as const;
    const { ask, answers } = makeDesk(PANEL, SAID, [
      { ...why, stream: 'climate' },
      { ...why, stream: 'air' },
    ]);
    ask({ ...QUESTION, stream: 'climate' });
    expect(answers()[0]).toMatchObject({
      alerts: [{ stream: 'climate', field: 'celsius', kind: 'range', ts: NOW - 9, says: '26 is above 25, the highest allowed' }],
    });
    expect((answers()[0] as unknown as { alerts: unknown[] }).alerts).toHaveLength(1);
  });

  it('are told to who asks, all streams or one', () => {
    const { ask, answers, sent } = makeDesk();
    ask(QUESTION);
    ask({ ...QUESTION, stream: 'air' });
    const [climate, air] = [
      { stream: 'climate', ts: NOW - 9, heard: NOW - 5, readings: [['celsius', 21.5]] },
      { stream: 'air', ts: NOW - 8, heard: NOW - 4, readings: [['', 400]] },
    ];
    const head = {
      topic: 'latest/panels.berlin/panel-1.berlin',
      v: 1,
      id: 'a-1',
      device: 'thermo-1.berlin',
      now: NOW,
      segment: 'office.berlin',
    };
    expect(answers()).toEqual([
      { ...head, streams: [climate, air] },
      { ...head, streams: [air] },
    ]);
    expect(sent[0]?.expirySeconds).toBe(30);
  });

  it.each<[string, unknown, LatestDevice, string]>([
    ['of whom nothing was heard', { ...QUESTION, device: 'thermo-2.berlin' }, SAID, 'HR-GW-711'],
    ['that has no such stream', { ...QUESTION, stream: 'noise' }, SAID, 'HR-GW-711'],
    [
      'that are more than one message takes',
      QUESTION,
      {
        ...SAID,
        streams: new Map([['s', { atMs: 1, heardMs: 1, readings: Array.from({ length: 9_000 }, (_, n) => [`f${n}`, n] as const) }]]),
      },
      'HR-GW-712',
    ],
  ])('are answered by a code where there are none, or %s', (_name, question, said, code) => {
    const { ask, answers } = makeDesk(PANEL, said);
    ask(question);
    expect(answers()).toEqual([expect.objectContaining({ id: 'a-1', code })]);
  });

  it('are told to nobody who is no Active Device, and no question chooses where the answer goes', () => {
    const { ask, sent, results } = makeDesk({ ...PANEL, lifecycle: 'Quarantined' });
    ask(QUESTION);
    ask(QUESTION, 'get/gateways.berlin/gateway.berlin/stranger.berlin');
    ask({ ...QUESTION, reply: 'cmd/fans.berlin/fan-1.berlin/stop' });
    ask(QUESTION, 'get/gateways.berlin/gateway.berlin/panel-1.berlin/more');
    expect([sent, results]).toEqual([[], ['unknown', 'unknown', 'malformed', 'malformed']]);
  });

  it('are told so often in a second, and no more', async () => {
    const { ask, sent, results, clock } = makeDesk();
    for (let n = 0; n < 150; n++) ask(QUESTION);
    expect([sent.length, results.filter((one) => one === 'busy').length]).toEqual([100, 50]);
    await clock.advance(1_000);
    ask(QUESTION);
    expect(sent).toHaveLength(101);
  });

  it('whatever is asked, it is a question or it is none', () => {
    fc.assert(
      fc.property(fc.string(), fc.oneof(fc.string(), fc.json()), (topic, text) => {
        expect(readQuestion(topic, Buffer.from(text))).toBeUndefined();
        const found = readQuestion('get/g.b/g.b/p.b', Buffer.from(text));
        if (found !== undefined) expect(JSON.parse(text)).toMatchObject({ v: 1, id: found.id });
      }),
    );
  });
});
