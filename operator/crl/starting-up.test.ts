// When the pod of before may go.
import { expect, it } from 'vitest';
import type { CrlCode } from './errors.ts';
import type { PublishedList } from './publisher.ts';
import { startingUp } from './starting-up.ts';

const world = { settled: false, known: () => ['a', 'b'] };
let lists: Record<string, PublishedList>;
let problems: Record<string, CrlCode>;

function check(): () => string | undefined {
  world.settled = false;
  lists = {};
  problems = {};
  const problem = (issuer: string) => {
    const code = problems[issuer];
    return code === undefined ? undefined : { code };
  };
  return startingUp(world, { list: (issuer) => lists[issuer] }, { problem });
}
const LIST = {} as PublishedList;

it('is not before all CAs were read', () => {
  const failing = check();
  expect(failing()).toBe('the CAs are being read');
  world.settled = true;
  lists = { a: LIST, b: LIST };
  expect(failing()).toBeUndefined();
});

it.each(['HR-CRL-005', 'HR-CRL-020'] as const)('is not while %s keeps an issuer from its first list', (code) => {
  const failing = check();
  world.settled = true;
  lists = { a: LIST };
  problems = { b: code };
  expect(failing()).toContain(code);
  lists = { a: LIST, b: LIST };
  expect(failing()).toBeUndefined();
});

it.each(['HR-CRL-001', 'HR-CRL-003', 'HR-CRL-012', 'HR-CRL-013'] as const)(
  'is when only %s is left, which a person has to cure',
  (code) => {
    const failing = check();
    world.settled = true;
    lists = { a: LIST };
    problems = { b: code };
    expect(failing()).toBeUndefined();
  },
);

it('stays for good: what has lists keeps its place', () => {
  const failing = check();
  world.settled = true;
  lists = { a: LIST, b: LIST };
  expect(failing()).toBeUndefined();
  lists = { a: LIST };
  problems = { b: 'HR-CRL-020' };
  expect(failing()).toBeUndefined();
});
