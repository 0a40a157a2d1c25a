// can and explain by the broker's own rules: of a text in a file, and of an EMQX that is asked over HTTP. Our own text, rules of others, and such as nobody understands.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { sentText } from '../broker/testing/sent-text.ts';
import { rightsOfListed } from '../segments/segments.ts';
import { can } from './can.ts';
import type { Command } from './command.ts';
import { explainTopic } from './explain-topic.ts';
import { typed } from './testing/heard.ts';

const MAIN = resolve(import.meta.dirname, '../../examples/gitops/main');
const objectsIn = (file: string) => parseAllDocuments(readFileSync(join(MAIN, `${file}.yaml`), 'utf8')).map((one) => one.toJS());
/** What the operator would write for examples/gitops/main. */
const OWN = sentText(rightsOfListed(['sensors', 'gateways', 'cameras', 'paris'].flatMap(objectsIn), objectsIn('namespaces'), 0));
const HEARS_ALL = '{allow, {clientid, "collector.paris"}, subscribe, ["dt/+"]}.';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-rules-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');

function byText(command: Command, line: string, text: string) {
  const file = join(dir, 'acl.conf');
  writeFileSync(file, text);
  return typed(command, ...command.words, ...words(line), '--dir', MAIN, '--acl', file);
}

const TEXT_ALONE = 'note: of the broker only this text was asked: rules of single clients, bans and no_match are not in it\n';
const PUBLISHES = `{allow, {client_attr,"seg",{re,"^(?:sensors[.]berlin)$"}}, {publish,[{qos,[0,1]},{retain,false}]}, ["dt/$\{client_attrs.seg}/$\{cert_common_name}/#"]}`;

describe('can, by a text of rules', () => {
  it('our own text says what the policies say, and by which of its lines', async () => {
    expect(await byText(can, 'berlin/thermo-1 berlin/gate-1 --topic dt/#', OWN)).toEqual({
      code: 0,
      err: '',
      out: `yes: Device berlin/thermo-1 -> Device berlin/gate-1 by topic dt/#
broker: yes, by the broker's own rules
  1. EMQX, file, line 6, publish dt/sensors.berlin/thermo-1.berlin/#: ${PUBLISHES}
  2. EMQX, file, line 8, subscribe dt/sensors.berlin/#: {allow, {client_attr,"seg",{re,"^(?:gateways[.]berlin)$"}}, {subscribe,[{qos,[0,1]}]}, ["dt/sensors.berlin/#"]}
${TEXT_ALONE}`,
    });
  });

  it('says no by the rule that decides', async () => {
    const { code, out, err } = await byText(can, 'berlin/thermo-1 paris/collector --topic dt/sensors.berlin/thermo-1.berlin/x', OWN);
    expect(out).toBe(`no: Device berlin/thermo-1 -> Device paris/collector by topic dt/sensors.berlin/thermo-1.berlin/x
broker: no, by the broker's own rules
  missing: no rules of the broker let Device berlin/thermo-1 publish what Device paris/collector may subscribe to within dt/sensors.berlin/thermo-1.berlin/x
  missing: Device paris/collector may not subscribe dt/sensors.berlin/thermo-1.berlin/x: EMQX, file, line 9: {deny, all}
${TEXT_ALONE}`);
    expect([code, err]).toEqual([1, '']);
  });

  it('a rule of others that widens: what EMQX adds to it, and that the policies say no', async () => {
    const { code, out, err } = await byText(can, 'berlin/thermo-1 paris/collector --topic dt/#', `${HEARS_ALL}\n${OWN}`);
    expect(out).toBe(`yes: Device berlin/thermo-1 -> Device paris/collector by topic dt/#
broker: yes, by the broker's own rules
  1. EMQX, file, line 7, publish dt/sensors.berlin/thermo-1.berlin/#: ${PUBLISHES}
  2. EMQX, file, line 1, subscribe dt/#: {allow, {clientid, "collector.paris"}, subscribe, ["dt/+"]}
  note: EMQX takes # in the place of a last + of a right to subscribe: only so it receives dt/sensors.berlin/thermo-1.berlin/# by dt/#
  drift: SegmentPolicies say no
    missing: spec.topics.publish of SegmentPolicy berlin/sensors does not name dt/#
    missing: Device paris/collector may not subscribe all of dt/#
${TEXT_ALONE}`);
    expect([code, err]).toEqual([0, '']);
  });

  it('a text without our rules: the policies say yes, and why', async () => {
    const { code, out } = await byText(can, 'berlin/thermo-1 berlin/gate-1 --topic dt/#', '{deny, all}.');
    expect(out).toContain(
      '  drift: SegmentPolicies say yes\n    1. SegmentPolicy berlin/sensors (sensors.yaml), spec.topics.publish[0].topic',
    );
    expect(code).toBe(1);
  });

  it('a rule that is not understood is no proof that nothing gets through', async () => {
    const text = `{allow, {zone, "z"}, subscribe, ["dt/#"]}.\n${OWN}`;
    const { code, out, err } = await byText(can, 'berlin/thermo-1 paris/collector --topic dt/#', text);
    expect(out).toBe(`not known: Device berlin/thermo-1 -> Device paris/collector by topic dt/#
broker: not known, by the broker's own rules
  may be allowed by
    1. EMQX, file, line 1, publish dt/#: {allow, {zone, "z"}, subscribe, ["dt/#"]}
    2. EMQX, file, line 1, subscribe #: {allow, {zone, "z"}, subscribe, ["dt/#"]}
${TEXT_ALONE}`);
    expect(err).toMatch(/^kubectl hedgerow: HR-CLI-067: file, line 1: its subject is not understood\. Cure: [^\n]*\n$/);
    expect(code).toBe(2);
  });

  it.each(['', '{allow', '{allow, all', 'ä', '%%'])('of the text %j nothing is known', async (text) => {
    expect((await byText(can, 'berlin/thermo-1 paris/collector --topic dt/#', text)).code).toBe(2);
  });

  it('a segment is its devices, and without any what a new one would get', async () => {
    expect((await byText(can, 'segment/berlin/sensors segment/berlin/gateways --topic dt/#', OWN)).code).toBe(0);
    for (const one of ['thermo-1', 'thermo-2'])
      expect((await byText(can, `segment/berlin/sensors berlin/gate-1 --topic dt/sensors.berlin/${one}.berlin/x`, OWN)).code).toBe(0);
    expect((await byText(can, 'segment/berlin/gateways segment/berlin/sensors --topic dt/#', OWN)).code).toBe(1);
    expect((await byText(can, 'segment/berlin/sensors segment/berlin/sensors --topic dt/#', OWN)).code).toBe(1);
  });

  it('addresses are no clients of the broker', async () => {
    const { out } = await byText(can, 'cidr:192.0.2.1 berlin/gate-1 --topic dt/#', '{allow, all}.');
    expect(out).toContain('missing: address 192.0.2.1 is no Device and no segment: it is no client of the broker\n');
  });
});

describe('explain, by a text of rules', () => {
  it('names the rule that decides, with its line', async () => {
    const allowed = await byText(explainTopic, 'berlin/thermo-1 publish dt/sensors.berlin/thermo-1.berlin/x', OWN);
    expect(allowed).toEqual({
      code: 0,
      err: '',
      out: `allowed by the broker's own rules: Device berlin/thermo-1 publish dt/sensors.berlin/thermo-1.berlin/x
  1. EMQX, file, line 6: ${PUBLISHES}
  note: only with QoS 0, QoS 1
  ${TEXT_ALONE}`,
    });
    const denied = await byText(explainTopic, 'paris/collector subscribe dt/#', OWN);
    expect(denied.out).toContain('  missing: Device paris/collector is refused by EMQX, file, line 9: {deny, all}\n');
    expect(denied.code).toBe(1);
  });

  it('a wildcard that only EMQX lets through, and the policies that do not', async () => {
    const { code, out } = await byText(explainTopic, 'paris/collector subscribe dt/#', `${HEARS_ALL}\n${OWN}`);
    expect(out).toContain('  1. EMQX, file, line 1: {allow, {clientid, "collector.paris"}, subscribe, ["dt/+"]}\n');
    expect(out).toContain('  note: EMQX takes # in the place of a last + of a right to subscribe: its rule names less\n');
    expect(out).toContain('  drift: SegmentPolicies say no\n    missing: ');
    expect(code).toBe(0);
  });

  it('a member of a shared subscription needs the right to its filter, and a filter that EMQX does not take is denied', async () => {
    expect((await byText(explainTopic, 'berlin/gate-1 subscribe $share/g/dt/sensors.berlin/#', OWN)).code).toBe(0);
    expect((await byText(explainTopic, 'berlin/gate-1 subscribe $share/g', '{allow, all}.')).code).toBe(1);
  });

  it('says the same for scripts', async () => {
    const { out } = await byText(explainTopic, 'paris/collector subscribe dt/# -o json', OWN);
    expect(JSON.parse(out)).toMatchObject({ allowed: false, unsure: false, by: 'Broker', complete: true });
  });
});

/** EMQX's REST API as far as it is read, over HTTP. */
describe('by an EMQX that is asked', () => {
  const API = '/api/v5';
  const RULES = `${API}/authorization/sources/built_in_database/rules`;
  const page = (data: readonly object[]) => ({ data, meta: { count: data.length } });
  const THERMO = { clientid: 'thermo-1.berlin', username: 'm1', connected: true, client_attrs: { seg: 'sensors.berlin' } };
  let server: Server;
  let url: string;
  let bodies: Record<string, object>;

  beforeEach(async () => {
    bodies = {
      [`${API}/authorization/sources`]: {
        sources: [
          { type: 'built_in_database', enable: true },
          { type: 'file', enable: true, rules: OWN },
        ],
      },
      [`${API}/authorization/settings`]: { no_match: 'deny', deny_action: 'ignore' },
      [`${RULES}/clients`]: page([]),
      [`${RULES}/users`]: page([]),
      [`${RULES}/all`]: { rules: [] },
      [`${API}/clients`]: page([THERMO]),
      [`${API}/banned`]: page([]),
    };
    server = createServer((request, response) => {
      const body = bodies[new URL(request.url ?? '', 'http://localhost').pathname];
      response.statusCode = body === undefined ? 404 : 200;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(body ?? { code: 'NOT_FOUND', message: 'Not Found' }));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    writeFileSync(join(dir, 'key'), 'viewer:secret\n');
  });
  afterEach(() => server.close());

  const byBroker = (command: Command, line: string) =>
    typed(command, ...command.words, ...words(line), '--dir', MAIN, '--broker-url', url, '--broker-api-key-file', join(dir, 'key'));
  const HEARS = 'paris/collector subscribe dt/sensors.berlin/#';

  it('its text answers, and nothing is left unsaid', async () => {
    const { code, out, err } = await byBroker(can, 'berlin/thermo-1 berlin/gate-1 --topic dt/#');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain("broker: yes, by the broker's own rules\n");
    expect(out).not.toMatch(/note|drift/);
  });

  it('a rule of a single client counts', async () => {
    expect((await byBroker(explainTopic, HEARS)).code).toBe(1);
    const rules = [{ topic: 'dt/#', permission: 'allow', action: 'subscribe', qos: [0, 1, 2] }];
    bodies[`${RULES}/clients`] = page([{ clientid: 'collector.paris', rules }]);
    const { code, out } = await byBroker(explainTopic, HEARS);
    expect(out).toContain('  1. EMQX, record of collector.paris: {"topic":"dt/#","permission":"allow"');
    expect(out).toContain('  drift: SegmentPolicies say no\n');
    expect(code).toBe(0);
  });

  it.each([
    { as: 'clientid', who: 'thermo-1.berlin' },
    { as: 'username', who: 'm1' },
  ])('a device that is banned by $as reaches nobody, until the ban is over', async (ban) => {
    const question = 'berlin/thermo-1 berlin/gate-1 --topic dt/#';
    const held = { ...ban, by: 'x', reason: 'revoked', at: '2026-01-01T00:00:00+00:00' };
    bodies[`${API}/banned`] = page([{ ...held, until: 'infinity' }]);
    const { code, out } = await byBroker(can, question);
    expect(out).toContain(`missing: thermo-1.berlin is banned at the broker, by ${ban.as}, until infinity: revoked\n`);
    expect(out).toContain('  drift: SegmentPolicies say yes\n');
    expect(code).toBe(1);
    bodies[`${API}/banned`] = page([{ ...held, until: '2026-01-02T00:00:00+00:00' }]);
    expect((await byBroker(can, question)).code).toBe(0);
  });

  it('the segment that it is connected with counts, not the one of its manifest', async () => {
    bodies[`${API}/clients`] = page([{ ...THERMO, client_attrs: { seg: 'cameras.berlin' } }]);
    const { code, out } = await byBroker(can, 'berlin/thermo-1 berlin/gate-1 --topic dt/#');
    expect(out).toContain('note: at the broker thermo-1.berlin is in cameras.berlin, by its manifest in sensors.berlin\n');
    expect(code).toBe(1);
  });

  it('a source that asks another server may allow everything: not known', async () => {
    bodies[`${API}/authorization/sources`] = { sources: [{ type: 'http', enable: true, url: 'http://192.0.2.1/' }] };
    const { code, out, err } = await byBroker(explainTopic, HEARS);
    expect(out).toMatch(/^not known by the broker's own rules: /);
    expect(err).toMatch(/HR-CLI-067: http: what it answers is not known here/);
    expect(code).toBe(2);
  });

  it.each(['clients', 'users', 'all'])('records of %s that are not given are no "no"', async (list) => {
    delete bodies[`${RULES}/${list}`];
    expect((await byBroker(explainTopic, HEARS)).code).toBe(2);
  });

  it('the key is in nothing that is printed', async () => {
    const { out, err } = await byBroker(can, 'berlin/thermo-1 berlin/gate-1 -o json');
    expect(`${out}${err}`).not.toContain('secret');
  });
});

it.each([
  ['a file that is not there', ['--acl', '/nowhere/acl.conf'], /HR-CLI-004/],
  [
    'a file and a broker',
    ['--acl', 'x', '--broker-url', 'https://emqx:18083', '--broker-api-key-file', '/dev/null'],
    /leave out --broker-url/,
  ],
  ['a broker without its key', ['--broker-url', 'https://emqx:18083'], /--broker-api-key-file is required/],
])('refuses %s', async (_name, flags, expected) => {
  const { code, out, err } = await typed(can, 'can', 'berlin/thermo-1', 'berlin/gate-1', '--dir', MAIN, ...flags);
  expect([code, out]).toEqual([2, '']);
  expect(err).toMatch(expected);
});
