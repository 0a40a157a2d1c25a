import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFeedCounts } from './feed-counts.ts';
import { readEvent } from './feed-event.ts';

const CLIENT = 'thermo-1.berlin';
const text = (event: object): string => JSON.stringify(event);

describe('an event of EMQX', () => {
  it.each([
    ['client.connected', { clientid: CLIENT }, { kind: 'connected', client: CLIENT }],
    ['client.disconnected', { clientid: CLIENT, reason: 'ssl_closed' }, { kind: 'disconnected', client: CLIENT }],
    ['client.check_authz_complete', { clientid: CLIENT, result: 'deny', topic: 'x/y' }, { kind: 'denied', client: CLIENT }],
    ['client.check_authz_complete', { clientid: CLIENT, result: 'allow' }, undefined],
    ['client.check_authz_complete', { clientid: CLIENT }, undefined],
    ['message.publish', { clientid: CLIENT }, undefined],
    ['__proto__', { clientid: CLIENT }, undefined],
    ['client.connected', { clientid: 'service' }, undefined],
    ['client.connected', { clientid: `${'x'.repeat(80)}.berlin` }, undefined],
    ['client.connected', { clientid: [CLIENT] }, undefined],
    ['client.connected', {}, undefined],
  ])('%s of %j is read as %j', (event, fields, expected) => expect(readEvent(text({ event, ...fields }))).toEqual(expected));

  it('whatever comes, it is an event about a name of ours, or none', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((one) => `{"event":"client.connected","clientid":${one}}`),
        ),
        (body) => {
          const event = readEvent(body);
          if (event !== undefined) expect(event.client).toMatch(/^[a-z0-9-]+[.][a-z0-9-]+$/);
        },
      ),
    );
  });
});

describe('what was told of clients', () => {
  it('is added up by kind, has an end, and forgets who is no device', () => {
    const counts = createFeedCounts(2);
    expect([
      counts.add('a.x', 'denied'),
      counts.add('a.x', 'denied'),
      counts.add('b.x', 'connected'),
      counts.add('c.x', 'connected'),
    ]).toEqual([...[true, true, true, false]]);
    expect(counts.of('a.x')).toEqual({ denied: 2, connected: 0, disconnected: 0 });
    counts.keep((client) => client !== 'a.x');
    expect(counts.of('a.x').denied).toBe(0);
    expect(counts.add('c.x', 'connected')).toBe(true);
  });
});
