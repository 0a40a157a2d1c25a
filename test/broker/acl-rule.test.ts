import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Access, type AclClient, builtInRule, compileAcl, decide, type Permission } from './acl-rule.ts';

const CLIENT: AclClient = {
  clientid: 'thermo.berlin',
  username: '0123456789abcdef0123456789abcdef',
  cn: 'thermo.berlin',
  dn: 'CN=thermo.berlin,OU=office.berlin,O=hedgerow',
  peerhost: '192.0.2.7',
  zone: 'default',
  attrs: { seg: 'office.berlin' },
};

function ask(text: string, access: Partial<Access>, client: Partial<AclClient> = {}): Permission | undefined {
  const acl = compileAcl(text);
  if (!acl.ok) throw new Error(acl.error);
  return decide(acl.rules, { ...CLIENT, ...client }, { action: 'publish', topic: 't', qos: 1, retain: false, ...access });
}

describe('a rule of the text', () => {
  const SEG = '{client_attr,"seg","office.berlin"}';
  const cases: [string, string, Partial<Access>, Permission | undefined][] = [
    ['allows what it names', '{allow, all, publish, ["t"]}.', {}, 'allow'],
    ['has no opinion on another topic', '{allow, all, publish, ["t"]}.', { topic: 'u' }, undefined],
    ['has no opinion on another action', '{allow, all, publish, ["t"]}.', { action: 'subscribe' }, undefined],
    ['first match wins', '{deny, all, all, ["t"]}.\n{allow, all}.', {}, 'deny'],
    ['matches the attribute literally', `{allow, ${SEG}, publish, ["t"]}.`, {}, 'allow'],
    ['searches with {re, ..} anywhere', '{allow, {client_attr,"seg",{re,"ffice"}}, publish, ["t"]}.', {}, 'allow'],
    ['a dot of {re, ..} is any character', '{allow, {client_attr,"seg",{re,"^officexberlin$"}}, publish, ["t"]}.', {}, undefined],
    ['an attribute that is not there matches nothing', '{allow, {client_attr,"nope",{re,".*"}}, publish, ["t"]}.', {}, undefined],
    [
      'renders placeholders',
      `{allow, all, publish, ["dt/\${client_attrs.seg}/\${cert_common_name}/#"]}.`,
      { topic: 'dt/office.berlin/thermo.berlin/x' },
      'allow',
    ],
    [
      'a missing attribute in a topic never matches',
      `{allow, all, publish, ["dt/\${client_attrs.nope}/#"]}.`,
      { topic: 'dt//x' },
      undefined,
    ],
    ['an unknown placeholder is text', `{allow, all, publish, ["dt/\${device}"]}.`, { topic: `dt/\${device}` }, 'allow'],
    ['{eq, ..} is not rendered', `{allow, all, publish, [{eq,"\${clientid}"}]}.`, { topic: 'thermo.berlin' }, undefined],
    ['`t/+` lets `t/#` through', '{allow, all, subscribe, ["t/+"]}.', { action: 'subscribe', topic: 't/#' }, 'allow'],
    ['`u/+/x` does not let `u/#` through', '{allow, all, subscribe, ["u/+/x"]}.', { action: 'subscribe', topic: 'u/#' }, undefined],
    ['`#` does not reach $-topics', '{deny, all, all, ["#"]}.\n{allow, all}.', { topic: '$SYS/x' }, 'allow'],
    ['{deny, all} does', '{deny, all}.', { topic: '$SYS/x' }, 'deny'],
    ['qos is a limit', '{allow, all, {publish,[{qos,[0,1]}]}, ["t"]}.', { qos: 2 }, undefined],
    ['retain is a limit', '{allow, all, {publish,[{retain,false}]}, ["t"]}.', { retain: true }, undefined],
    ['a misspelt option widens the rule', '{allow, all, {publish,[{retian,false}]}, ["t"]}.', { retain: true }, 'allow'],
    ["'and' needs all", `{allow, {'and',[${SEG},{clientid,"other"}]}, publish, ["t"]}.`, {}, undefined],
    ["'or' needs one", `{allow, {'or',[${SEG},{clientid,"other"}]}, publish, ["t"]}.`, {}, 'allow'],
    ['addresses by network', '{allow, {ipaddr,"192.0.2.0/24"}, publish, ["t"]}.', {}, 'allow'],
  ];
  it.each(cases)('%s', (_name, text, access, expected) => expect(ask(text, access)).toBe(expected));

  it('splices values in as they are: a CN of + widens the rule', () => {
    const text = `{allow, all, all, ["dt/\${cert_common_name}/#"]}.`;
    expect(ask(text, { topic: 'dt/somebody/x' }, { cn: '+' })).toBe('allow');
    expect(ask(text, { topic: 'dt/undefined/x' }, { cn: undefined } as unknown as Partial<AclClient>)).toBe('allow');
  });

  it('a filter of a record that begins with "eq " is literal', () => {
    const rule = builtInRule({ topic: 'eq t/#', permission: 'allow', action: 'all' });
    expect(decide([rule], CLIENT, { action: 'subscribe', topic: 't/#', qos: 1, retain: false })).toBe('allow');
    expect(decide([rule], CLIENT, { action: 'subscribe', topic: 't/a', qos: 1, retain: false })).toBeUndefined();
  });
});

describe('any text', () => {
  const topic = fc.array(fc.constantFrom('a', 'b', '+', '#', '$SYS', ''), { minLength: 1, maxLength: 4 }).map((words) => words.join('/'));
  const rule = (permission: fc.Arbitrary<string>) =>
    fc
      .tuple(
        permission,
        fc.constantFrom('all', '{clientid,"thermo.berlin"}', '{clientid,"x"}'),
        fc.constantFrom('publish', 'subscribe', 'all'),
        fc.array(topic, { maxLength: 3 }),
      )
      .map(([permit, who, action, topics]) => `{${permit}, ${who}, ${action}, [${topics.map((one) => `"${one}"`).join(',')}]}.`);
  const access: fc.Arbitrary<Access> = fc.record({
    action: fc.constantFrom('publish' as const, 'subscribe' as const),
    topic,
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    retain: fc.boolean(),
  });
  const rules = (permission: fc.Arbitrary<string>) => fc.array(rule(permission), { maxLength: 6 }).map((lines) => lines.join('\n'));

  it('without an allow allows nothing', () => {
    fc.assert(
      fc.property(rules(fc.constant('deny')), access, (text, asked) => {
        expect(ask(text, asked)).not.toBe('allow');
      }),
    );
  });

  it('behind {deny, all} says nothing any more', () => {
    fc.assert(
      fc.property(rules(fc.constantFrom('allow', 'deny')), rules(fc.constantFrom('allow', 'deny')), access, (before, after, asked) => {
        expect(ask(`${before}\n{deny, all}.\n${after}`, asked)).toBe(ask(before, asked) ?? 'deny');
      }),
    );
  });

  it('is compiled or refused, never an exception', () => {
    const who = fc.constantFrom(
      'all',
      '{clientid,"x"}',
      "{'and',[all]}",
      '{ipaddr,"nope"}',
      '{ipaddr,"10.0.0.0/33"}',
      '{ipaddr,"10.0.0.0/x"}',
      '{ipaddr,"10.0.0.0/"}',
      '{client_attr,"a",{re,"("}}',
      '1',
      '"x"',
      '{}',
    );
    const any = fc.tuple(who, fc.string(), fc.string()).map(([a, b, c]) => `{allow, ${a}, ${b}, ${c}}.`);
    fc.assert(
      fc.property(fc.oneof(any, fc.string()), (text) => {
        expect(typeof compileAcl(text).ok).toBe('boolean');
      }),
      { numRuns: 500 },
    );
  });
});
