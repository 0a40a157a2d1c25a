import { describe, expect, it } from 'vitest';
import type { Answer, Rest, RestCall } from './rest.ts';
import { createRetained } from './retained.ts';

const TOPIC = 'trust/v1/d/thermo-1.berlin/confirmed';

/** A broker that answers this to everything, and what it was asked. */
function broker(...answers: Answer[]): { retained: ReturnType<typeof createRetained>; calls: RestCall[] } {
  const calls: RestCall[] = [];
  const rest: Rest = {
    async call(call) {
      calls.push(call);
      return answers[Math.min(calls.length, answers.length) - 1] ?? { status: 404, body: {} };
    },
    stop: () => undefined,
    close: async () => undefined,
  };
  return { retained: createRetained(rest), calls };
}

describe('retained messages', () => {
  it('are listed by a filter, as 5.8.9 was recorded to answer', async () => {
    const row = {
      from_clientid: 'thermo-1.berlin',
      from_username: 'a',
      msgid: '000660F3',
      publish_at: '2026-11-23T15:50:01.479+00:00',
      qos: 1,
      topic: TOPIC,
    };
    const { retained, calls } = broker({ status: 200, body: { data: [row], meta: { hasnext: false, limit: 100, page: 1 } } });
    expect(await retained.list('trust/v1/d/+/confirmed')).toEqual([{ topic: TOPIC, id: '000660F3', from: 'thermo-1.berlin' }]);
    expect(calls[0]?.path).toBe('/mqtt/retainer/messages?page=1&limit=10000&topic=trust%2Fv1%2Fd%2F%2B%2Fconfirmed');
  });

  it('are read one at a time, the topic as one segment of the path; one that is not there is none', async () => {
    const { retained, calls } = broker({ status: 200, body: { payload: Buffer.from('{}').toString('base64') } }, { status: 404, body: {} });
    expect((await retained.get(TOPIC))?.toString()).toBe('{}');
    expect(await retained.get(TOPIC)).toBeUndefined();
    expect(calls[0]?.path).toBe('/mqtt/retainer/message/trust%2Fv1%2Fd%2Fthermo-1.berlin%2Fconfirmed');
  });

  it('are written also when nobody listens', async () => {
    const { retained, calls } = broker({ status: 202, body: { message: 'no_matching_subscribers', reason_code: 16 } });
    await retained.put('trust/v1/anchors', 'x');
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/publish',
      body: { topic: 'trust/v1/anchors', payload: 'x', qos: 1, retain: true },
    });
  });

  it('are removed, and what is gone already is no trouble', async () => {
    const { retained, calls } = broker({ status: 204, body: {} }, { status: 404, body: { code: 'NOT_FOUND' } }, { status: 400, body: {} });
    await retained.remove(TOPIC);
    await retained.remove(TOPIC);
    expect(calls[1]).toMatchObject({ method: 'DELETE', path: '/mqtt/retainer/message/trust%2Fv1%2Fd%2Fthermo-1.berlin%2Fconfirmed' });
    await expect(retained.remove(TOPIC)).rejects.toMatchObject({ code: 'HR-BRK-005' });
  });

  it.each<[what: string, answer: Answer]>([
    ['another status', { status: 400, body: { code: 'BAD_REQUEST', message: 'no' } }],
    ['no list', { status: 200, body: { data: 'x' } }],
    ['rows without a topic', { status: 200, body: { data: [{ msgid: '1' }] } }],
  ])('%s is an error and never an empty list', async (_what, answer) => {
    await expect(broker(answer).retained.list('#')).rejects.toMatchObject({ code: 'HR-BRK-005' });
  });

  it('a refused write is an error', async () => {
    await expect(broker({ status: 400, body: { reason_code: 144 } }).retained.put('#', 'x')).rejects.toMatchObject({ code: 'HR-BRK-005' });
  });
});
