import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLog, redactText } from './log.ts';

function lines(level: 'debug' | 'info' = 'info') {
  const written: string[] = [];
  return { log: createLog({ level, write: (line) => void written.push(line) }), written };
}

const pem = (type: 'pkcs8' | 'sec1'): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type }).toString();
const keyBody = (text: string): string => text.split('\n')[1] ?? '';

describe('the log', () => {
  it('writes one JSON object a line, with time, level, message and the fields of its parents', () => {
    const { log, written } = lines();
    log.child({ controller: 'device' }).child({ key: 'berlin/d1' }).warn({ attempt: 2 }, 'it is tried\nagain');
    expect(written).toHaveLength(1);
    expect(written[0]?.trimEnd()).not.toContain('\n');
    expect(JSON.parse(written[0] ?? '')).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      controller: 'device',
      key: 'berlin/d1',
      attempt: 2,
      msg: 'it is tried\nagain',
    });
  });

  it('keeps the message and the stack of an error', () => {
    const { log, written } = lines();
    log.error({ err: new TypeError('x is undefined') }, 'failed');
    expect(JSON.parse(written[0] ?? '').err).toMatchObject({ type: 'TypeError', message: 'x is undefined', stack: expect.any(String) });
  });

  it('says nothing below its level', () => {
    const { log, written } = lines();
    log.debug({}, 'detail');
    expect(written).toEqual([]);
  });

  it.each(['authorization', 'Authorization', 'token', 'secret', 'apiSecret', 'apiKey', 'password', 'privateKey', 'bearer', 'cookie'])(
    'hides what stands in a field named %s, up to two levels down',
    (field) => {
      const { log, written } = lines();
      log.info({ [field]: 'hunter2-a' }, 'm');
      log.info({ request: { [field]: 'hunter2-b' } }, 'm');
      log.info({ request: { headers: { [field]: 'hunter2-c' } } }, 'm');
      expect(written).toHaveLength(3);
      expect(written.join('')).not.toContain('hunter2');
    },
  );

  it('cuts a private key out of a message, a field and the message of an error', () => {
    const { log, written } = lines();
    const keys = [pem('pkcs8'), pem('sec1'), pem('pkcs8')];
    log.info({}, `read ${keys[0]} from the file`);
    log.info({ file: keys[1] }, 'm');
    log.info({ err: new Error(`bad ${keys[2]}`) }, 'm');
    for (const key of keys) expect(written.join('')).not.toContain(keyBody(key));
    for (const line of written) expect(() => JSON.parse(line)).not.toThrow();
    expect(JSON.parse(written[0] ?? '').msg).toBe('read [redacted private key]\n from the file');
  });

  it('cuts a key out that lost its end', () => {
    const key = pem('pkcs8').slice(0, 120);
    const { log, written } = lines();
    log.info({ file: key, next: 'kept' }, 'after');
    expect(written[0]).not.toContain(keyBody(key).slice(0, 40));
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ next: 'kept', msg: 'after' });
  });

  it('leaves certificates and requests, which are public', () => {
    const text = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----';
    expect(redactText(text)).toBe(text);
  });
});

describe('redactText', () => {
  it.each([
    ['a bearer token', 'header Authorization: Bearer abc.def-ghi_123 was refused', 'header Authorization: Bearer [redacted] was refused'],
    ['basic credentials', 'Basic dXNlcjpwYXNz sent', 'Basic [redacted] sent'],
    ['a JWT without any word before it', 'token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl here', 'token [redacted token] here'],
    ['rather a word too many than a credential too few', 'Basic research and bearer bonds', 'Basic [redacted] and bearer bonds'],
  ])('cuts out %s', (_name, text, expected) => expect(redactText(text)).toBe(expected));

  it('lets no token through, whatever stands around it', () => {
    const token = fc.stringMatching(/^[A-Za-z0-9_-]{24,40}$/);
    fc.assert(
      fc.property(fc.string(), token, fc.string(), (before, secret, after) => {
        expect(redactText(`${before} Bearer ${secret} ${after}`)).not.toContain(secret);
      }),
    );
  });
});
