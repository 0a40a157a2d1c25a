import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EgressMessage, topicOf } from '../../operator/api/egress.ts';
import { accept, MOST_BYTES } from './accept.ts';
import { alert, bytesOf, erased, health, loss, ONE_OF_EACH, security, T0, trend } from './testing/messages.ts';

const taken = (message: EgressMessage, topic = topicOf(message)) => accept(topic, bytesOf(message));

describe('what may leave a site', () => {
  it.each(ONE_OF_EACH.map((message) => [message.type, message] as const))('is taken: %s', (_type, message) => {
    const read = taken(message);
    if (!read.ok) throw new Error(read.found);
    expect(read.row).toMatchObject({ site: 'berlin', key: message.key, rev: 0, type: message.type, topic: topicOf(message) });
    expect(JSON.parse(read.row.body)).toEqual(message);
  });

  it('of a device is kept under it; an erasure names the device and is about no device itself', () => {
    expect(taken(alert())).toMatchObject({ row: { device: 'p-1', segment: 'app' } });
    expect(taken(security())).toMatchObject({ row: { device: 'p-1' } });
    expect(taken(erased())).toMatchObject({ row: { device: '' }, erased: { device: 'p-1', beforeMs: T0 + 120_000 } });
    expect(taken(loss())).toMatchObject({ row: { device: '', segment: '' }, erased: undefined });
  });

  it('of an erased pseudonym goes whole: a clock that went ahead keeps nothing; under a name what comes afterwards is of another Device', () => {
    const device = 'c0ffee00'.repeat(4);
    expect(taken(erased({ device }))).toMatchObject({ erased: { device, beforeMs: Number.MAX_SAFE_INTEGER } });
    expect(taken(erased({ device: 'cam.berlin' }))).toMatchObject({ erased: { device: 'cam.berlin', beforeMs: T0 + 120_000 } });
  });
});

describe('what is refused', () => {
  it.each<[string, EgressMessage, string, string]>([
    ['another site than its topic', trend({ site: 'paris' }), topicOf(trend()), 'HR-CC-103'],
    ['another site, of health', health({ site: 'paris' }), 'agg/berlin/site/health', 'HR-CC-103'],
    ['another segment than its topic', trend(), topicOf(trend({ segment: 'other' })), 'HR-CC-104'],
    ['a trend on the topic of alerts', trend(), 'alert/berlin/app/level', 'HR-CC-104'],
    ['an alert on the topic of security', alert(), 'alert/berlin/site/security', 'HR-CC-104'],
    ['a topic that has no site', trend(), 'agg', 'HR-CC-103'],
    ['a topic of nobody', trend(), 'agg//app/hall/x', 'HR-CC-103'],
  ])('%s', (_name, message, topic, code) => expect(taken(message, topic)).toMatchObject({ ok: false, code }));

  it('raw readings, on whatever topic: the consumer is not for them', () => {
    const common = { v: 1, site: 'berlin', key: 'r', rev: 0, fromMs: T0, toMs: T0 } as const;
    const raw: EgressMessage = { ...common, type: 'Raw', segment: 'app', device: 'cam.berlin', stream: 's', boot: 1, seq: 1, m: 5 };
    expect(taken(raw, 'agg/berlin/app/cam/s')).toMatchObject({ ok: false, code: 'HR-CC-104' });
  });

  it.each<[string, unknown]>([
    ['a field that is not in the schema', { ...trend(), note: 'x' }],
    ['one called __proto__', JSON.parse('{"__proto__":{"a":1}}')],
    ['a type of its own', { ...trend(), type: 'constructor' }],
    ['no type', { v: 1 }],
    ['a list', [trend()]],
    ['null', null],
    ['an infinity, as JSON has it', { ...trend(), mean: 1e308 }],
    ['a revision below 0', trend({ rev: -1 })],
    ['a count that its bins do not have', trend({ count: 8 })],
    ['another version', { ...trend(), v: 2 }],
  ])('%s', (_name, message) =>
    expect(accept(topicOf(trend()), bytesOf(message))).toMatchObject({ ok: false, code: 'HR-CC-102', site: 'berlin' }),
  );

  it.each<[string, Buffer]>([
    ['no JSON', Buffer.from('{"v":1')],
    ['nothing', Buffer.alloc(0)],
    ['other bytes than UTF-8', Buffer.concat([Buffer.from('"'), Buffer.from([0xc3, 0x28]), Buffer.from('"')])],
    ['too many bytes', Buffer.from(JSON.stringify('x'.repeat(MOST_BYTES)))],
    ['brackets without end', Buffer.from('['.repeat(200_000))],
  ])('%s', (_name, payload) => expect(accept(topicOf(trend()), payload)).toMatchObject({ ok: false, code: 'HR-CC-101' }));
});

describe('whatever arrives', () => {
  it('is refused or is exactly a good message on its own topic, and never throws', () => {
    const good = fc.constantFrom(...ONE_OF_EACH);
    const changed = fc
      .tuple(
        good,
        fc.constantFrom('site', 'key', 'rev', 'fromMs', 'toMs', 'segment', 'device', 'count', 'kind', 'metric', 'positive', 'x'),
        fc.jsonValue(),
      )
      .map(([message, field, value]) => ({ ...message, [field]: value }));
    const topic = fc.oneof(good.map(topicOf), fc.string(), fc.constantFrom('agg/#', 'alert/berlin', 'agg/berlin/', 'raw/berlin/app/d/s'));
    const payload = fc.oneof(changed.map(bytesOf), fc.jsonValue().map(bytesOf), fc.uint8Array({ maxLength: 200 }));
    fc.assert(
      fc.property(topic, payload, (where, bytes) => {
        const read = accept(where, bytes);
        if (!read.ok) return;
        const message = JSON.parse(read.row.body) as EgressMessage;
        expect(topicOf(message)).toBe(where);
        expect(where.startsWith(`agg/${message.site}/`) || where.startsWith(`alert/${message.site}/`)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
