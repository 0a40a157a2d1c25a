// The text with one rule for all segments that are alike grants what a text with rules of each segment grants: read by the stand-in's reader of EMQX's text.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Access, type AclClient, decide, type Rule, compileAcl as readText } from '../../test/broker/acl-rule.ts';
import { rightsOfAll, servicePolicies } from '../segments/testing/service-fleet.ts';
import { compileAcl, RULE_BUDGET } from './acl-compile.ts';
import { printBlock } from './acl-text.ts';
import { BASE_PUBLISH, BASE_SUBSCRIBE } from './base-rights.ts';
import type { SegmentRights } from './broker.ts';
import { plainText } from './testing/plain-text.ts';
import { goodRights } from './testing/rights.ts';

function grouped(segments: readonly SegmentRights[]): string {
  const { rules, excluded } = compileAcl({ segments, refused: new Map(), age: () => 0, mode: 'owned' });
  expect([...excluded]).toEqual([]);
  return printBlock(rules, 'owned');
}

function rulesOf(text: string): Rule[] {
  const read = readText(text);
  if (!read.ok) throw new Error(read.error);
  return read.rules;
}

type Device = { name: string; segment: string; client: AclClient };
const deviceOf = (segment: string): Device => {
  const name = `device-of-${segment}`;
  return { name, segment, client: { clientid: name, cn: name, peerhost: '192.0.2.7', zone: 'default', attrs: { seg: segment } } };
};

const QOS = [0, 1, 2] as const;

/** Whatever anybody's rights say, said of this segment and this device: as it stands, with words for the wildcards, and a level more. */
function attempts(topics: readonly string[], segment: string, device: string): Access[] {
  const filters = topics.map((topic) => topic.replaceAll('{segment}', segment).replaceAll('{device}', device));
  const words = new Set(filters.map((filter) => filter.replaceAll('#', 'a/b').replaceAll('+', 'temperature')));
  return [
    ...[...words].flatMap((topic): Access[] =>
      QOS.flatMap((qos) => [true, false].map((retain) => ({ action: 'publish', topic, qos, retain }))),
    ),
    ...[...new Set([...words, ...filters])].flatMap((topic): Access[] =>
      QOS.map((qos) => ({ action: 'subscribe', topic, qos, retain: false })),
    ),
  ];
}

const ENOUGH = 5;
type Readers = readonly [grouped: Rule[], plain: Rule[]];

/** Every device against every segment, with the name of the other device, its own and a wildcard: how often it was let, and where the two texts differ. */
function compare(segments: readonly SegmentRights[], readers: Readers) {
  const rights = [...segments.flatMap(({ publish, subscribe }) => [...publish, ...subscribe]), ...BASE_PUBLISH, ...BASE_SUBSCRIBE];
  const topics = [...new Set(rights.map(({ topic }) => topic))];
  const [general, literal] = [topics.filter((topic) => topic.includes('{')), topics.filter((topic) => !topic.includes('{'))];
  const devices = segments.map(({ segment }) => deviceOf(segment));
  const count = { allow: 0, deny: 0 };
  const different: string[] = [];
  for (const actor of devices) {
    const [ours, theirs] = readers.map((rules) => rules.filter(({ who }) => who(actor.client))) as [Rule[], Rule[]];
    const others = devices.flatMap(({ segment, name }) => [name, actor.name, '+'].flatMap((device) => attempts(general, segment, device)));
    for (const access of [...others, ...attempts(literal, '', '')]) {
      const [here, there] = [decide(ours, actor.client, access), decide(theirs, actor.client, access)];
      count[here ?? 'deny']++;
      if (here === there) continue;
      different.push(`${actor.name} ${JSON.stringify(access)}: grouped ${here}, plain ${there}`);
      if (different.length === ENOUGH) return { count, different };
    }
  }
  return { count, different };
}

describe('rules for all segments that are alike, and rules of each segment', { timeout: 60_000 }, () => {
  const segments = rightsOfAll(servicePolicies(22));
  const texts = { grouped: grouped(segments), plain: plainText(segments).text };

  it('grant the same to every device of a fleet, for the topics of every segment', () => {
    const { count, different } = compare(segments, [rulesOf(texts.grouped), rulesOf(texts.plain)]);
    expect(different).toEqual([]);
    // Both answers were given often: nobody was just denied everything.
    expect(Math.min(count.allow, count.deny)).toBeGreaterThan(2_000);
  });

  it.each([
    ['a segment more in one rule', (text: string) => text.replace('(?:doors-', '(?:meters-4[.]berlin|doors-')],
    ['a segment less', (text: string) => text.replace(/[|]sensors-\d+\[[.]\]berlin/, '')],
    [
      'a service that reads a segment more',
      (text: string) => text.replace('"dt/doors-10.oslo/+/temperature"', '"dt/doors-9.paris/+/temperature"'),
    ],
    ['a topic of everybody in place of the own', (text: string) => text.replace('cmd/$' + '{client_attrs.seg}', 'cmd/+')],
    ['a QoS more', (text: string) => text.replaceAll('{qos,[0]}', '{qos,[0,1]}')],
  ])('%s would be seen', (_name, change) => {
    const changed = change(texts.grouped);
    expect(changed).not.toBe(texts.grouped);
    const { different } = compare(segments, [rulesOf(changed), rulesOf(texts.plain)]);
    expect(different).not.toEqual([]);
  });

  it('grant the same for any rights', () => {
    fc.assert(
      fc.property(goodRights, (rights) => {
        const readers = [rulesOf(grouped(rights)), rulesOf(plainText(rights).text)] as const;
        expect(compare(rights, readers).different).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('2,000 segments of five shapes with two services that read half of them are far from the budget', () => {
    const many = rightsOfAll(servicePolicies(2_000));
    const { rules, excluded } = compileAcl({ segments: many, refused: new Map(), age: () => 0, mode: 'owned' });
    expect(excluded.size).toBe(0);
    expect(rules.length).toBeLessThanOrEqual(RULE_BUDGET);
  });
});
