import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, PatternError } from './pcre.ts';

describe('a pattern', () => {
  const cases: [string, string, boolean][] = [
    ['^a$', 'a', true],
    ['^a$', 'a\n', true], // `$` of PCRE matches before a final newline
    ['^a$', 'a\nb', false],
    ['a.c', 'a\nc', false],
    ['[.]', 'a', false],
    ['[$]', '$', true],
    ['(a)\\1', 'aa', true],
    ['(a)\\g1', 'aa', true],
    ['(a)\\g{1}', 'ab', false],
  ];
  it.each(cases)('%s on %j: %s', (source, text, expected) => expect(compilePattern(source).test(text)).toBe(expected));

  it('captures what matched, empty where a group did not', () => {
    expect(compilePattern('^(a)|(b)$').capture('b')).toEqual(['', 'b']);
    expect(compilePattern('x').capture('y')).toBeUndefined();
  });

  // Recorded: the reason reaches the caller inside EMQX's message.
  const bad: [string, string][] = [
    ['(', '{"missing )",1}'],
    ['[a', '{"missing terminating ] for character class",2}'],
  ];
  it.each(bad)('%s is refused with %s', (source, reason) => expect(() => compilePattern(source)).toThrow(new PatternError(reason)));

  const names = (count: number, length: number) =>
    `^(?:${Array.from({ length: count }, (_, n) => `${String(n).padStart(length - 7, 'a')}[.]berlin`).join('|')})$`;
  const short = (count: number) => `^(?:${Array.from({ length: count }, (_, n) => `s${n}[.]berlin`).join('|')})$`;
  // hedgerow-profile.json, "6 alternation …" and "6 one rule per shape …"
  const sizes: [string, string, boolean][] = [
    ['500 names of 64 characters', names(500, 64), true],
    ['700 names of 64 characters', names(700, 64), false],
    ['2000 short names', short(2000), true],
    ['4000 short names', short(4000), false],
  ];
  it.each(sizes)('%s: compiles as it did in the recording', (_name, source, fits) => {
    if (fits) expect(() => compilePattern(source)).not.toThrow();
    else expect(() => compilePattern(source)).toThrow(/regular expression is too large/);
  });

  it('finds a quoted text exactly where it stands', () => {
    const plain = fc.string({ unit: fc.constantFrom(...'abc.-') });
    fc.assert(
      fc.property(plain, plain, (needle, hay) => {
        expect(compilePattern(needle.replaceAll('.', '[.]')).test(hay)).toBe(hay.includes(needle));
      }),
    );
  });

  it('is compiled or refused with a PatternError', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab()[]{}*+?|\\^$.-,1') }), (source) => {
        try {
          compilePattern(source).test('ab');
        } catch (error) {
          expect(error).toBeInstanceOf(PatternError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
