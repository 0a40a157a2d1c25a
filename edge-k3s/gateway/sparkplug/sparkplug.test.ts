import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Births, createBirths } from './births.ts';
import { type Metric, numberOf, type Payload, readPayload } from './payload.ts';
import { numbersOf } from './replay.ts';
import { filtersOf, readSparkplugTopic, type SparkplugTopic } from './topic.ts';

/** Made by somebody else's library. */
const made = JSON.parse(readFileSync(new URL('testdata/pysparkplug.json', import.meta.url), 'utf8')) as Record<string, string>;
const payloadOf = (name: string): Payload => {
  const payload = readPayload(Buffer.from(made[name] ?? '', 'hex'));
  if (typeof payload === 'string') throw new Error(payload);
  return payload;
};
const MADE_MS = 1_764_170_000_000;
const NODE = { segment: 'pumps.berlin', device: 'node-1.berlin' };
const topicOf = (type: SparkplugTopic['type'], attached?: string): SparkplugTopic => ({ ...NODE, type, attached });
/** As the intake does when the core has taken it. */
function take(births: Births, topic: SparkplugTopic, payload: Payload): [string, number][] | string | undefined {
  const message = births.read(topic, payload);
  if (typeof message !== 'object') return message;
  message.taken();
  return Object.entries(message.m);
}
const born = (): Births => {
  const births = createBirths();
  take(births, topicOf('NBIRTH'), payloadOf('nbirth'));
  take(births, topicOf('DBIRTH', 'pump'), payloadOf('dbirth'));
  return births;
};
/** Later than all that were made. */
const later = (payload: Payload, seq: number): Payload => ({ ...payload, timestampMs: MADE_MS + 1_000, seq });

/** Protocol Buffers as the specification writes it, by another way than the reader's. */
const varint = (value: bigint): number[] => (value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)]);
const field = (id: number, value: bigint | Buffer): number[] =>
  typeof value === 'bigint'
    ? [...varint(BigInt(id * 8)), ...varint(value)]
    : [...varint(BigInt(id * 8 + 2)), ...varint(BigInt(value.length)), ...value];
const metric = (more: { name?: string; alias?: number; datatype?: number; long?: bigint }): Buffer =>
  Buffer.from([
    ...(more.name === undefined ? [] : field(1, Buffer.from(more.name))),
    ...(more.alias === undefined ? [] : field(2, BigInt(more.alias))),
    ...(more.datatype === undefined ? [] : field(4, BigInt(more.datatype))),
    ...(more.long === undefined ? [] : field(11, more.long)),
  ]);

describe('a topic of Sparkplug', () => {
  it.each<[string, Partial<SparkplugTopic> | undefined]>([
    ['spBv1.0/pumps.berlin/NBIRTH/node-1.berlin', topicOf('NBIRTH')],
    ['spBv1.0/pumps.berlin/DDATA/node-1.berlin/pump', topicOf('DDATA', 'pump')],
    ['spBv1.0/pumps.berlin/DDATA/node-1.berlin', undefined],
    ['spBv1.0/pumps.berlin/NDATA/node-1.berlin/pump', undefined],
    ['spBv1.0/pumps.berlin/DDATA/node-1.berlin/', undefined],
    ['spBv1.0/pumps.berlin/DDATA/node-1.berlin/pump/more', undefined],
    ['spBv1.0/pumps.berlin/NCMD/node-1.berlin', undefined],
    ['spBv1.0/pumps.berlin/DDATA/node-1.berlin/a b', undefined],
    [`spBv1.0/pumps.berlin/DDATA/node-1.berlin/${'x'.repeat(256)}`, undefined],
    ['spBv1.0/pumps/NBIRTH/node-1.berlin', undefined],
    ['spBv1.0/STATE/host', undefined],
    ['spAv1.0/pumps.berlin/NBIRTH/node-1.berlin', undefined],
  ])('%s', (topic, expected) => expect(readSparkplugTopic(topic)).toEqual(expected));

  it('of six kinds is subscribed, no command among them', () =>
    expect(filtersOf('pumps.berlin').sort()).toEqual([
      ...['DBIRTH/+/+', 'DDATA/+/+', 'DDEATH/+/+', 'NBIRTH/+', 'NDATA/+', 'NDEATH/+'].map((end) => `spBv1.0/pumps.berlin/${end}`),
    ]));
});

describe('messages of another library', () => {
  it('become readings: numbers under the names that the birth gave', () => {
    const births = createBirths();
    expect(take(births, topicOf('NBIRTH'), payloadOf('nbirth'))).toEqual([
      ['Supply.Voltage', 24.5],
      ['Uptime', 2 ** 40],
    ]);
    expect(take(births, topicOf('DBIRTH', 'pump'), payloadOf('dbirth'))).toEqual([
      ['Temperature', -3.25],
      ['Count', -7],
      ['Small', -1],
      ['Door', 1],
      ['Level', -300],
      ['Deep', -(2 ** 40)],
    ]);
    // Null, text and what is historical are no readings of now.
    expect(take(births, topicOf('DDATA', 'pump'), payloadOf('ddata'))).toEqual([
      ['Temperature', -2.5],
      ['Count', -8],
      ['Door', 0],
    ]);
    expect(take(births, topicOf('NDATA'), payloadOf('ndata'))).toEqual([['Supply.Voltage', 23.75]]);
  });

  it('have a time and a number that the replay window takes, the later ones higher', () => {
    const numbers = ['nbirth', 'dbirth', 'ddata', 'ndata'].map((name) => numbersOf(payloadOf(name)));
    expect(numbers).toEqual([0, 1, 2, 3].map((n) => ({ boot: 1, seq: (MADE_MS + n) * 256 + n, ts: MADE_MS + n })));
  });

  it.each<[string, SparkplugTopic, string]>([
    ['before any birth', { ...topicOf('DDATA', 'pump'), device: 'node-2.berlin' }, 'ddata'],
    ['of what was not born', topicOf('DDATA', 'fan'), 'ddata'],
    ['with an alias that its birth has not', topicOf('DDATA', 'pump'), 'ndata'],
  ])('%s ask for another birth', (_name, topic, payload) => expect(take(born(), topic, payloadOf(payload))).toBe('HR-GW-803'));

  it('after a death ask for another birth: of the node all, of what is attached that one', () => {
    const one = born();
    expect(take(one, topicOf('DDEATH', 'pump'), later(payloadOf('ddata'), 2))).toBeUndefined();
    expect(take(one, topicOf('NDATA'), later(payloadOf('ndata'), 3))).toHaveLength(1);
    expect(take(one, topicOf('DDATA', 'pump'), later(payloadOf('ddata'), 4))).toBe('HR-GW-803');
    const other = born();
    // Of no use as a message: without a time and a number.
    expect(take(other, topicOf('NDEATH'), { timestampMs: undefined, seq: undefined, metrics: [] })).toBeUndefined();
    expect(take(other, topicOf('DDATA', 'pump'), payloadOf('ddata'))).toBe('HR-GW-803');
  });

  it('after a gap have names that may be others by now, until the next birth, also when the number fits by chance', () => {
    const one = born();
    expect(take(one, topicOf('DDATA', 'pump'), later(payloadOf('ddata'), 3))).toBe('HR-GW-803');
    for (const seq of [2, 4]) expect(take(one, topicOf('DDATA', 'pump'), later(payloadOf('ddata'), seq))).toBe('HR-GW-803');
    take(one, topicOf('NBIRTH'), later(payloadOf('nbirth'), 0));
    expect(take(one, topicOf('NDATA'), later(payloadOf('ndata'), 1))).toEqual([['Supply.Voltage', 23.75]]);
  });

  it('that come once more are no gap: the replay window refuses them', () => {
    const one = born();
    take(one, topicOf('DDATA', 'pump'), payloadOf('ddata'));
    expect(one.read(topicOf('DDATA', 'pump'), payloadOf('ddata'))).toMatchObject({ seq: (MADE_MS + 2) * 256 + 2 });
    expect(take(one, topicOf('NDATA'), payloadOf('ndata'))).toHaveLength(1);
  });

  it('change no name before they are taken', () => {
    const one = born();
    const renamed = {
      ...later(payloadOf('nbirth'), 0),
      metrics: [{ ...(payloadOf('nbirth').metrics[2] as Metric), name: 'Other', alias: 1 }],
    };
    one.read(topicOf('NBIRTH'), renamed);
    take(one, topicOf('DDATA', 'pump'), payloadOf('ddata'));
    expect(take(one, topicOf('NDATA'), payloadOf('ndata'))).toEqual([['Supply.Voltage', 23.75]]);
    take(one, topicOf('NBIRTH'), renamed);
    expect(take(one, topicOf('NDATA'), { ...payloadOf('ndata'), timestampMs: MADE_MS + 2_000, seq: 1 })).toEqual([['Other', 23.75]]);
  });

  it('of another segment are of a stranger', () =>
    expect(take(born(), { ...topicOf('DDATA', 'pump'), segment: 'fans.berlin' }, payloadOf('ddata'))).toBe('HR-GW-803'));

  it('of a device that is erased are of a stranger', () => {
    const one = born();
    one.forget(NODE.device);
    expect(take(one, topicOf('NDATA'), payloadOf('ndata'))).toBe('HR-GW-803');
  });
});

describe('a payload', () => {
  it('without a time or a number tells no replay', () => {
    for (const payload of [
      { timestampMs: undefined, seq: 1 },
      { timestampMs: 0, seq: 1 },
      { timestampMs: MADE_MS, seq: undefined },
      { timestampMs: MADE_MS, seq: 256 },
      { timestampMs: 2 ** 45, seq: 1 },
    ])
      expect(numbersOf({ ...payload, metrics: [] })).toBe('HR-GW-802');
  });

  it('says of each whole number what the specification says, whatever width it was written in', () => {
    const widths = fc.constantFrom([1, 8], [2, 16], [3, 32], [4, 64]);
    fc.assert(
      fc.property(widths, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), ([datatype = 0, bits = 0], any) => {
        const value = BigInt.asIntN(bits, any);
        for (const wire of new Set([BigInt.asUintN(bits, value), BigInt.asUintN(Math.max(32, bits), value)])) {
          const payload = readPayload(Buffer.from(field(2, metric({ name: 'x', datatype, long: wire }))));
          if (typeof payload === 'string') throw new Error(payload);
          expect(numberOf(payload.metrics[0]?.value, datatype)).toBe(Number(value));
        }
      }),
    );
  });

  it.each<[string, number[]]>([
    ['that ends within a number', [0x08, 0x80]],
    ['with a number of eleven bytes', [0x08, ...Array.from({ length: 10 }, () => 0x80), 1]],
    ['that ends within a metric', [0x12, 9, 1]],
    ['with a metric that ends within its name', [0x12, 2, 0x0a, 9]],
    ['with a group, which nobody writes any more', [0x0b, 0x0c]],
    ['with a field 0', [0x00, 1]],
    ['with a time that is a text', [0x0a, 1, 65]],
    ['with a time beyond all numbers', field(1, 2n ** 63n)],
    ['with a name of 257 bytes', field(2, metric({ name: 'x'.repeat(257) }))],
    ['with 2,001 metrics', Array.from({ length: 2_001 }, () => [0x12, 0]).flat()],
  ])('%s is none', (_name, bytes) => expect(readPayload(Buffer.from(bytes))).toBe('HR-GW-801'));

  it('is read or is none, whatever a device sends, and makes no more of it than there is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const payload = readPayload(Buffer.from(bytes));
        if (payload !== 'HR-GW-801') expect(payload.metrics.length).toBeLessThanOrEqual(bytes.length / 2);
      }),
      { numRuns: 3_000 },
    );
  });

  it('with fields of newer versions is read without them', () => {
    const bytes = [
      ...field(99, 7n),
      ...field(1, BigInt(MADE_MS)),
      ...field(5, Buffer.from('body')),
      ...field(2, metric({ name: 'a', datatype: 3, long: 5n })),
    ];
    expect(readPayload(Buffer.from(bytes))).toMatchObject({ timestampMs: MADE_MS, metrics: [{ name: 'a', value: 5n }] });
  });
});

describe('births', () => {
  const birthOf = (seq: number, count: number, nameOf = (n: number): string => `m${n}`): Payload => ({
    ...{ timestampMs: MADE_MS, seq },
    metrics: Array.from({ length: count }, (_, n) => ({
      ...{ name: nameOf(n), alias: n, datatype: 3 },
      ...{ isHistorical: false, value: 1n },
    })),
  });

  it('have a bound: of one node 256 names, whatever they are attached to', () => {
    const births = createBirths();
    take(births, topicOf('NBIRTH'), birthOf(0, 128));
    expect(take(births, topicOf('DBIRTH', 'a'), birthOf(1, 128))).toHaveLength(128);
    expect(take(births, topicOf('DBIRTH', 'b'), birthOf(2, 1))).toBe('HR-GW-804');
    expect(take(births, topicOf('DBIRTH', 'a'), birthOf(2, 100))).toHaveLength(100);
    expect(take(births, topicOf('DBIRTH', 'b'), birthOf(3, 1))).toHaveLength(1);
  });

  it('64 things attached', () => {
    const births = createBirths();
    take(births, topicOf('NBIRTH'), birthOf(0, 1));
    for (let n = 1; n <= 64; n++) expect(take(births, topicOf('DBIRTH', `a${n}`), birthOf(n, 1))).toHaveLength(1);
    expect(take(births, topicOf('DBIRTH', 'more'), birthOf(65, 1))).toBe('HR-GW-804');
  });

  it('and of the site so many that what is forgotten, replaced or dead makes room', () => {
    const births = createBirths({ mostOfAll: 12 });
    const of = (device: string, type: SparkplugTopic['type'] = 'NBIRTH', attached?: string) => ({ ...topicOf(type, attached), device });
    expect(take(births, of('a.berlin'), birthOf(0, 6))).toHaveLength(6);
    expect(take(births, of('b.berlin'), birthOf(0, 5))).toBe('HR-GW-804');
    expect(take(births, of('a.berlin'), birthOf(0, 5))).toHaveLength(5);
    expect(take(births, of('b.berlin'), birthOf(0, 5))).toHaveLength(5);
    births.forget('a.berlin');
    expect(take(births, of('b.berlin', 'DBIRTH', 'x'), birthOf(1, 5))).toHaveLength(5);
    take(births, of('b.berlin', 'DDEATH', 'x'), birthOf(2, 0));
    expect(take(births, of('c.berlin'), birthOf(0, 5))).toHaveLength(5);
    take(births, of('b.berlin', 'NDEATH'), birthOf(3, 0));
    expect(take(births, of('d.berlin'), birthOf(0, 5))).toHaveLength(5);
  });

  it.each<[string, Payload]>([
    ['two names that are one field', birthOf(0, 2, (n) => ['a/b', 'a.b'][n] ?? '')],
    ['a name of 129 characters', birthOf(0, 1, () => 'x'.repeat(129))],
    ['one alias twice', { ...birthOf(0, 2), metrics: birthOf(0, 2).metrics.map((one) => ({ ...one, alias: 7 })) }],
  ])('with %s are none', (_name, payload) => expect(take(createBirths(), topicOf('NBIRTH'), payload)).toBe('HR-GW-804'));

  it('change no prototype', () => {
    const births = createBirths();
    const message = births.read(
      topicOf('NBIRTH'),
      birthOf(0, 1, () => '__proto__'),
    );
    if (typeof message !== 'object') throw new Error(message);
    expect(Object.entries(message.m)).toEqual([['__proto__', 1]]);
    expect(Object.getPrototypeOf(message.m)).toBe(Object.prototype);
  });
});
