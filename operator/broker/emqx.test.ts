import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEmqx } from './emqx.ts';
import { type Answer, BrokerError, type Rest } from './rest.ts';

const answering = (answer: (path: string) => Answer) => {
  const asked: string[] = [];
  const rest: Rest = {
    async call({ path }) {
      asked.push(path);
      return answer(path);
    },
    stop: () => undefined,
    close: async () => undefined,
  };
  return { emqx: createEmqx(rest), asked };
};
const ban = { as: 'clientid' as const, who: 'x', until: 'infinity', reason: 'r', by: 'hedgerow/x' };

describe('lists', () => {
  it('are read to the end, page by page', async () => {
    const rows = Array.from({ length: 25_000 }, (_, i) => ({ ...ban, who: `d${i}` }));
    const { emqx, asked } = answering((path) => {
      const page = Number(/page=(\d+)/.exec(path)?.[1]);
      const limit = Number(/limit=(\d+)/.exec(path)?.[1]);
      return { status: 200, body: { data: rows.slice((page - 1) * limit, page * limit), meta: { page, limit } } };
    });
    expect((await emqx.bans()).map((one) => one.who)).toEqual(rows.map((row) => row.who));
    expect(asked).toHaveLength(3);
  });

  it('that never end are an error', async () => {
    const data = Array(10_000).fill(ban);
    await expect(answering(() => ({ status: 200, body: { data } })).emqx.bans()).rejects.toThrow('the list has no end');
  });

  it('of one certificate: an EMQX that ignores the filter is not believed (emqx.md §1.2)', async () => {
    const data = ['a', 'b'].map((username) => ({ clientid: `of-${username}`, username, connected: true }));
    const { emqx } = answering(() => ({ status: 200, body: { data } }));
    expect((await emqx.clientsOf('b')).map((row) => row.clientid)).toEqual(['of-b']);
  });
});

describe('a ban that is there already', () => {
  it('comes as JSON inside the message', async () => {
    const old = { ...ban, by: 'alice', at: '2026-11-22T18:57:51+00:00' };
    const { emqx } = answering(() => ({ status: 400, body: { code: 'ALREADY_EXISTS', message: JSON.stringify(old) } }));
    expect(await emqx.ban(ban)).toMatchObject({ by: 'alice', who: 'x' });
  });

  it.each([
    ['a message that is no JSON', { code: 'ALREADY_EXISTS', message: 'no' }],
    ['another refusal', { code: 'BAD_REQUEST', message: '[67,97]' }],
    ['no body', undefined],
  ])('%s is an error', async (_name, body) => {
    await expect(answering(() => ({ status: 400, body })).emqx.ban(ban)).rejects.toBeInstanceOf(BrokerError);
  });
});

describe('names in a path', () => {
  it('are encoded: an id of others may hold anything', async () => {
    const { emqx, asked } = answering(() => ({ status: 404, body: undefined }));
    await emqx.kick('weird id/1+#');
    await emqx.unban('clientid', 'a/../b?x=y');
    expect(asked).toEqual(['/clients/weird%20id%2F1%2B%23', '/banned/clientid/a%2F..%2Fb%3Fx%3Dy']);
  });
});

it('whatever an answer holds: it is read, or it is an error with a code', async () => {
  const json = fc.oneof(
    fc.jsonValue(),
    fc.record({
      data: fc.array(fc.oneof(fc.jsonValue(), fc.record({ clientid: fc.jsonValue(), topic: fc.jsonValue(), rules: fc.jsonValue() }))),
    }),
    fc.record({ sources: fc.array(fc.jsonValue()) }),
    fc.constant(undefined),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(200, 204, 400, 404, 409), json, async (status, body) => {
      const { emqx } = answering(() => ({ status, body }));
      const calls: (() => Promise<unknown>)[] = [
        emqx.uptimes,
        emqx.sources,
        emqx.bans,
        emqx.records,
        emqx.clients,
        emqx.clientsWithAddress,
        emqx.subscriptions,
        () => emqx.client('x'),
        () => emqx.clientsOf('x'),
        () => emqx.record('x'),
        () => emqx.subscriptionsOf('x'),
        () => emqx.putText('x'),
        () => emqx.ban(ban),
        () => emqx.unban('clientid', 'x'),
        () => emqx.putRecord('x', []),
        () => emqx.kickAll(['x']),
        () => emqx.unsubscribe('x', ['y']),
      ];
      for (const call of calls) {
        try {
          await call();
        } catch (error) {
          expect(error).toBeInstanceOf(BrokerError);
        }
      }
    }),
    { numRuns: 300 },
  );
});
