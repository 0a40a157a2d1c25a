import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileAcl } from './acl-compile.ts';
import { parseAcl } from './acl-parse.ts';
import { adoptText, classify, type Mode, namesIn, printBlock, withBlock } from './acl-text.ts';
import type { SegmentRights } from './broker.ts';
import { goodRights } from './testing/rights.ts';

const blockOf = (mode: Mode, segments: SegmentRights[] = []): string =>
  printBlock(compileAcl({ segments, refused: new Map(), age: () => 0, mode }).rules, mode);

/** As recorded on a broker: comments, tabs, no newline at the end (hedgerow-profile.json, 9). */
const FOREIGN = `%%----------------
%% -*- mode: erlang -*-   somebody else's ACL, with comments\tand tabs
{allow, {username, {re, "^dashboard$"}}, subscribe, ["$SYS/#"]}.   % trailing comment

{allow, {ipaddr, "127.0.0.1"}, all, ["$SYS/#", "plant/#"]}.
{deny, all, subscribe, ["$SYS/#", {eq, "#"}, {eq, "+/#"}]}.
{allow, all}.
%% end of file, no newline after this`;

describe('whose text it is', () => {
  it.each([
    ['nothing', '', 'boot'],
    ['only comments', '%% nothing yet\n', 'boot'],
    ['the boot text', '{deny, all}.\n', 'boot'],
    ['ours', blockOf('owned'), 'owned'],
    ['ours with somebody’s rules around it', `{allow, all}.\n${blockOf('owned')}{allow, all}.\n`, 'owned'],
    ['ours without its end', blockOf('owned').slice(0, -30), 'owned'],
    ['adopted', adoptText(FOREIGN, blockOf('guest')), 'guest'],
    ['other people’s', FOREIGN, 'foreign'],
    ['everything allowed', '{allow, all}.', 'foreign'],
    ['a deny of others', '{deny, {username,"x"}, all, all}.', 'foreign'],
    ['an adopted one whose end was cut off', adoptText(FOREIGN, blockOf('guest')).replace('%% hedgerow:end', '%%'), 'foreign'],
    ['a marker inside a string', '{allow, {username,"\n%% hedgerow:begin mode=owned x\n"}, all, all}.\n', 'foreign'],
    ['two blocks', blockOf('guest') + blockOf('guest'), 'foreign'],
    ['no terms', 'hello', 'foreign'],
  ])('%s', (_name, text, kind) => expect(classify(text).kind).toBe(kind));
});

describe('our block among the rules of others', () => {
  it('stands before the first rule that allows, and every byte of theirs stays', () => {
    const block = blockOf('guest');
    const text = adoptText(FOREIGN, block);
    expect(text.replace(block, '')).toBe(FOREIGN);
    expect(text.indexOf('hedgerow:begin')).toBeLessThan(text.indexOf('{allow, {username'));
    expect(text.indexOf('hedgerow:begin')).toBeGreaterThan(text.indexOf('tabs'));
  });

  it('is behind a deny of theirs, which may be an incident, but before one that ends the text for all', () => {
    const block = blockOf('guest');
    expect(adoptText('{deny, {ipaddr,"203.0.113.7"}, all, all}.\n{allow, all}.\n', block)).toBe(
      `{deny, {ipaddr,"203.0.113.7"}, all, all}.\n${block}{allow, all}.\n`,
    );
    expect(adoptText('{deny, all}.\n', block)).toBe(`${block}{deny, all}.\n`);
  });

  it('is replaced in place', () => {
    const first = adoptText(FOREIGN, blockOf('guest'));
    const next = blockOf('guest', [{ segment: 'a.b', publish: [{ topic: 'x/y' }], subscribe: [] }]);
    expect(withBlock(classify(first), next)).toBe(adoptText(FOREIGN, next));
    expect(withBlock(classify(first), blockOf('guest'))).toBe(first);
  });

  it('moves up when somebody puts an allow in front of it', () => {
    const block = blockOf('guest');
    const widened = `{allow, all}.\n${adoptText(FOREIGN, block)}`;
    const repaired = withBlock(classify(widened), block);
    expect(repaired.startsWith(block)).toBe(true);
    expect(repaired.replace(block, '')).toBe(`{allow, all}.\n${FOREIGN}`);
  });

  it('alone where the broker is ours', () => {
    const block = blockOf('owned');
    for (const text of ['', '{deny, all}.\n', blockOf('owned'), `{allow, all}.\n${blockOf('owned')}`])
      expect(withBlock(classify(text), block)).toBe(block);
  });

  it('other people’s rules are all there afterwards, in their order, for any rights', () => {
    const theirs = fc.array(
      fc.constantFrom(
        '{deny, all, subscribe, ["x/#"]}.',
        '{allow, {username,"a"}, all, ["p/#"]}.',
        '% note',
        '{allow, all}.',
        '{deny, all}.',
      ),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(theirs, goodRights, (lines, rights) => {
        const foreign = lines.join('\n');
        fc.pre(classify(foreign).kind === 'foreign');
        const block = blockOf('guest', rights);
        const text = adoptText(foreign, block);
        expect(text.replace(block, '').replaceAll('\n', '')).toBe(foreign.replaceAll('\n', ''));
        expect(classify(text).kind).toBe('guest');
        expect(withBlock(classify(text), block)).toBe(text);
        expect(parseAcl(text).ok).toBe(true);
      }),
    );
  });
});

it('says which segments a text grants something', () => {
  const rights = [
    { segment: 'a-1.b', publish: [{ topic: 'x/y' }], subscribe: [] },
    { segment: 'c.d', publish: [], subscribe: [{ topic: 'x/z' }] },
    { segment: 'e.f', publish: [{ topic: 'x/y' }], subscribe: [] },
  ];
  expect([...namesIn(blockOf('owned', rights))].sort()).toEqual(['a-1.b', 'c.d', 'e.f']);
  expect(namesIn('{deny, all}.').size).toBe(0);
});
