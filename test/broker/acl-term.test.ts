import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { consult, showTerm, type Term } from './acl-term.ts';

describe('reading Erlang terms', () => {
  const good: [string, string, string[]][] = [
    ['a rule', '{allow, all, publish, ["t/1"]}.', ['{allow,all,publish,["t/1"]}']],
    ['two rules, comments, white space', '%% one\n{allow, all}. % two\n\t{deny,all}.\r\n', ['{allow,all}', '{deny,all}']],
    ['quoted atoms and binaries', '{\'and\', <<"x">>}.', ['{and,<<"x">>}']],
    ['an escaped quote', '{"a\\"b"}.', ['{"a\\"b"}']],
    ['neighbouring strings are one', '{"a" "b"}.', ['{"ab"}']],
    ['numbers', '{1,-2}.', ['{1,-2}']],
    ['a dot inside a string ends nothing', '{"a. b"}.', ['{"a. b"}']],
    ['nothing', '', []],
    ['comments only', '%% nothing\n', []],
  ];
  it.each(good)('%s', (_name, text, shown) => {
    const read = consult(text);
    expect(read.ok && read.terms.map(showTerm)).toEqual(shown);
  });

  // Each of these texts was answered so by EMQX 5.8.9 (authz-sources.json, hedgerow-profile.json).
  const bad: [string, string, string][] = [
    ['a missing bracket at the end', '{allow, all', '{bad_acl_file_content,{1,erl_parse,["syntax error before: ",[]]}}'],
    ['a missing full stop', '{allow, all}\n{deny, all}.\n', '{bad_acl_file_content,{2,erl_parse,["syntax error before: ","\'{\'"]}}'],
    ['an open list', '{allow, all, publish, ["t/1"}.\n', '{bad_acl_file_content,{1,erl_parse,["syntax error before: ","\'}\'"]}}'],
    [
      'a quote inside a string',
      '{allow, all, publish, ["t/"1"]}.\n{deny, all}.\n',
      '{bad_acl_file_content,{1,erl_scan,{string,34,"]}.\\n{deny, all}."}}}',
    ],
  ];
  it.each(bad)('%s is refused in the words of Erlang', (_name, text, error) => {
    expect(consult(text)).toEqual({ ok: false, error });
  });

  const text = fc.string({ unit: fc.constantFrom(...'abz09_ /$', ...'{}#+.,"\\%\n') });
  const terms: fc.Arbitrary<Term> = fc.letrec<{ term: Term }>((tie) => ({
    term: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('allow', 'deny', 'all', 'publish', 'eq').map((name): Term => ({ kind: 'atom', name })),
      text.map((value): Term => ({ kind: 'string', text: value })),
      text.map((value): Term => ({ kind: 'binary', text: value })),
      fc.integer().map((value): Term => ({ kind: 'number', value })),
      fc.array(tie('term'), { maxLength: 4 }).map((items): Term => ({ kind: 'tuple', items })),
      fc.array(tie('term'), { maxLength: 4 }).map((items): Term => ({ kind: 'list', items })),
    ),
  })).term;

  it('reads back whatever it shows', () => {
    fc.assert(
      fc.property(terms, (term) => {
        expect(consult(`${showTerm(term)}.\n`)).toEqual({ ok: true, terms: [term] });
      }),
    );
  });

  it('answers every text, and never by an exception', () => {
    const near = fc.string({ unit: fc.constantFrom(...'{}[]",.%<>=:\\ab$01 \n\'-'), maxLength: 60 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), near), (any) => {
        expect(typeof consult(any).ok).toBe('boolean');
      }),
      { numRuns: 500 },
    );
  });
});
