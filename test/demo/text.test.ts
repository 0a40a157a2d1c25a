import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { count, duration, wrap } from './text.ts';

describe('wrap', () => {
  it('breaks at spaces and indents what follows', () => {
    expect(wrap('one two three four', 9, 2)).toEqual(['one two', '  three', '  four']);
  });

  it('leaves a short text alone', () => expect(wrap('short', 80, 4)).toEqual(['short']));

  it('keeps the space in front of the first line', () => expect(wrap('   held  it was', 80)).toEqual(['   held  it was']));

  it('no line is wider than the terminal, and no character is lost', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,60}$/), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 11, max: 90 }),
        (words, width) => {
          const lines = wrap(words.join(' '), width, 3);
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
          expect(lines.join('').replaceAll(' ', '')).toBe(words.join(''));
        },
      ),
    );
  });
});

it('durations read as a person says them', () => {
  expect([499.6, 2_400, 80_000, 140_000].map(duration)).toEqual(['500 ms', '2.4 s', '80.0 s', '2 min 20 s']);
});

it('one is singular', () => expect([count(1, 'device'), count(0, 'device')]).toEqual(['1 device', '0 devices']));
