import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readHello, readLog, readState } from './report.ts';
import { DEVICE, hello, NEW, state } from './testing/messages.ts';

const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const codeOf = (read: { ok: true } | { ok: false; problem: { code: string } }): string => (read.ok ? 'ok' : read.problem.code);
const readOf = (value: unknown): string => codeOf(readState(DEVICE, bytes(value)));

describe('a state', () => {
  it.each<[string, unknown, string]>([
    ['as it should be', state({}), 'ok'],
    ['on the way', state({ state: 'Downloading', offset: 0, total: 4096 }), 'ok'],
    ['without what its state needs', state({ state: 'Downloading', total: 4096 }), 'HR-FW-102'],
    ['with more than there is', state({ state: 'Downloading', offset: 4097, total: 4096 }), 'HR-FW-102'],
    ['with what its state has not', state({ code: 8 }), 'HR-FW-102'],
    ['failed for no reason', state({ state: 'Failed' }), 'HR-FW-102'],
    ['failed', state({ state: 'Failed', code: 8, text: 'no route – Köln' }), 'ok'],
    ['with an unknown code', state({ state: 'Failed', code: 17 }), 'HR-FW-102'],
    ['put off', state({ state: 'Deferred', until: 1_795_700_000 }), 'ok'],
    ['staged', state({ state: 'Staged', staged: NEW }), 'ok'],
    ['that is none', state({ state: 'Success' as 'Idle' }), 'HR-FW-102'],
    ['with a field more', { ...state({}), shard: 1 }, 'HR-FW-102'],
    ['with a field less', { ...state({}), boot: undefined }, 'HR-FW-102'],
    ['of version 2', { ...state({}), v: 2 }, 'HR-FW-102'],
    ['with a colour for the terminal', state({ text: '\u001b[31mred' }), 'HR-FW-102'],
    ['that writes from right to left', state({ text: '\u202egnp.exe' }), 'HR-FW-102'],
    ['with two lines', state({ text: 'a\u2028b' }), 'HR-FW-102'],
    ['with a text that is too long', state({ text: 'x'.repeat(129) }), 'HR-FW-102'],
    ['of no directive', (({ nonce: _, ...rest }) => ({ ...rest, seq: 0, state: 'Idle' }))(state({})), 'ok'],
    ['of no directive, with its nonce', state({ seq: 0, state: 'Idle' }), 'HR-FW-102'],
    ['of another device', state({ device: 'thermo-18.berlin' }), 'HR-FW-103'],
    ['that is a list', [state({})], 'HR-FW-102'],
    ['that is nothing', null, 'HR-FW-102'],
  ])('%s', (_, value, code) => expect(readOf(value)).toBe(code));

  it.each<[string, string]>([
    ['a key twice', JSON.stringify(state({})).replace('{', '{"boot":9,')],
    ['a prototype', JSON.stringify(state({})).replace('{', '{"__proto__":{"code":1},')],
    ['a fraction', JSON.stringify(state({})).replace('"boot":3', '"boot":3.5')],
    ['a number that a double cannot hold', JSON.stringify(state({})).replace('"boot":3', '"boot":9007199254740993')],
    ['a byte order mark', `\ufeff${JSON.stringify(state({}))}`],
    ['two messages', JSON.stringify(state({})).repeat(2)],
    ['brackets only', '['.repeat(4000)],
  ])('with %s is no message', (_, text) => expect(codeOf(readState(DEVICE, Buffer.from(text)))).toBe('HR-FW-102'));

  it('is not read beyond its bound', () => {
    const padded = Buffer.concat([bytes(state({})), Buffer.alloc(4097, ' ')]);
    expect(codeOf(readState(DEVICE, padded.subarray(0, 4096)))).toBe('ok');
    expect(codeOf(readState(DEVICE, padded.subarray(0, 4097)))).toBe('HR-FW-101');
  });

  it('says what is wrong by names of the protocol, never in the words of the device', () => {
    const read = readState(DEVICE, bytes({ ...state({}), 'x-secret': 1, text: 'hello' }));
    expect(read).toEqual({ ok: false, problem: { code: 'HR-FW-102', found: 'the form is wrong at: the message (additionalProperties)' } });
  });

  it('whatever the bytes are, reading ends in a message that has the form, or in a code', () => {
    const whole = bytes(state({ state: 'Downloading', offset: 1, total: 2 }));
    const altered = fc
      .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => changes.reduce((buffer, [at, value]) => buffer.fill(value, at, at + 1), Buffer.from(whole)));
    fc.assert(
      fc.property(
        fc.oneof(
          altered,
          fc.uint8Array({ maxLength: 5000 }),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (input) => {
          for (const read of [readState(DEVICE, input), readHello(DEVICE, input)]) {
            if (!read.ok) expect(read.problem.code).toMatch(/^HR-FW-10[123]$/);
            else expect(read.message.device).toBe(DEVICE);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('a hello', () => {
  it.each<[string, unknown, string]>([
    ['as it should be', hello({}), 'ok'],
    ['with hardware', hello({ classId: '6b1d2c7e-8f0a-4b3c-9d5e-0123456789ab', model: 'tmp-2', revision: '1.3' }), 'ok'],
    ['without components', hello({ components: [] }), 'HR-FW-102'],
    ['with a component twice', hello({ components: [...hello({}).components, ...hello({}).components] }), 'HR-FW-102'],
    ['of another device', hello({ device: 'thermo-18.berlin' }), 'HR-FW-103'],
    ['with a nonce that is short', hello({ nonce: 'ab' }), 'HR-FW-102'],
  ])('%s', (_, value, code) => expect(codeOf(readHello(DEVICE, bytes(value)))).toBe(code));
});

describe('a log', () => {
  it('is shown without what a terminal obeys, and not beyond its bound', () => {
    expect(readLog(Buffer.from('line 1\nline 2\t\u001b[2Jgone\u202e'))).toBe('line 1\nline 2\t\ufffd[2Jgone\ufffd');
    expect(readLog(Buffer.alloc(20_000, 'x')).length).toBe(8192);
    expect(readLog(Buffer.from([0xff, 0xfe, 0x41]))).toBe('\ufffd\ufffdA');
  });
});
