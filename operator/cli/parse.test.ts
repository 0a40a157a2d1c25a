import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCommand } from './parse.ts';

const adopt = {
  words: ['adopt', 'broker'],
  summary: 'take over',
  help: 'usage: adopt broker\n',
  flags: { 'broker-url': { type: 'string' }, yes: { type: 'boolean' } },
} as const;
const can = { words: ['can'], summary: 'may it', help: 'usage: can\n', flags: {} } as const;
const show = {
  words: ['show'],
  operand: 'DEVICE',
  summary: 'one thing',
  help: 'usage: show DEVICE\n',
  flags: { wide: { type: 'boolean' } },
} as const;
const parse = (...argv: string[]) => parseCommand([adopt, can, show], argv);

describe('what was typed', () => {
  it.each<[what: string, argv: string[], flags: object]>([
    ['a command without flags', ['adopt', 'broker'], {}],
    ['a command with flags', ['adopt', 'broker', '--broker-url', 'https://b:1', '--yes'], { 'broker-url': 'https://b:1', yes: true }],
    ['a flag with an equals sign', ['adopt', 'broker', '--broker-url=https://b:1'], { 'broker-url': 'https://b:1' }],
  ])('is run: %s', (_what, argv, flags) => {
    expect(parse(...argv)).toMatchObject({ kind: 'run', command: adopt, values: flags });
  });

  it.each<[what: string, argv: string[]]>([
    ['before the flags', ['show', 'thermo', '--wide']],
    ['after the flags', ['show', '--wide', 'thermo']],
    ['after two dashes', ['show', '--wide', '--', 'thermo']],
  ])('names what it is about: %s', (_what, argv) => {
    expect(parse(...argv)).toMatchObject({ kind: 'run', command: show, values: { DEVICE: 'thermo', wide: true } });
  });

  it.each<[what: string, argv: string[], part: string]>([
    ['of everything', ['--help'], 'adopt broker   take over'],
    ['of everything, by a word', ['help'], 'adopt broker   take over'],
    ['of a command', ['adopt', 'broker', '--help'], 'usage: adopt broker'],
    ['of a command with flags before it', ['adopt', 'broker', '--yes', '-h'], 'usage: adopt broker'],
    ['of a command, by a word', ['help', 'adopt', 'broker'], 'usage: adopt broker'],
    ['of the beginning of a command', ['adopt', '--help'], 'adopt broker   take over'],
    ['although a flag is wrong', ['adopt', 'broker', '--nonsense', '--help'], 'usage: adopt broker'],
  ])('is help %s', (_what, argv, part) => {
    const typed = parse(...argv);
    expect(typed).toMatchObject({ kind: 'help', text: expect.stringContaining(part) });
  });

  it.each<[what: string, argv: string[], complaint: string, part: string]>([
    ['nothing at all', [], 'which command?', 'usage: kubectl hedgerow COMMAND'],
    ['an unknown word', ['adpot', 'broker'], 'there is no command "adpot broker"', 'adopt broker'],
    ['half a command', ['adopt'], '"adopt" is only the beginning of a command', 'adopt broker'],
    ['an unknown flag', ['adopt', 'broker', '--force'], "Unknown option '--force'", 'usage: adopt broker'],
    [
      'a flag without its value',
      ['adopt', 'broker', '--broker-url'],
      "Option '--broker-url <value>' argument missing",
      'usage: adopt broker',
    ],
    ['a value for a switch', ['adopt', 'broker', '--yes=no'], "Option '--yes' does not take an argument", 'usage: adopt broker'],
    ['a word too many', ['adopt', 'broker', 'now'], "Unexpected argument 'now'", 'usage: adopt broker'],
    ['a flag of another command', ['can', '--yes'], "Unknown option '--yes'", 'usage: can'],
    ['only a flag', ['--yes'], 'which command?', 'usage: kubectl hedgerow COMMAND'],
    ['nothing named where something has to be', ['show', '--wide'], 'which DEVICE?', 'usage: show DEVICE'],
    ['an empty name', ['show', ''], 'which DEVICE?', 'usage: show DEVICE'],
    ['two names', ['show', 'thermo', 'air'], 'one DEVICE at a time, not also "air"', 'usage: show DEVICE'],
    ['help of an unknown word', ['help', 'me'], 'there is no command "me"', 'adopt broker'],
  ])('is answered with the complaint and the usage: %s', (_what, argv, complaint, part) => {
    expect(parse(...argv)).toEqual({ kind: 'wrong', complaint: expect.stringContaining(complaint), text: expect.stringContaining(part) });
  });

  it('whatever is typed, the answer is one of the three and never an exception', () => {
    const word = fc.oneof(
      fc.constantFrom('adopt', 'broker', 'show', 'help', '--yes', '--help', '-h', '--', '-', '--broker-url', '__proto__'),
      fc.string(),
    );
    fc.assert(fc.property(fc.array(word), (argv) => ['run', 'help', 'wrong'].includes(parse(...argv).kind)));
  });
});
