/** Recorded exchanges that the stand-in does not answer alike, each with its reason. The replay fails when one of them is no longer needed. */

import type { Version } from './recording.ts';

/** Without a version: of both. */
export type Exception = { version?: Version; file: string; entry: RegExp; reason: string };

export const EXCEPTIONS: readonly Exception[] = [
  {
    file: 'authz-http',
    entry: /source http|^status$/,
    reason: 'the stand-in has no HTTP authorizer: Hedgerow never uses one, and it would make every check wait for a third party',
  },
  {
    file: 'banned',
    entry: /^GET (like_clientid|paging, unfiltered|page past the end)$/,
    reason:
      'one page of a hash table: which rows fall on it depends on its order; and the recorded count is 13 where 14 bans had been written, which nobody could explain',
  },
  {
    file: 'events',
    entry: /^DELETE connector that has an action$/,
    reason: 'status and code are the same; the message spells out the action as an Erlang term',
  },
  ...(
    [
      ['api-auth', /^(login ok|list keys)/, 'another edition; keys have roles and scopes'],
      ['api-key-bootstrap', /^DELETE key/, 'lines with roles are good lines there, so other keys exist'],
      ['authz-rules', /^PUT unknown field in rule$/, 'a rule has more fields, which the refusal names'],
      ['authz-settings', /^PUT without no_match$/, '5.10.4 takes it, and sets no_match to allow; a 5.8.9 does not'],
      ['authz-settings', /^node_cache/, 'a path that 5.8.9 does not have'],
      ['authz-sources', /^(PUT file, (parses as term|bad regex)|POST existing type)/, 'the same refusal in other words'],
      ['banned', /^POST until in the past$/, 'the same refusal in other words'],
      ['configs', /^GET unknown key$/, 'the same refusal in other words'],
      ['configs-listeners', /^PUT (\/listeners|with)/, 'listeners have other rate limits and TLS options'],
      ['configs-listeners', /^client with/, 'artefact of the recording: the listener had moved to another port (about.json)'],
      ['events', /^(POST|GET) (connector|action)|bad SQL/, 'more resource options; the same refusal in another order of words'],
      ['listeners', /^(list|one|PUT (partial|without bind|back))/, 'listeners have other rate limits and TLS options'],
      [
        'status-nodes',
        /^(status json|nodes|one node|cluster|stats|metrics|audit)/,
        'another edition, with other names, gauges and an audit log',
      ],
    ] satisfies [string, RegExp, string][]
  ).map(([file, entry, reason]): Exception => ({ version: '5.10.4', file, entry, reason })),
];
