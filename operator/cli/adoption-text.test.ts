import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AdoptionReport } from '../broker/broker.ts';
import { adoptionText, printable } from './adoption-text.ts';

const PLAN = {
  state: 'foreign' as const,
  rules: [
    { number: 1, text: '{deny, {clientid, "x"}, all, ["#"]}.', kept: true },
    { number: 2, text: '{allow,\n   all}.', kept: false },
  ],
  losses: [
    { client: 'legacy-7', subscription: 'plant/#', ours: false },
    { client: 'thermo.berlin', subscription: 'shared/board', ours: true },
  ],
  fenced: 2,
  connected: [],
  text: '…',
};
/** What a terminal or an editor obeys instead of showing it. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

const text = (report: Partial<AdoptionReport>, disconnected: { client: string; why: string }[] = []): string =>
  adoptionText({
    url: 'https://emqx:18083',
    report: { plan: PLAN, unsafe: '', written: false, ...report },
    devices: 2,
    disconnected,
    confirm: 'again --yes',
  });

describe('what adopting would do, in words', () => {
  it('names what stays, what goes, who loses what, and how to do it', () => {
    expect(
      text({}, [{ client: 'ghost.berlin', why: 'there is no Device of this name' }]),
    ).toBe(`https://emqx:18083: the ACL text was written by others.

Kept, unchanged and in this order (1 of 2 rules, and all comments):
    1  {deny, {clientid, "x"}, all, ["#"]}.

Removed:
    2  {allow, all}.

Added:
  Hedgerow's block, before the first rule that could allow a device something. It speaks only about clients whose certificate names
  a segment (2 connected now): from then on they may do what their SegmentPolicy grants, whatever the other rules say.

Who would lose what:
  ghost.berlin   its connection: there is no Device of this name
  legacy-7       its subscription to plant/#
  thermo.berlin  its subscription to shared/board, which its SegmentPolicy does not grant
  What a client publishes now and then cannot be seen from here.

Nothing was written. To do this:
  again --yes
`);
  });

  it.each<[what: string, report: Partial<AdoptionReport>, said: string, notSaid: string]>([
    ['says that it was written, and no command', { written: true }, 'Written: 1 rules of others', 'Nothing was written'],
    ['says so when nobody loses anything', { plan: { ...PLAN, losses: [] } }, 'nobody who is connected now', 'its subscription'],
    ['has no heading for rules that go when none does', { plan: { ...PLAN, rules: PLAN.rules.slice(0, 1) } }, 'Kept', 'Removed'],
    [
      'lists each unsafe setting in a line',
      { unsafe: 'HR-BRK-015: a; b. Cure: c; HR-BRK-016: d' },
      '\n  HR-BRK-015: a; b. Cure: c\n  HR-BRK-016: d\n',
      'Not safe',
    ],
    ['says that a broker of our own needs no adoption', { plan: { state: 'ours' } }, 'nothing to adopt', 'Kept'],
    ['says that an empty one needs none', { plan: { state: 'empty' } }, 'nothing to adopt', 'Kept'],
    ['says that it was adopted already', { plan: { state: 'adopted' } }, 'is adopted already', 'Kept'],
    [
      'gives the cure when the text cannot be read',
      { plan: { state: 'unreadable', why: 'expected a term at offset 3' } },
      'expected a term at offset 3. Nothing was written. Cure:',
      'Kept',
    ],
  ])('%s', (_what, report, said, notSaid) => {
    expect(text(report)).toContain(said);
    expect(text(report)).not.toContain(notSaid);
  });

  it('nothing that others wrote moves the cursor of whoever reads it, or looks like a line of ours', () => {
    const shown = (what: string): string =>
      text({
        plan: {
          ...PLAN,
          rules: [{ number: 1, text: what, kept: true }],
          losses: [{ client: what, subscription: what, ours: false }],
        },
      });
    const lines = shown('x').split('\n').length;
    fc.assert(
      fc.property(
        fc
          .array(fc.oneof(fc.nat(0x2fff), fc.nat(0xff), fc.constantFrom(10, 13, 27, 0x2028, 0x202e)))
          .map((codes) => String.fromCharCode(...codes)),
        (what) => {
          const said = shown(what).split('\n');
          return said.length === lines && !OBEYED.test(said.join(''));
        },
      ),
    );
  });

  it('control characters are shown by their number', () => {
    expect(printable('a\u001b[2Jb\u202ec')).toBe('a\\x{1b}[2Jb\\x{202e}c');
  });
});
