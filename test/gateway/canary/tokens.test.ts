import { describe, expect, it } from 'vitest';
import { encodingsIn, numbersIn, textsIn, textToken } from './tokens.ts';

const token = textToken(123_456);

describe('the search', () => {
  it('finds a text, in whatever case and between whatever bytes', () => {
    expect(textsIn(Buffer.from(`\xff\0${token}\0x${textToken(7).toUpperCase()}`, 'latin1'))).toEqual(new Set([token, textToken(7)]));
    expect(textsIn(Buffer.from('zqcanary'))).toEqual(new Set());
    expect(textsIn(Buffer.from(`{"blob":"${Buffer.from(`..${token}`).toString('base64')}"}`))).toEqual(new Set([token]));
  });

  it.each([
    ['hex', Buffer.from(token).toString('hex')],
    ['hex', Buffer.from(token).toString('hex').toUpperCase()],
    ...['', 'a', 'ab', 'abc'].map((before) => ['base64', Buffer.from(`${before}${token}xyz`).toString('base64')] as [string, string]),
    ...['', 'a', 'ab'].map((before) => ['base64', Buffer.from(`${before}${token}`).toString('base64url')] as [string, string]),
    ['UTF-16', Buffer.from(token, 'utf16le').toString('latin1')],
    ['UTF-16', Buffer.from(token, 'utf16le').swap16().toString('latin1')],
    ['percent', [...Buffer.from(token)].map((byte) => `%${byte.toString(16).toUpperCase()}`).join('')],
    ['reversed', [...token].reverse().join('')],
  ])('knows it in %s', (name, text) => expect(encodingsIn(Buffer.from(`{"x":"${text}"}`, 'latin1'))).toEqual([name]));

  it('finds nothing where there is nothing', () => {
    expect(encodingsIn(Buffer.from(JSON.stringify({ type: 'Trend', mean: 21.5, zq: 'canary' })))).toEqual([]);
  });

  it.each<[string, (number: number) => Buffer]>([
    ['in decimal', (number) => Buffer.from(`{"x":${number}}`)],
    ['as a double', (number) => doubleOf(number)],
    ['as a double, the other way round', (number) => doubleOf(number).reverse()],
  ])('finds a number %s', (_name, encoded) => {
    for (const number of [21.375928471603, -4.2918e-7, 812_345_678_901_234])
      expect(numbersIn(Buffer.concat([Buffer.from('abc'), encoded(number), Buffer.from('z')]), new Set([number, 5.5]))).toEqual(
        new Set([number]),
      );
  });

  it('finds an integer in 64 bits', () => {
    const bytes = Buffer.alloc(11);
    bytes.writeBigUInt64BE(812_345_678_901_234n, 3);
    expect(numbersIn(bytes, new Set([812_345_678_901_234]))).toEqual(new Set([812_345_678_901_234]));
  });
});

function doubleOf(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(number);
  return bytes;
}
