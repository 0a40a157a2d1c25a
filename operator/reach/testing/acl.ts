// Random rules of EMQX, as text and as records: few words, so that rules meet; clients that they tell apart.
import fc from 'fast-check';
import { type AclBroker, readBroker } from '../acl-broker.ts';
import type { AclClient } from '../acl-who.ts';

export const SETTINGS = { no_match: 'deny', deny_action: 'ignore' };
export const NO_RECORDS = { clients: new Map<string, unknown>(), users: new Map<string, unknown>(), all: [] };

export const brokerOf = (text: string, settings: unknown = SETTINGS): AclBroker =>
  readBroker({ sources: { sources: [{ type: 'file', enable: true, rules: text }] }, settings });

export const clientOf = (clientid: string, seg?: string): AclClient => ({
  clientid,
  commonName: clientid,
  username: `u-${clientid}`,
  address: '10.0.0.1',
  attributes: seg === undefined ? {} : { seg },
});

export const CLIENTS = [clientOf('d1.x', 'a.x'), clientOf('d2.x', 'a.x'), clientOf('d3.x', 'b.x'), clientOf('b')];

const level = fc.constantFrom('a', 'b', '+', '+', `$\{clientid}`, `$\{client_attrs.seg}`, `$\{cert_common_name}`, 'd1.x');
export const filterText: fc.Arbitrary<string> = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.constantFrom('', '', '/#'))
  .map(([levels, end]) => `${levels.join('/')}${end}`);
const anyFilter = fc.oneof({ weight: 9, arbitrary: filterText }, fc.constantFrom('#', '$SYS/#', '$SYS/a', 'a/#/b', 'a+', `$\{nope}/a`, ''));

const topic = anyFilter.chain((filter) => fc.constantFrom(`"${filter}"`, `"${filter}"`, `<<"${filter}">>`, `{eq, "${filter}"}`));
const simpleWho = fc.constantFrom(
  'all',
  '{clientid, "d1.x"}',
  '{client, {re, "^d[12][.]x$"}}',
  '{username, "u-d1.x"}',
  '{user, {re, "d3"}}',
  '{client_attr,"seg",{re,"^(?:a[.]x|c[.]x)$"}}',
  '{client_attr,"seg","b.x"}',
  '{client_attr,"none","b.x"}',
  '{ipaddr, "10.0.0.0/8"}',
  '{ipaddrs, ["192.0.2.1", "::1"]}',
);
const who = fc.oneof(
  { weight: 4, arbitrary: simpleWho },
  fc
    .tuple(fc.constantFrom("'and'", "'or'"), fc.array(simpleWho, { maxLength: 2 }))
    .map(([word, parts]) => `{${word}, [${parts.join(', ')}]}`),
);
const action = fc.constantFrom(
  'all',
  'publish',
  'subscribe',
  '{publish, [{qos, [0,1]}, {retain, false}]}',
  '{publish, [{retain, true}]}',
  '{publish, [{retian, false}]}',
  '{subscribe, [{qos, 1}]}',
  '{all, [{retain, all}, {qos, [2]}]}',
);
const permission = fc.constantFrom('allow', 'allow', 'deny');
const topics = fc.oneof(
  { weight: 6, arbitrary: fc.array(topic, { maxLength: 3 }).map((list) => `[${list.join(', ')}]`) },
  fc.constant('all'),
);
const rule = fc.tuple(permission, who, action, topics).map((parts) => `{${parts.join(', ')}}.`);

/** Rules that EMQX takes. */
export const aclText: fc.Arbitrary<string> = fc
  .tuple(fc.array(rule, { maxLength: 6 }), fc.constantFrom('', '{deny, all}.', '{allow, all}. % the end'))
  .map(([rules, end]) => `%% rules\n${[...rules, end].join('\n')}`);

export const recordRules = fc.array(
  fc.record({
    topic: fc.oneof(
      anyFilter,
      filterText.map((one) => `eq ${one}`),
    ),
    permission,
    action: fc.constantFrom<'publish' | 'subscribe' | 'all'>('publish', 'subscribe', 'all'),
    qos: fc.constantFrom([0, 1, 2], [0], [1, 2]),
    retain: fc.constantFrom<'all' | boolean>('all', true, false),
  }),
  { maxLength: 4 },
);

/** Names and filters, also such as no rule knows. */
export const topicName = fc
  .array(fc.constantFrom('a', 'b', 'd1.x', 'd2.x', 'a.x', 'b.x', 'zz', '', '$SYS'), { minLength: 1, maxLength: 4 })
  .map((words) => words.join('/'))
  .filter((text) => text !== '');
export const subscribedText = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '+', 'd1.x', 'a.x', '$SYS'), { minLength: 1, maxLength: 3 }), fc.constantFrom('', '/#'))
  .map(([words, end]) => `${words.join('/')}${end}`);
