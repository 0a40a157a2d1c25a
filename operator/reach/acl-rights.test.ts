// The verifier's reading of EMQX's rules: beside the broker stand-in, which was written from recordings of a broker, and beside what our own emitters mean.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  builtInRule,
  compileAcl as compileLikeEmqx,
  decide as decideLikeEmqx,
  type AclClient as StandInClient,
} from '../../test/broker/acl-rule.ts';
import { goodRights, SEGMENTS } from '../broker/testing/rights.ts';
import { sentText } from '../broker/testing/sent-text.ts';
import { type AclBroker, readBroker } from './acl-broker.ts';
import { type Access, decide, rightsOf } from './acl-rights.ts';
import type { AclClient } from './acl-who.ts';
import { aclText, brokerOf, CLIENTS, clientOf, NO_RECORDS, recordRules, SETTINGS, subscribedText, topicName } from './testing/acl.ts';
import { levelsOf } from './topic.ts';

type Asked = Omit<Access, 'levels'> & { topic: string };
const asked: fc.Arbitrary<Asked> = fc
  .record({ qos: fc.constantFrom(0, 1, 2), retain: fc.boolean(), name: topicName, filter: subscribedText, publishes: fc.boolean() })
  .map(({ qos, retain, name, filter, publishes }) =>
    publishes ? { action: 'publish', topic: name, qos, retain } : { action: 'subscribe', topic: filter, qos, retain: false },
  );

const answer = (broker: AclBroker, client: AclClient, { topic, ...access }: Asked): string => {
  const rights = rightsOf(client, broker);
  const [may, must] = (['may', 'must'] as const).map((reading) => decide(rights, { ...access, levels: levelsOf(topic) }, reading).allowed);
  return may === must ? (may ? 'allow' : 'deny') : 'unknown';
};

const likeStandIn = ({ clientid, username, commonName, address, attributes }: AclClient): StandInClient => ({
  clientid,
  ...(username === undefined ? {} : { username }),
  ...(commonName === undefined ? {} : { cn: commonName }),
  peerhost: address ?? '',
  zone: 'default',
  attrs: { ...attributes },
});

describe('beside the broker stand-in', () => {
  it('any text that EMQX takes gives the same answers, and nothing of it is not understood', () => {
    fc.assert(
      fc.property(aclText, fc.constantFrom(...CLIENTS), fc.array(asked, { minLength: 5, maxLength: 20 }), (text, client, questions) => {
        const compiled = compileLikeEmqx(text);
        if (!compiled.ok) throw new Error(compiled.error);
        const broker = brokerOf(text);
        expect(broker.unread).toEqual([]);
        for (const one of questions)
          expect([one, answer(broker, client, one)]).toEqual([one, decideLikeEmqx(compiled.rules, likeStandIn(client), one) ?? 'deny']);
      }),
      { numRuns: 1000 },
    );
  });

  it('records of a client, of a user name and of everybody, before and behind the file', () => {
    const client = clientOf('d1.x', 'a.x');
    fc.assert(
      fc.property(
        recordRules,
        recordRules,
        recordRules,
        aclText,
        fc.boolean(),
        fc.array(asked, { minLength: 5, maxLength: 20 }),
        (mine, users, all, text, first, questions) => {
          const database = { type: 'built_in_database', enable: true };
          const file = { type: 'file', enable: true, rules: text };
          const broker = readBroker({
            sources: { sources: first ? [database, file] : [file, database] },
            settings: SETTINGS,
            records: { clients: new Map([['d1.x', mine]]), users: new Map([['u-d1.x', users]]), all },
          });
          const compiled = compileLikeEmqx(text);
          const ofFile = compiled.ok ? compiled.rules : [];
          const ofRecords = [...mine, ...users, ...all].map((rule) => builtInRule({ ...rule, qos: [...rule.qos] }));
          const rules = first ? [...ofRecords, ...ofFile] : [...ofFile, ...ofRecords];
          for (const one of questions)
            expect([one, answer(broker, client, one)]).toEqual([one, decideLikeEmqx(rules, likeStandIn(client), one) ?? 'deny']);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('any other text: an answer is never wrong, though it may be that nobody knows', () => {
    const broken = fc
      .tuple(
        aclText,
        fc.nat(),
        fc.constantFrom('', '"', '{', '}', '.', '%', '\\', '#', 'ä', '\0', '[', ',', "'", '<<', ' x ', '{allow, all}.'),
      )
      .map(([text, at, more]) => text.slice(0, at % (text.length + 1)) + more + text.slice((at % (text.length + 1)) + (at % 2)));
    let known = 0;
    fc.assert(
      fc.property(
        fc.oneof(broken, fc.string({ unit: 'binary' })),
        fc.constantFrom(...CLIENTS),
        fc.array(asked, { minLength: 5, maxLength: 10 }),
        (text, client, questions) => {
          const compiled = compileLikeEmqx(text);
          const broker = brokerOf(text);
          for (const one of questions) {
            const own = answer(broker, client, one);
            if (own === 'unknown' || !compiled.ok) continue;
            known++;
            expect([one, own]).toEqual([one, decideLikeEmqx(compiled.rules, likeStandIn(client), one) ?? 'deny']);
          }
        },
      ),
      { numRuns: 3000 },
    );
    expect(known).toBeGreaterThan(1000);
  });
});

it('what the emitters write reads back to the rights that were meant', () => {
  fc.assert(
    fc.property(
      goodRights,
      fc.constantFrom(...SEGMENTS),
      fc.array(asked, { minLength: 5, maxLength: 20 }),
      (segments, segment, questions) => {
        const text = sentText(segments);
        const broker = brokerOf(text);
        expect(broker.unread).toEqual([]);
        const client = clientOf('t-1.berlin', segment);
        const own = segments.find((one) => one.segment === segment);
        const granted = [
          ...(own?.publish ?? []).map((right) => ['publish', right] as const),
          ...(own?.subscribe ?? []).map((right) => ['subscribe', right] as const),
        ];
        for (const [action, right] of granted) {
          const topic = right.topic
            .replaceAll('{device}', 't-1.berlin')
            .replaceAll('{segment}', segment)
            .replaceAll('+', 'w')
            .replaceAll('#', 'w/w');
          expect(answer(broker, client, { action, topic, qos: 0, retain: false })).toBe('allow');
          if (action === 'publish' && right.retain === false && granted.filter(([one]) => one === 'publish').length === 1)
            expect(answer(broker, client, { action, topic, qos: 0, retain: true })).toBe('deny');
        }
        const compiled = compileLikeEmqx(text);
        for (const one of questions)
          expect(answer(broker, client, one)).toBe(
            (compiled.ok ? decideLikeEmqx(compiled.rules, likeStandIn(client), one) : undefined) ?? 'deny',
          );
      },
    ),
    { numRuns: 300 },
  );
});

describe('what is not understood may allow, and is said', () => {
  const publish: Asked = { action: 'publish', topic: 'x/y', qos: 0, retain: false };
  it.each([
    ['a rule of a newer version', '{deny, {zone, "z"}, all, all}.\n{deny, all}.', 'file, line 1: its subject is not understood'],
    [
      'a pattern that might take long',
      '{allow, {clientid, {re, "(a+)+$"}}, all, all}.\n{deny, all}.',
      'file, line 1: its subject is not understood',
    ],
    [
      'a pattern with more than PCRE and JavaScript share',
      '{allow, {clientid, {re, "(?i)D1"}}, all, all}.\n{deny, all}.',
      'file, line 1: its subject is not understood',
    ],
    [
      'options that may be read in two ways',
      '{allow, all, {publish, [{qos,0},{qos,1}]}, all}.\n{deny, all}.',
      'file, line 1: its action is not understood',
    ],
    ['characters beyond ASCII', '{allow, {clientid, "ä"}, all, all}.\n{deny, all}.', 'file, line 1: it has characters beyond ASCII'],
    ['a topic that is none', '{allow, all, all, "x/y"}.\n{deny, all}.', 'file, line 1: its topics are not understood'],
    [
      'a full stop that is none',
      '{deny, all}.{deny, all}.',
      'file: the text is not understood: a rule that does not end in a full stop in line 1',
    ],
    ['a text that Erlang refuses', '{deny, all}', 'file: the text is not understood: a rule that does not end in a full stop in line 1'],
    ['a text that is not read', '\n#{a => b}.', 'file: the text is not understood: something that is no part of a rule in line 2'],
  ])('%s', (_name, text, why) => {
    const broker = brokerOf(text);
    expect(broker.unread).toEqual([why]);
    expect(answer(broker, clientOf('d1.x'), publish)).toBe('unknown');
  });

  it.each<[string, Partial<Parameters<typeof readBroker>[0]>, string[], string]>([
    ['no list of sources', { sources: { code: 'X' } }, ['sources: there is no list of sources'], 'unknown'],
    [
      'a source that asks elsewhere',
      { sources: { sources: [{ type: 'http', enable: true }] } },
      ['http: what it answers is not known here'],
      'unknown',
    ],
    ['a source that is switched off', { sources: { sources: [{ type: 'http', enable: false }] } }, [], 'deny'],
    ['a text that is switched off', { sources: { sources: [{ type: 'file', enable: false, rules: '{allow, all}.' }] } }, [], 'deny'],
    [
      'a source of which that is not known',
      { sources: { sources: [{ type: 'file', rules: '{deny, all}.' }] } },
      ['file: it is not known whether it is switched on'],
      'unknown',
    ],
    ['a text that was not read', { sources: { sources: [{ type: 'file', enable: true }] } }, ['file: its text was not read'], 'unknown'],
    [
      'records that were not read',
      { sources: { sources: [{ type: 'built_in_database', enable: true }] } },
      ['built_in_database: its records were not read'],
      'unknown',
    ],
    ['settings that were not read', { settings: undefined }, ['settings: no_match is not known'], 'unknown'],
    ['everything that no rule matches', { settings: { no_match: 'allow' } }, [], 'allow'],
    [
      'a record with a field of a newer version',
      {
        sources: { sources: [{ type: 'built_in_database', enable: true }] },
        records: { ...NO_RECORDS, clients: new Map([['d1.x', [{ topic: '#', permission: 'deny', action: 'all', listener: 'x' }]]]) },
      },
      ['record of d1.x: it has a field that is not understood'],
      'unknown',
    ],
  ])('%s', (_name, answers, unread, wanted) => {
    const broker = readBroker({ sources: { sources: [] }, settings: SETTINGS, ...answers });
    expect(broker.unread).toEqual(unread);
    expect(answer(broker, clientOf('d1.x'), publish)).toBe(wanted);
  });

  it('what is not known of a client', () => {
    const broker = brokerOf(`{allow, {ipaddr, "10.0.0.0/8"}, all, ["x/y"]}.\n{allow, all, publish, ["u/$\{username}/z"]}.`);
    const client: AclClient = { clientid: 'd1', attributes: {} };
    expect(answer(broker, client, publish)).toBe('unknown');
    expect(answer(broker, client, { ...publish, topic: 'u/anything/z' })).toBe('unknown');
    expect(answer(broker, client, { ...publish, topic: 'v/anything/z' })).toBe('deny');
  });
});
