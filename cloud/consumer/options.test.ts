import { describe, expect, it } from 'vitest';
import { HELP, parseOptions } from './options.ts';

const LEAST = ['--broker', 'emqx.example.com:8883', '--tls-cert-file', 'c', '--tls-key-file', 'k', '--store', 's'];

describe('flags of the consumer', () => {
  it('have defaults; the page is for this machine only', () => {
    const parsed = parseOptions(LEAST);
    if (parsed.kind !== 'consume') throw new Error('they are good');
    expect(parsed.options).toMatchObject({ pageHost: '127.0.0.1', pagePort: 8090, keepDays: 400, clientId: undefined, pageNames: [] });
    expect(parsed.options.broker).toEqual({ host: 'emqx.example.com', port: 8883 });
  });

  it('ask one thing of the store', () => {
    expect(parseOptions(['query', '--store', 's', 'select 1'])).toEqual({ kind: 'query', storeFile: 's', sql: 'select 1' });
  });

  it.each([
    ['no broker', LEAST.slice(2)],
    ['no store', LEAST.slice(0, -2)],
    ['a broker without port', ['--broker', 'emqx', ...LEAST.slice(2)]],
    ['days that are none', [...LEAST, '--keep-days', '-1']],
    ['another command', ['drop', ...LEAST]],
    ['a query in two words', ['query', '--store', 's', 'select', '1']],
    ['a query without a store', ['query', 'select 1']],
    ['a flag that is none', [...LEAST, '--password', 'x']],
  ])('are refused: %s', (_name, argv) => expect(parseOptions(argv).kind).toBe('wrong'));

  it('are all in the help', () => {
    for (const flag of ['--page-name', '--keep-days', '--client-id', '--broker-ca-file']) expect(HELP).toContain(flag);
    expect(parseOptions(['--help'])).toEqual({ kind: 'help' });
  });
});
