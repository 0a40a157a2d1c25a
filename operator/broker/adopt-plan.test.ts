import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AclClient, decide } from './acl-decide.ts';
import { parseAcl } from './acl-parse.ts';
import type { Term } from './acl-term.ts';
import { printBlock } from './acl-text.ts';
import { type AdoptionClient, type AdoptionInput, planAdoption } from './adopt-plan.ts';

const FOREIGN = `% the plant
{allow, {username,"bob"}, all, ["plant/#"]}.
{deny, all, subscribe, ["$SYS/#"]}.
{allow, {ipaddr,"10.0.0.0/8"}, subscribe, ["#"]}.
{allow, all, publish, ["dt/#"]}.
`;
const SEGMENT = { segment: 'office.berlin', publish: [], subscribe: [{ topic: 'cmd/{segment}/{device}/#' }] };
const client = (clientid: string, subscriptions: string[], more: Partial<AdoptionClient> = {}): AdoptionClient => ({
  clientid,
  username: clientid,
  ip: '192.0.2.1',
  attributes: {},
  subscriptions,
  ...more,
});
const device = (subscriptions: string[], more: Partial<AdoptionClient> = {}) =>
  client('thermo-1.berlin', subscriptions, { attributes: { seg: 'office.berlin' }, ...more });
const plan = (input: Partial<AdoptionInput> = {}) =>
  planAdoption({ text: FOREIGN, noMatch: 'deny', segments: [SEGMENT], keep: 'all', clients: [], ...input });
const foreign = (input: Partial<AdoptionInput> = {}) => {
  const made = plan(input);
  if (made.state !== 'foreign') throw new Error(made.state);
  return made;
};

describe('what there is to adopt', () => {
  it.each([
    ['nothing, the text is empty', '', 'empty'],
    ['nothing, it only denies', '{deny, all}.', 'empty'],
    ['nothing, it is ours', printBlock([], 'owned'), 'ours'],
    ['nothing, it was adopted', printBlock([], 'guest'), 'adopted'],
    ['a text that nobody can read', 'hello', 'unreadable'],
    ['other people’s rules', FOREIGN, 'foreign'],
  ])('%s', (_name, text, state) => expect(plan({ text }).state).toBe(state));

  it('every rule is named as it stands, with its number', () => {
    expect(foreign().rules).toEqual([
      { number: 1, text: '{allow, {username,"bob"}, all, ["plant/#"]}.', kept: true },
      { number: 2, text: '{deny, all, subscribe, ["$SYS/#"]}.', kept: true },
      { number: 3, text: '{allow, {ipaddr,"10.0.0.0/8"}, subscribe, ["#"]}.', kept: true },
      { number: 4, text: '{allow, all, publish, ["dt/#"]}.', kept: true },
    ]);
  });

  it('only what is kept is in the new text, comments stay', () => {
    const { text, rules } = foreign({ keep: [1, 4] });
    expect(rules.map((rule) => rule.kept)).toEqual([true, false, false, true]);
    expect(text.startsWith('% the plant\n%% hedgerow:begin mode=guest')).toBe(true);
    expect(text).toContain('{allow, {username,"bob"}, all, ["plant/#"]}.');
    expect(text).not.toContain('ipaddr');
  });

  it('a number that no rule has is refused', () => expect(() => plan({ keep: [1, 5] })).toThrow('there is no rule 5: the text has 4'));
});

describe('who would lose something', () => {
  it('nobody else, when everything is kept: our block speaks only about our own', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('plant/#', 'plant/1', '#', '$SYS/x', 'dt/x', 'other', '$share/g/plant/#'), { maxLength: 5 }),
        fc.constantFrom('bob', 'alice', 'thermo-9.berlin'),
        fc.constantFrom('10.1.2.3', '192.0.2.1'),
        fc.constantFrom<'allow' | 'deny'>('allow', 'deny'),
        (subscriptions, name, ip, noMatch) => {
          expect(foreign({ clients: [client(name, subscriptions, { ip })], noMatch }).losses).toEqual([]);
        },
      ),
    );
  });

  it('those whose rule goes', () => {
    const clients = [client('bob', ['plant/#']), client('eve', ['x/#'], { ip: '10.1.2.3' })];
    expect(foreign({ keep: [1], clients }).losses).toEqual([{ client: 'eve', subscription: 'x/#', ours: false }]);
  });

  it('our own devices, of what their segment does not grant', () => {
    const own = 'cmd/office.berlin/thermo-1.berlin/#';
    const made = foreign({ clients: [device([own, 'x/#', '$share/g/y'], { ip: '10.1.2.3' })] });
    expect(made.losses.map((loss) => loss.subscription)).toEqual(['x/#', '$share/g/y']);
    expect(made.fenced).toBe(1);
  });

  it('also where everything was allowed by default', () => {
    expect(foreign({ noMatch: 'allow', clients: [device(['x/#'])] }).losses).toHaveLength(1);
    expect(foreign({ noMatch: 'deny', clients: [device(['x/#'])] }).losses).toEqual([]);
  });
});

describe('how an ACL text answers', () => {
  const rulesOf = (text: string): Term[] => {
    const parsed = parseAcl(text);
    if (!parsed.ok) throw new Error(parsed.why);
    return parsed.rules.map((rule) => rule.term);
  };
  const someone: AclClient = { clientid: 'c1', username: 'u1', ip: '10.1.2.3', attributes: { seg: 'a.b' } };
  it.each<[string, string, 'publish' | 'subscribe', string, string]>([
    ['the first rule that matches', '{deny, all, all, ["x"]}.\n{allow, all}.', 'publish', 'x', 'deny'],
    ['all', '{allow, all}.', 'publish', '$SYS/x', 'allow'],
    ['another action', '{allow, all, publish, ["x"]}.', 'subscribe', 'x', 'none'],
    ['an action with options', '{allow, all, {publish,[{qos,[0]}]}, ["x"]}.', 'publish', 'x', 'allow'],
    ['a user name', '{allow, {username,"u1"}, all, all}.', 'publish', 'x', 'allow'],
    ['the old words', '{allow, {user,"u1"}, pubsub, all}.', 'publish', 'x', 'allow'],
    ['another user name', '{allow, {username,"u"}, all, all}.', 'publish', 'x', 'none'],
    ['a pattern, not anchored', '{allow, {clientid,{re,"c"}}, all, all}.', 'publish', 'x', 'allow'],
    ['a pattern that is none', '{allow, {clientid,{re,"("}}, all, all}.', 'publish', 'x', 'none'],
    ['an attribute', '{allow, {client_attr,"seg",<<"a.b">>}, all, all}.', 'publish', 'x', 'allow'],
    ['an attribute that is missing', '{allow, {client_attr,"tns",{re,".*"}}, all, all}.', 'publish', 'x', 'none'],
    ['an address', '{allow, {ipaddr,"10.1.2.3"}, all, all}.', 'publish', 'x', 'allow'],
    ['a range', '{allow, {ipaddrs,["192.0.2.0/24","10.1.0.0/16"]}, all, all}.', 'publish', 'x', 'allow'],
    ['another range', '{allow, {ipaddr,"10.2.0.0/16"}, all, all}.', 'publish', 'x', 'none'],
    ['both', '{allow, {\'and\',[{username,"u1"},{clientid,"c2"}]}, all, all}.', 'publish', 'x', 'none'],
    ['one of them', '{allow, {\'or\',[{username,"u1"},{clientid,"c2"}]}, all, all}.', 'publish', 'x', 'allow'],
    ['a subject nobody knows', '{allow, {zone,"x"}, all, all}.', 'publish', 'x', 'none'],
    ['the client’s own id', '{allow, all, all, ["t/%c","t/$' + '{clientid}/x"]}.', 'publish', 't/c1/x', 'allow'],
    ['an exact filter', '{deny, all, subscribe, [{eq,"#"}]}.', 'subscribe', '#', 'deny'],
    ['an exact filter in words', '{deny, all, subscribe, ["eq #"]}.', 'subscribe', 'x', 'none'],
    ['a placeholder without a value', '{allow, all, all, ["t/$' + '{client_attrs.nope}/#"]}.', 'subscribe', 't/x', 'none'],
    ['+ lets # through at its level (emqx.md §2, trap b)', '{allow, all, subscribe, ["t/+"]}.', 'subscribe', 't/#', 'allow'],
  ])('%s', (_name, text, action, topic, expected) => {
    expect(decide(rulesOf(text), someone, { action, topic })?.permission ?? 'none').toBe(expected);
  });
});
