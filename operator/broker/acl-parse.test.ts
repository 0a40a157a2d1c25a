import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAcl } from './acl-parse.ts';
import { atom, list, number, printRule, string, type Term, tuple } from './acl-term.ts';
import { hostileText } from './testing/rights.ts';

const termsOf = (text: string): Term[] => {
  const parsed = parseAcl(text);
  if (!parsed.ok) throw new Error(`${parsed.why} at ${parsed.at}`);
  return parsed.rules.map((rule) => rule.term);
};

describe('an ACL text is read as Erlang reads it', () => {
  it.each<[string, string, Term[]]>([
    ['nothing', '', []],
    ['only comments', '%% a\n  % b', []],
    ['the boot text', '{deny, all}.\n', [tuple(atom('deny'), atom('all'))]],
    ['no newline at the end', '{deny, all}.', [tuple(atom('deny'), atom('all'))]],
    ['a comment right behind the full stop', '{deny, all}.% end', [tuple(atom('deny'), atom('all'))]],
    ['line ends of Windows', '{deny,\r\n all}.\r\n', [tuple(atom('deny'), atom('all'))]],
    [
      'options',
      '{allow,all,{publish,[{qos,[0,1]},{retain,false}]},["a"]}.',
      [
        tuple(
          atom('allow'),
          atom('all'),
          tuple(atom('publish'), list([tuple(atom('qos'), list([number(0), number(1)])), tuple(atom('retain'), atom('false'))])),
          list([string('a')]),
        ),
      ],
    ],
    [
      'a quoted atom',
      "{allow,{'and',[all]},publish,all}.",
      [tuple(atom('allow'), tuple(atom('and'), list([atom('all')])), atom('publish'), atom('all'))],
    ],
    ['escapes', '{"\\"\\\\\\n\\x41\\x{42}\\103\\^A"}.', [tuple(string('"\\\nABC\x01'))]],
    ['strings side by side', '{"a" "b"}.', [tuple(string('ab'))]],
    ['a comment sign inside a string', '{"100%"}.', [tuple(string('100%'))]],
    ['a full stop inside a string', '{"a. b"}.', [tuple(string('a. b'))]],
    [
      'binaries',
      '{<<"a">>, <<"b"/utf8>>, <<>>}.',
      [tuple({ kind: 'binary', text: 'a' }, { kind: 'binary', text: 'b' }, { kind: 'binary', text: '' })],
    ],
    ['a negative number', '{-1, 2.5}.', [tuple(number(-1), number(2.5))]],
  ])('%s', (_name, text, terms) => expect(termsOf(text)).toEqual(terms));

  it.each([
    ['a missing full stop', '{deny, all}'],
    ['a full stop in the middle of a word', '{deny, all}.x'],
    ['an open bracket', '{allow, all, publish, ["a"}.'],
    ['an open string', '{allow, all, publish, ["a]}.'],
    ['a variable', '{allow, All}.'],
    ['a comma too many', '{allow, all,}.'],
    ['two terms without a full stop between', '{deny, all} {deny, all}.'],
    ['a map', '#{a => 1}.'],
  ])('refuses %s', (_name, text) => expect(parseAcl(text).ok).toBe(false));

  it('says where each rule stands, so that it can be cut out', () => {
    const text = '% first\n{deny, all} .\n\t{allow, all}.% x';
    const parsed = parseAcl(text);
    expect(parsed.ok && parsed.rules.map(({ start, end }) => text.slice(start, end))).toEqual(['{deny, all} .', '{allow, all}.']);
  });

  it('survives any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), hostileText, fc.string({ unit: fc.constantFrom(...'{}[]"\'\\.,%<>a1 \n') })),
        (text) => void parseAcl(text),
      ),
    );
    expect(parseAcl('['.repeat(100_000)).ok).toBe(false);
    expect(parseAcl(`{${'"a" '.repeat(100_000)}}.`).ok).toBe(true);
  });
});

describe('a rule that is printed', () => {
  const safe = fc.string({ unit: fc.constantFrom(...'abcXYZ019._:@~=/{}+#$^()?|[]-') });
  const { term } = fc.letrec<{ term: Term }>((tie) => ({
    term: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'term' },
      fc.constantFrom('allow', 'deny', 'all', 'client_attr').map(atom),
      safe.map(string),
      fc.integer({ min: 0, max: 9 }).map(number),
      fc.array(tie('term'), { maxLength: 3 }).map((items) => list(items)),
      fc.array(tie('term'), { minLength: 1, maxLength: 3 }).map((items) => tuple(...items)),
    ),
  }));

  it('reads as what it was', () => {
    fc.assert(
      fc.property(fc.array(term, { maxLength: 4 }), (terms) => {
        expect(termsOf(terms.map((one) => `${printRule(one)}\n`).join(''))).toEqual(terms);
      }),
    );
  });

  it('never holds a string that would need an escape', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        let printed: string;
        try {
          printed = printRule(tuple(string(text)));
        } catch {
          return;
        }
        expect(termsOf(printed)).toEqual([tuple(string(text))]);
      }),
    );
    expect(() => printRule(tuple(string('a"b')))).toThrow();
    expect(() => printRule(tuple(atom('Allow')))).toThrow();
  });
});
