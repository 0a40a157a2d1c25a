import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KubeError } from './errors.ts';
import type { KubeObject } from './object.ts';
import { createWatchDecoder, parseEvent, type WatchEvent } from './watch-stream.ts';

describe('watch decoder', () => {
  it('gives the same events however the bytes are cut, also in the middle of a character', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 30 }), { minLength: 1, maxLength: 10 }),
        fc.array(fc.nat(400)),
        (names, cuts) => {
          const bytes = Buffer.from(names.map((name) => `${JSON.stringify({ type: 'ADDED', object: { metadata: { name } } })}\n`).join(''));
          const events: WatchEvent<KubeObject>[] = [];
          const decoder = createWatchDecoder<KubeObject>((event) => events.push(event));
          const points = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
          let from = 0;
          for (const point of [...points, bytes.length]) {
            decoder.push(bytes.subarray(from, point));
            from = point;
          }
          expect(decoder.pendingBytes).toBe(0);
          expect(events.map((event) => (event.type === 'ADDED' ? event.object.metadata.name : ''))).toEqual(names);
        },
      ),
    );
  });

  it('knows that an event was cut off', () => {
    const decoder = createWatchDecoder(() => undefined);
    decoder.push(Buffer.from('{"type":"ADD'));
    expect(decoder.pendingBytes).toBe(12);
  });

  it('is not fooled into holding an endless line', () => {
    const decoder = createWatchDecoder(() => undefined);
    const chunk = Buffer.alloc(4 * 1024 * 1024, 0x20);
    expect(() => {
      for (let i = 0; i < 5; i++) decoder.push(chunk);
    }).toThrow('longer than 16 MiB');
  });

  it.each([
    ['text that is not JSON', '<html>502</html>'],
    ['a JSON value that is not an object', '42'],
    ['an object cut in the middle', '{"type":"ADDED","obj'],
    ['an unknown type', '{"type":"RENAMED","object":{"metadata":{}}}'],
    ['no object', '{"type":"ADDED"}'],
    ['an object without metadata', '{"type":"ADDED","object":{}}'],
    ['null as object', '{"type":"DELETED","object":null}'],
  ])('refuses %s', (_what, line) => {
    expect(() => parseEvent(line)).toThrow(expect.objectContaining({ name: 'KubeError', reason: 'BadEvent' }));
  });

  it('never quotes what it could not read: it may be a Secret', () => {
    expect(() => parseEvent('{"type":"ADDED","object":{"data":{"password":"aHVudGVyMg=="')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('aHVudGVyMg') }),
    );
  });

  it('tells a bookmark that ends the initial events from another', () => {
    const bookmark = (annotations: object): unknown =>
      parseEvent(JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '7', annotations } } }));
    expect(bookmark({ 'k8s.io/initial-events-end': 'true' })).toEqual({ type: 'BOOKMARK', resourceVersion: '7', initialEventsEnd: true });
    expect(bookmark({})).toEqual({ type: 'BOOKMARK', resourceVersion: '7', initialEventsEnd: false });
  });

  it('hands an ERROR event on with its code', () => {
    const event = parseEvent('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}');
    expect(event.type === 'ERROR' && event.error).toBeInstanceOf(KubeError);
    expect(event).toMatchObject({ error: { status: 410, reason: 'Expired', message: 'too old' } });
  });
});
