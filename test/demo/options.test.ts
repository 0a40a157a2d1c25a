import { describe, expect, it } from 'vitest';
import { HELP, parseOptions } from './options.ts';

describe('flags of the demo', () => {
  it('without any it runs once and leaves nothing', () => {
    expect(parseOptions([])).toEqual({
      kind: 'options',
      options: { action: 'run', keep: false, kubeconfig: undefined, name: 'demo' },
    });
  });

  it.each([
    ['--help', ['--help']],
    ['-h', ['-h']],
    ['help wins over the rest', ['--keep', '--help']],
  ])('help: %s', (_name, argv) => expect(parseOptions(argv)).toEqual({ kind: 'help' }));

  it('what belongs together is taken together', () => {
    expect(parseOptions(['--keep', '--kubeconfig', 'k.yaml', '--name', 'mine'])).toMatchObject({
      options: { keep: true, kubeconfig: 'k.yaml', name: 'mine' },
    });
    expect(parseOptions(['--stop'])).toMatchObject({ options: { action: 'stop' } });
  });

  it.each([
    ['an unknown flag', ['--fast'], /--fast/],
    ['a stray word', ['up'], /up/],
    ['--sites, which nothing honours yet', ['--sites', '2'], /not supported yet/],
    ['--kubeconfig without a file', ['--kubeconfig'], /kubeconfig/],
    ['--kubeconfig with an empty file name', ['--kubeconfig', ''], /path of a file/],
    ['a name that would leave its folder', ['--name', '../x'], /lower-case/],
    ['--stop with --keep', ['--stop', '--keep'], /--stop/],
  ])('%s is refused with a reason', (_name, argv, message) => {
    const parsed = parseOptions(argv);
    expect(parsed.kind).toBe('wrong');
    expect(parsed.kind === 'wrong' && parsed.message).toMatch(message);
  });

  it('every flag that works is in the help', () => {
    for (const flag of ['--keep', '--stop', '--kubeconfig', '--name', '--help']) expect(HELP).toContain(flag);
  });
});
