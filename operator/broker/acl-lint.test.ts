import { describe, expect, it } from 'vitest';
import { compileAcl } from './acl-compile.ts';
import { lint } from './acl-lint.ts';
import { parseAcl } from './acl-parse.ts';
import { printRule } from './acl-term.ts';

const { rules } = compileAcl({
  segments: [
    { segment: 'a.b', publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }], subscribe: [{ topic: 'cmd/{device}/#' }] },
  ],
  refused: new Map(),
  age: () => 0,
  mode: 'owned',
});
const text = rules.map((rule) => `${printRule(rule)}\n`).join('');

it('a good text passes', () => expect(lint(text, rules)).toBeUndefined());

describe('a text that says something else than was meant is found', () => {
  it.each<[string, (text: string) => string]>([
    ['a rule more', (t) => `{allow, all}.\n${t}`],
    ['a rule less', (t) => t.slice(t.indexOf('\n') + 1)],
    ['another option', (t) => t.replace('retain,false', 'retian,false')],
    ['an option less', (t) => t.replace(',{retain,false}', '')],
    ['another segment', (t) => t.replace('a[.]b', 'a.b')],
    ['another topic', (t) => t.replace('"dt/', '"dx/')],
    ['allow instead of deny', (t) => t.replace('{deny, all}', '{allow, all}')],
    ['nothing', () => ''],
    ['a cut', (t) => t.slice(0, -5)],
  ])('%s', (_name, change) => {
    expect(change(text)).not.toBe(text);
    expect(lint(change(text), rules)).toBeDefined();
  });
});

describe('a rule that widens is found even when it was meant', () => {
  const WHO = '{client_attr,"seg",{re,"^(?:a[.]b)$"}}';
  it.each([
    ['a misspelt option', `{allow, ${WHO}, {publish,[{retian,false}]}, ["x/y"]}.`],
    ['no options at all', `{allow, ${WHO}, {publish,[]}, ["x/y"]}.`],
    ['a retained subscription', `{allow, ${WHO}, {subscribe,[{retain,false}]}, ["x/y"]}.`],
    ['a QoS that does not exist', `{allow, ${WHO}, {publish,[{qos,[3]}]}, ["x/y"]}.`],
    ['all actions', `{allow, ${WHO}, all, ["x/y"]}.`],
    ['everybody', '{allow, all, publish, ["x/y"]}.'],
    ['everybody and everything', '{allow, all}.'],
    ['another attribute', '{allow, {client_attr,"tns",{re,"^(?:a[.]b)$"}}, publish, ["x/y"]}.'],
    ['an open pattern', '{allow, {client_attr,"seg",{re,"a[.]b"}}, publish, ["x/y"]}.'],
    ['any character for the dot', '{allow, {client_attr,"seg",{re,"^(?:a.b)$"}}, publish, ["x/y"]}.'],
    ['a user name', '{allow, {username,"x"}, publish, ["x/y"]}.'],
    ['no topics', `{allow, ${WHO}, publish, []}.`],
    ['all topics', `{allow, ${WHO}, publish, all}.`],
    ['an exact topic', `{allow, ${WHO}, publish, [{eq,"x/y"}]}.`],
    ['a binary', `{allow, ${WHO}, publish, [<<"x/y">>]}.`],
    ['a placeholder of a design', `{allow, ${WHO}, publish, ["x/$\{device}"]}.`],
    ['an attribute that does not exist', `{allow, ${WHO}, publish, ["x/$\{client_attrs.nope}"]}.`],
    ['a user name in a topic', `{allow, ${WHO}, publish, ["x/%u"]}.`],
    ['a subscription that ends in +', `{allow, ${WHO}, subscribe, ["x/+"]}.`],
    ['a wildcard in the place of the segment', `{allow, ${WHO}, subscribe, ["dt/+/x"]}.`],
    ['a subscription that widens', `{allow, ${WHO}, subscribe, ["dt/a/+/#"]}.`],
    ['a wildcard in front', `{allow, ${WHO}, subscribe, ["+/#"]}.`],
    ['half a deny', `{deny, ${WHO}}.`],
    ['a deny of one topic', `{deny, ${WHO}, all, ["x"]}.`],
    ['five parts', `{allow, ${WHO}, publish, ["x/y"], 1}.`],
    ['no rule', '"x".'],
  ])('%s', (_name, rule) => {
    const whole = `${rule}\n{deny, all}.\n`;
    const parsed = parseAcl(whole);
    expect(parsed.ok).toBe(true);
    expect(lint(whole, parsed.ok ? parsed.rules.map((one) => one.term) : [])).toMatch(/^rule 1/);
  });

  it('an end that does not deny', () => {
    const whole = `{allow, ${WHO}, publish, ["x/y"]}.\n`;
    const parsed = parseAcl(whole);
    expect(lint(whole, parsed.ok ? parsed.rules.map((one) => one.term) : [])).toBe('it does not end in a deny');
  });
});
