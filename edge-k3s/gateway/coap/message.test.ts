import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createConnection, type Verdict } from './connection.ts';
import { Broken, CODE, type CoapMessage, readMessage, writeMessage } from './message.ts';
import { readRequest } from './request.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((one) => Buffer.from(one));
const messages: fc.Arbitrary<CoapMessage> = fc.record({
  code: fc.nat(255),
  token: bytes(8),
  options: fc
    .array(fc.record({ number: fc.nat(3_000), value: bytes(400) }), { maxLength: 8 })
    .map((options) => options.sort((a, b) => a.number - b.number)),
  payload: fc.oneof(bytes(20), bytes(70_000)),
});
const plain = ({ code, token, options, payload }: CoapMessage) => ({
  ...{ code, token: token.toString('hex'), payload: payload.toString('hex') },
  options: options.map(({ number, value }) => [number, value.toString('hex')]),
});

describe('a message of CoAP over TCP', () => {
  it('is read as it was written, and not before all of it is there', () => {
    fc.assert(
      fc.property(messages, fc.nat(), (message, cut) => {
        const written = writeMessage(message);
        expect(readMessage(written.subarray(0, cut % written.length), 100_000)).toBeUndefined();
        const read = readMessage(Buffer.concat([written, Buffer.from([1, 2])]), 100_000);
        expect(read?.end).toBe(written.length);
        expect(plain(read?.message as CoapMessage)).toEqual(plain(message));
      }),
      { numRuns: 300 },
    );
  });

  it('is read as RFC 8323 draws it (figure 6)', () => {
    const read = readMessage(Buffer.from('01437f', 'hex'), 100);
    expect(read && plain(read.message)).toEqual({ code: 0x43, token: '7f', options: [], payload: '' });
  });

  it.each<[string, string]>([
    ['with a token of nine bytes', '0902'],
    ['larger than allowed', 'f0ffffffff02'],
    ['with an option delta 15', '2002f000'],
    ['with an option beyond its end', '20020500'],
    ['with a marker and no payload', '1002ff'],
    ['with an extended delta that is cut off', '1002d0'],
  ])('%s breaks the connection', (_name, hex) => expect(() => readMessage(Buffer.from(hex, 'hex'), 1_000)).toThrow(Broken));

  it('of any bytes is read, waited for, or breaks the connection', () => {
    fc.assert(
      fc.property(bytes(80), (any) => {
        try {
          readMessage(any, 1_000);
        } catch (error) {
          expect(error).toBeInstanceOf(Broken);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

const option = (number: number, value: string | number[]) => ({ number, value: Buffer.from(value as string) });
const post = (options: CoapMessage['options'], more: Partial<CoapMessage> = {}): CoapMessage => ({
  ...{ code: CODE.POST, token: Buffer.from([7]), payload: Buffer.from('{}') },
  options,
  ...more,
});
const path = [option(11, 'dt'), option(11, 'air')];

describe('a request', () => {
  it.each<[string, CoapMessage, object]>([
    ['names its stream', post(path), { kind: 'telemetry', stream: 'air' }],
    ['names a stream of several levels', post([...path, option(11, 'co2')]), { stream: 'air/co2' }],
    ['says that it is JSON', post([...path, option(12, [50])]), { kind: 'telemetry' }],
    ['says that it is CBOR', post([...path, option(12, [60])]), { kind: 'telemetry' }],
    ['names the host that it means', post([option(3, 'gateway'), option(7, [22, 52]), ...path]), { kind: 'telemetry' }],
    ['has an option that it does not matter to know', post([...path, option(60, [1])]), { kind: 'telemetry' }],
    ['is text', post([...path, option(12, [])]), { code: CODE.UNSUPPORTED_FORMAT }],
    ['has a format of three bytes', post([...path, option(12, [1, 2, 3])]), { code: CODE.UNSUPPORTED_FORMAT }],
    ['comes in blocks', post([...path, option(27, [8])]), { code: CODE.BAD_OPTION }],
    ['has an option that must be known', post([...path, option(21, 'x')]), { code: CODE.BAD_OPTION }],
    ['wants to read', post(path, { code: CODE.GET }), { code: CODE.NOT_ALLOWED }],
    ['wants to replace', post(path, { code: CODE.PUT }), { code: CODE.NOT_ALLOWED }],
    ['goes elsewhere', post([option(11, 'cmd'), option(11, 'air')]), { code: CODE.NOT_FOUND }],
    ['names no stream', post([option(11, 'dt')]), { code: CODE.NOT_FOUND }],
  ])('that %s', (_name, message, expected) => expect(readRequest(message)).toMatchObject(expected));
});

describe('a connection', () => {
  const csm = writeMessage({ code: CODE.CSM, token: Buffer.alloc(0), options: [], payload: Buffer.alloc(0) });
  function connection(accept: (stream: string, payload: Buffer) => Promise<Verdict>) {
    let [written, ended] = [Buffer.alloc(0), false];
    const one = createConnection({
      ...{ maximumBytes: 1_000, mostWaiting: 2, accept },
      write: (more) => {
        written = Buffer.concat([written, more]);
      },
      end: () => {
        ended = true;
      },
    });
    return {
      read: (...all: (Buffer | CoapMessage)[]) => {
        for (const each of all) one.read(Buffer.isBuffer(each) ? each : writeMessage(each));
      },
      get ended() {
        return ended;
      },
      said() {
        const said: { code: number; token: string; payload: string }[] = [];
        for (let rest = written, found = readMessage(rest, 10_000); found !== undefined; found = readMessage(rest, 10_000)) {
          said.push({ code: found.message.code, token: found.message.token.toString('hex'), payload: found.message.payload.toString() });
          rest = rest.subarray(found.end);
        }
        return said;
      },
    };
  }
  const taken = async (): Promise<Verdict> => ({ code: CODE.CHANGED, says: '' });
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it('says first what it can take, and answers under the token of the request', async () => {
    const heard: string[] = [];
    const one = connection(async (stream, payload) => {
      heard.push(`${stream} ${payload}`);
      return await taken();
    });
    one.read(csm, post(path));
    await settle();
    expect(heard).toEqual(['air {}']);
    expect(one.said()).toEqual([
      { code: CODE.CSM, token: '', payload: '' },
      { code: CODE.CHANGED, token: '07', payload: '' },
    ]);
  });

  it('answers requests as they are dealt with, in any order', async () => {
    const answers: ((verdict: Verdict) => void)[] = [];
    const one = connection(() => new Promise((resolve) => answers.push(resolve)));
    one.read(
      csm,
      post(path, { token: Buffer.from([1]) }),
      post(path, { token: Buffer.from([2]) }),
      post(path, { token: Buffer.from([3]) }),
    );
    answers[1]?.({ code: CODE.CHANGED, says: '' });
    answers[0]?.({ code: CODE.CONFLICT, says: 'HR-GW-202 Replayed' });
    await settle();
    expect(one.said().slice(1)).toEqual([
      { code: CODE.TOO_MANY, token: '03', payload: 'wait for the answers before' },
      { code: CODE.CHANGED, token: '02', payload: '' },
      { code: CODE.CONFLICT, token: '01', payload: 'HR-GW-202 Replayed' },
    ]);
  });

  it('answers a ping, and ends at a release', () => {
    const one = connection(taken);
    one.read(csm, { code: CODE.PING, token: Buffer.from([9]), options: [], payload: Buffer.alloc(0) });
    expect(one.said()[1]).toEqual({ code: CODE.PONG, token: '09', payload: '' });
    one.read({ code: CODE.RELEASE, token: Buffer.alloc(0), options: [], payload: Buffer.alloc(0) });
    expect(one.ended).toBe(true);
  });

  it.each<[string, (Buffer | CoapMessage)[]]>([
    ['a request before the CSM', [post(path)]],
    ['bytes that are no message', [csm, Buffer.from('0902', 'hex')]],
    ['a message larger than was said', [csm, writeMessage(post(path, { payload: Buffer.alloc(2_000) }))]],
    [
      'a CSM with an option that must be known',
      [{ code: CODE.CSM, token: Buffer.alloc(0), options: [option(5, 'x')], payload: Buffer.alloc(0) }],
    ],
    ['a signal that nobody knows', [csm, { code: 0xe7, token: Buffer.alloc(0), options: [], payload: Buffer.alloc(0) }]],
  ])('aborts at %s, and hears nothing after it', async (_name, all) => {
    const heard: string[] = [];
    const one = connection(async (stream) => {
      heard.push(stream);
      return await taken();
    });
    one.read(...all, csm, post(path));
    await settle();
    expect(one.said().map(({ code }) => code)).toContain(CODE.ABORT);
    expect([one.ended, heard]).toEqual([true, []]);
  });

  it('gives the same answers however the network cuts the bytes', () => {
    fc.assert(
      fc.property(fc.array(messages, { maxLength: 5 }), fc.array(fc.nat(500), { maxLength: 10 }), (all, cuts) => {
        const stream = Buffer.concat([csm, ...all.map(writeMessage)]);
        const [whole, cut] = [connection(taken), connection(taken)];
        whole.read(stream);
        let at = 0;
        for (const length of cuts) {
          cut.read(stream.subarray(at, at + length + 1));
          at += length + 1;
        }
        cut.read(stream.subarray(at));
        expect(cut.said()).toEqual(whole.said());
      }),
      { numRuns: 200 },
    );
  });
});
