import { expect, it } from 'vitest';
import { createPaint, wantsColours } from './paint.ts';

it.each([
  ['a terminal', true, {}, true],
  ['NO_COLOR is set', true, { NO_COLOR: '1' }, false],
  ['NO_COLOR is empty, which counts as not set', true, { NO_COLOR: '' }, true],
  ['a pipe', false, {}, false],
  ['a terminal that knows no codes', true, { TERM: 'dumb' }, false],
])('colours: %s', (_name, terminal, env, wanted) => expect(wantsColours(terminal, env)).toBe(wanted));

it('without colours the text is untouched', () => expect(createPaint(false).red('no')).toBe('no'));
it('with colours it is put back afterwards', () => expect(createPaint(true).red('no')).toBe('\u001b[31mno\u001b[39m'));
