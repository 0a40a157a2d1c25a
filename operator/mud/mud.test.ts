import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { segmentPolicyKind } from '../api/segment-policy.ts';
import { specProblems } from '../api/validate.ts';
import { draftOf, MudRefused, type Places, readMud } from './mud.ts';

type Json = Record<string, unknown>;
const CLOUD = { 'destination-ipv4-network': '192.0.2.0/24' };
const https = (rest: Json = {}): Json => ({
  'ietf-mud:direction-initiated': 'from-device',
  'destination-port': { operator: 'eq', port: 443 },
  ...rest,
});
const ace = (matches: Json, forwarding = 'accept', name = 'e0'): Json => ({ name, matches, actions: { forwarding } });
const FROM = [ace({ ipv4: { ...CLOUD, protocol: 6 }, tcp: https() })];

function file(from: unknown[] = FROM, to: unknown[] = [], mud: Json = {}): string {
  const policy = (name: string): Json => ({ 'access-lists': { 'access-list': [{ name }] } });
  return JSON.stringify({
    'ietf-mud:mud': {
      'mud-version': 1,
      'mud-url': 'https://things.example.com/lamp2000.json',
      'last-update': '2026-10-01T00:00:00+00:00',
      systeminfo: 'Example Lamp',
      'model-name': 'Lamp 2000',
      'from-device-policy': policy('fr'),
      'to-device-policy': policy('to'),
      ...mud,
    },
    'ietf-access-control-list:acls': {
      acl: [
        { name: 'fr', type: 'ipv4-acl-type', aces: { ace: from } },
        { name: 'to', type: 'ipv4-acl-type', aces: { ace: to } },
      ],
    },
  });
}
const drafted = (text: string, places: Places = new Map()) => draftOf(readMud(text), places);
const GATEWAY: Places = new Map([['my-controller', { segment: 'gateways', namespace: 'hq' }]]);

describe('a MUD file', () => {
  it('becomes conduits with the ports that the maker names', () => {
    const { name, spec, leftOut } = drafted(file());
    expect({ name, leftOut }).toEqual({ name: 'lamp-2000', leftOut: [] });
    expect(spec).toEqual({
      function: 'example-lamp',
      trust: 1,
      conduits: [
        {
          name: 'to-192-0-2-0-24',
          to: { cidr: '192.0.2.0/24' },
          ports: [{ protocol: 'TCP', port: 443 }],
          justification: 'MUD file of the maker: fr/e0',
        },
      ],
    });
  });

  it('says nothing twice: the entry that mirrors a connection is its reply', () => {
    const mirrored = ace({
      ipv4: { 'source-ipv4-network': '192.0.2.0/24' },
      tcp: { 'ietf-mud:direction-initiated': 'from-device', 'source-port': { operator: 'eq', port: 443 } },
    });
    expect(drafted(file(FROM, [mirrored]))).toEqual(drafted(file()));
  });

  it('lets in what it says opens connections to the device', () => {
    const inbound = ace({
      'ietf-mud:mud': { 'my-controller': [null] },
      tcp: { 'ietf-mud:direction-initiated': 'to-device', 'destination-port': { operator: 'eq', port: 80 } },
    });
    expect(drafted(file([], [inbound]), GATEWAY).spec).toMatchObject({
      acceptFrom: [{ namespace: 'hq', segment: 'gateways', ports: [{ protocol: 'TCP', port: 80 }] }],
    });
  });

  it('of one peer makes one conduit, and no host bits', () => {
    const udp = ace({
      ipv4: { 'destination-ipv4-network': '192.0.2.77/24' },
      udp: { 'destination-port': { 'lower-port': 123, 'upper-port': 124 } },
    });
    expect(drafted(file([...FROM, udp])).spec.conduits).toMatchObject([
      {
        to: { cidr: '192.0.2.0/24' },
        ports: [
          { protocol: 'TCP', port: 443 },
          { protocol: 'UDP', port: 123 },
          { protocol: 'UDP', port: 124 },
        ],
      },
    ]);
  });

  it.each<[string, Json, RegExp]>([
    ['a DNS name', { ipv4: { 'ietf-acldns:dst-dnsname': 'things.example.com' }, tcp: https() }, /--map 'dns=things\.example\.com=/],
    [
      'a controller of the maker',
      { 'ietf-mud:mud': { controller: 'https://things.example.com/hub' }, tcp: https() },
      /--map 'controller=https:\/\/things\.example\.com\/hub=/,
    ],
    ['the same manufacturer', { 'ietf-mud:mud': { 'same-manufacturer': [null] }, tcp: https() }, /same-manufacturer/],
    ['everybody', { tcp: https() }, /names no peer/],
    ['all addresses', { ipv4: { 'destination-ipv4-network': '0.0.0.0/0' }, tcp: https() }, /names no peer/],
    ['every port', { ipv4: CLOUD, tcp: { 'ietf-mud:direction-initiated': 'from-device' } }, /no destination port/],
    ['many ports', { ipv4: CLOUD, tcp: https({ 'destination-port': { operator: 'gte', port: 1024 } }) }, /64512 ports/],
    ['ports but not', { ipv4: CLOUD, tcp: https({ 'destination-port': { operator: 'neq', port: 22 } }) }, /"neq"/],
    ['another protocol', { ipv4: { ...CLOUD, protocol: 47 } }, /protocol "47"/],
    ['ICMP', { ipv4: CLOUD, icmp: {} }, /"icmp"/],
    ['TCP flags', { ipv4: CLOUD, tcp: https({ flags: 'syn' }) }, /"flags"/],
    ['an Ethernet address', { eth: { 'source-mac-address': '00:00:5e:00:53:01' }, tcp: https() }, /"eth"/],
    ['a network that is none', { ipv4: { 'destination-ipv4-network': '192.0.2.0' }, tcp: https() }, /no network/],
    ['a field that nobody knows', { ipv4: { ...CLOUD, dscp: 1 }, tcp: https() }, /"dscp"|no text/],
  ])('with an entry for %s leaves it out and says so', (_name, matches, expected) => {
    const { spec, leftOut } = drafted(file([ace(matches)]));
    expect(leftOut).toEqual([expect.stringMatching(expected)]);
    expect([spec.conduits, spec.acceptFrom]).toEqual([undefined, undefined]);
  });

  it('whose entries follow one that drops leaves them out: they may be narrower than they look', () => {
    const { spec, leftOut } = drafted(file([ace({ ipv4: { 'destination-ipv4-network': '192.0.2.7/32' } }, 'drop', 'no'), ...FROM]));
    expect([spec.conduits, leftOut]).toEqual([undefined, [expect.stringMatching(/follows an entry that drops/)]]);
  });

  it.each<[string, string, RegExp]>([
    ['that is no JSON', '{', /not JSON/],
    ['without a MUD container', '{}', /ietf-mud:mud/],
    ['of another version', file(FROM, [], { 'mud-version': 2 }), /mud-version/],
    ['with an http URL', file(FROM, [], { 'mud-url': 'http://things.example.com/' }), /https/],
    ['with a password in its URL', file(FROM, [], { 'mud-url': 'https://a:b@things.example.com/' }), /password/],
    [
      'that names a list it does not have',
      file(FROM, [], { 'from-device-policy': { 'access-lists': { 'access-list': [{ name: 'gone' }] } } }),
      /"gone"/,
    ],
    ['with an action that is none', file([ace({}, 'permit')]), /forwarding/],
    ['with a name that a terminal would obey', file([ace({}, 'accept', '\u001b[2J')]), /name of entry 1/],
    ['that is very large', file(FROM, [], { documentation: 'x'.repeat(1024 * 1024) }), /more than 1024 KiB/],
    ['with very many entries', file(Array.from({ length: 1001 }, () => FROM[0])), /more than 1000 entries/],
  ])('%s is refused', (_name, text, expected) => {
    expect(() => readMud(text)).toThrow(MudRefused);
    expect(() => readMud(text)).toThrow(expected);
  });

  it('whatever it holds, is refused or makes a draft that fits the schema and names nobody unasked', () => {
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.constantFrom('../evil', '', '192.0.2.0/24', 'accept', null, [], {}));
    const keys = fc.constantFrom(
      'ipv4',
      'tcp',
      'udp',
      'ietf-mud:mud',
      'destination-ipv4-network',
      'destination-port',
      'port',
      'operator',
      'my-controller',
      'protocol',
      '__proto__',
    );
    const tree = fc.letrec((tie) => ({
      node: fc.oneof({ depthSize: 'small' }, leaf, fc.dictionary(keys, tie('node'), { maxKeys: 4 })),
    })).node;
    const entry = fc.record({
      name: fc.constantFrom('a', 'b'),
      matches: tree,
      actions: fc.constantFrom({ forwarding: 'accept' }, { forwarding: 'drop' }),
    });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(tree, entry), { maxLength: 4 }),
        fc.array(entry, { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('mfg-name', 'model-name', 'systeminfo'), leaf),
        (from, to, mud) => {
          try {
            const { name, spec } = drafted(file(from, to, mud as Json), GATEWAY);
            expect(name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
            expect(specProblems(segmentPolicyKind, structuredClone(spec))).toEqual([]);
            for (const { to: target } of spec.conduits ?? [])
              expect([target.cidr, target.segment]).toContain(target.cidr === undefined ? 'gateways' : '192.0.2.0/24');
          } catch (error) {
            expect(error).toBeInstanceOf(MudRefused);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
