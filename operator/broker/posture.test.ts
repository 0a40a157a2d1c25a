import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLIENTID_OVERRIDE, describe as inWords, type PostureAnswers, posture, SEGMENT_EXPRESSION } from './posture.ts';

/** As a broker under the profile answers (hedgerow-profile.json, 8 and 15). */
const SSL = { verify: 'verify_peer', fail_if_no_peer_cert: true, versions: ['tlsv1.3'], reuse_sessions: false };
const MQTT = {
  peer_cert_as_clientid: 'cn',
  peer_cert_as_username: 'md5',
  client_attrs_init: [{ expression: SEGMENT_EXPRESSION, set_as_attr: 'seg' }],
  clientid_override: CLIENTID_OVERRIDE,
};
const good: PostureAnswers = {
  listeners: [
    { id: 'ssl:default', enable: true, bind: '0.0.0.0:8883', type: 'ssl', status: { running: true } },
    { id: 'tcp:default', enable: false, bind: '0.0.0.0:1883', type: 'tcp', status: { running: false } },
  ],
  details: new Map([['ssl:default', { id: 'ssl:default', ssl_options: SSL }]]),
  zone: { mqtt: MQTT },
  settings: { no_match: 'deny', deny_action: 'ignore' },
  sources: [
    { type: 'built_in_database', enable: true },
    { type: 'file', enable: true },
  ],
  rulesForAll: { rules: [] },
  delayed: { enable: false, max_delayed_messages: 0 },
  invalidCertificateBanned: true,
};
const ssl = (change: object): Partial<PostureAnswers> => ({ details: new Map([['ssl:default', { ssl_options: { ...SSL, ...change } }]]) });
const mqtt = (change: object): Partial<PostureAnswers> => ({ zone: { mqtt: { ...MQTT, ...change } } });
const listener = (row: object): Partial<PostureAnswers> => ({ listeners: [...(good.listeners as object[]), row] });
const forAll = { rules: [{ topic: 'all/#', permission: 'allow', action: 'all' }] };

it('the profile is safe', () => {
  expect(posture(good, 'owned')).toEqual([]);
  expect(posture(good, 'guest')).toEqual([]);
});

describe('unsafe, whoever the broker belongs to', () => {
  it.each<[string, Partial<PostureAnswers>, string]>([
    ['a plain listener', listener({ id: 'tcp:x', enable: true, bind: '1883' }), 'HR-BRK-010'],
    [
      'a plain listener that was switched off but runs',
      listener({ id: 'tcp:x', enable: false, bind: '1883', status: { running: true } }),
      'HR-BRK-010',
    ],
    ['a plain web socket', listener({ id: 'ws:default', enable: true, bind: '8083' }), 'HR-BRK-010'],
    ['a TLS listener that nobody could read', listener({ id: 'wss:default', enable: true, bind: '8084' }), 'HR-BRK-021'],
    ['certificates are not verified', ssl({ verify: 'verify_none' }), 'HR-BRK-011'],
    ['no certificate is good enough', ssl({ fail_if_no_peer_cert: false }), 'HR-BRK-011'],
    ['TLS 1.1', ssl({ versions: ['tlsv1.3', 'tlsv1.1'] }), 'HR-BRK-012'],
    ['TLS 1.2 with resumption', ssl({ versions: ['tlsv1.3', 'tlsv1.2'], reuse_sessions: true }), 'HR-BRK-012'],
    ['nobody knows which TLS', ssl({ versions: undefined }), 'HR-BRK-012'],
    ['the client chooses its id', mqtt({ peer_cert_as_clientid: 'disabled' }), 'HR-BRK-013'],
    ['the client chooses its user name', mqtt({ peer_cert_as_username: 'cn' }), 'HR-BRK-013'],
    ['no segment', mqtt({ client_attrs_init: [] }), 'HR-BRK-014'],
    [
      'a segment without the tie to the namespace',
      mqtt({ client_attrs_init: [{ set_as_attr: 'seg', expression: "nth(1, regex_extract(dn, 'x'))" }] }),
      'HR-BRK-014',
    ],
    [
      'two ways to a segment',
      mqtt({ client_attrs_init: [...MQTT.client_attrs_init, { set_as_attr: 'seg', expression: 'username' }] }),
      'HR-BRK-014',
    ],
    ['any certificate may connect', mqtt({ clientid_override: 'disabled' }), 'HR-BRK-015'],
    ['a record for all clients', { rulesForAll: forAll }, 'HR-BRK-017'],
    ['delayed messages', { delayed: { enable: true } }, 'HR-BRK-018'],
    ['the id of odd certificates is free', { invalidCertificateBanned: false }, 'HR-BRK-019'],
    ['the file comes first', { sources: [...good.sources].reverse() }, 'HR-BRK-020'],
    ['the built-in database is off', { sources: good.sources.map((one) => ({ ...one, enable: one.type === 'file' })) }, 'HR-BRK-020'],
    ['somebody else is asked first', { sources: [{ type: 'http', enable: true }, ...good.sources] }, 'HR-BRK-020'],
    ['listeners cannot be read', { listeners: undefined }, 'HR-BRK-021'],
    ['the zone cannot be read', { zone: undefined }, 'HR-BRK-021'],
    ['the records for all cannot be read', { rulesForAll: undefined }, 'HR-BRK-021'],
    ['delayed cannot be read', { delayed: undefined }, 'HR-BRK-021'],
  ])('%s', (_name, change, code) => {
    for (const mode of ['owned', 'guest'] as const)
      expect(posture({ ...good, ...change }, mode).map((finding) => finding.code)).toContain(code);
  });
});

describe('what a shared EMQX may have', () => {
  it.each<[string, Partial<PostureAnswers>, string]>([
    ['no_match = allow: our fence comes first', { settings: { no_match: 'allow' } }, 'HR-BRK-016'],
    ['TLS 1.2 without resumption', ssl({ versions: ['tlsv1.3', 'tlsv1.2'] }), 'HR-BRK-012'],
    ['a source behind ours', { sources: [...good.sources, { type: 'http', enable: true }] }, 'HR-BRK-020'],
  ])('%s', (_name, change, code) => {
    expect(posture({ ...good, ...change }, 'guest')).toEqual([]);
    expect(posture({ ...good, ...change }, 'owned').map((finding) => finding.code)).toEqual([code]);
  });
});

it('says what is wrong and the cure', () => {
  const text = inWords(
    posture(
      { ...good, ...listener({ id: 'tcp:default', enable: true, bind: '0.0.0.0:1883' }), ...mqtt({ clientid_override: 'x' }) },
      'owned',
    ),
  );
  expect(text).toContain('HR-BRK-010: listener tcp:default on 0.0.0.0:1883 has no TLS. Cure: switch it off');
  expect(text).toContain('HR-BRK-015: mqtt.clientid_override is not the expression of the profile. Cure: ');
});

it('a record for all that only denies widens nothing', () => {
  expect(posture({ ...good, rulesForAll: { rules: [{ topic: 'x', permission: 'deny', action: 'all' }] } }, 'owned')).toEqual([]);
});

it('whatever EMQX answers: it is judged, never a crash, and never safe by not being understood', () => {
  const parts = ['listeners', 'zone', 'rulesForAll', 'delayed', 'settings'] as const;
  fc.assert(
    fc.property(fc.constantFrom(...parts), fc.jsonValue(), (part, value) => {
      fc.pre(JSON.stringify(value) !== '[]');
      expect(posture({ ...good, [part]: value }, 'owned').length).toBeGreaterThan(0);
    }),
  );
});
