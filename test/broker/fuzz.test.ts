/** Hostile input: whatever comes in by MQTT or REST, the process stays and goes on answering. */

import tls from 'node:tls';
import fc from 'fast-check';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json, JsonObject } from './config.ts';
import { ROUTES } from './rest/routes.ts';
import { basic, createRestClient, type RestClient } from './rest-client.ts';
import { readPeer } from './subject.ts';
import { makeDeviceCa, subject } from './testing/pki.ts';
import { subjectDer } from './testing/subject-der.ts';
import { startWorld, type World } from './testing/world.ts';

let world: World;
let pid: number;
let rest: RestClient;

beforeAll(async () => {
  world = await startWorld();
  pid = world.standIn.pid;
  rest = createRestClient({ url: world.standIn.restUrl, trust: world.broker.caPem, authorization: basic(world.standIn.apiKey) });
});
afterAll(async () => {
  rest?.close();
  await world?.stop();
});

/** The same process, serving a device from one end to the other. */
async function expectAlive(): Promise<void> {
  expect(world.standIn.pid).toBe(pid);
  process.kill(pid, 0);
  await world.standIn.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: '{allow, all}.\n' } });
  const device = await world.connect('alive.berlin', 'office.berlin');
  expect(await device.subscribe('alive')).toBe('granted 1');
  await device.publish('alive', { payload: 'yes' });
  await device.waitMessages(1);
  await device.end();
}

const text = fc.string({ unit: fc.constantFrom(...'ab/+#$', '\0', 'é'), maxLength: 12 });
const flags = { dup: false, retain: false };
const sane: fc.Arbitrary<Packet> = fc.oneof(
  fc
    .record({
      cmd: fc.constant('publish' as const),
      topic: text,
      payload: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      messageId: fc.integer({ min: 1, max: 65535 }),
    })
    .map((packet) => ({ ...packet, ...flags })),
  fc.record({
    cmd: fc.constant('subscribe' as const),
    messageId: fc.integer({ min: 1, max: 65535 }),
    subscriptions: fc.array(fc.record({ topic: text, qos: fc.constantFrom(0 as const, 1 as const, 2 as const) }), {
      minLength: 1,
      maxLength: 4,
    }),
  }),
  fc.record({
    cmd: fc.constantFrom('puback' as const, 'pubrec' as const, 'pubrel' as const, 'pubcomp' as const),
    messageId: fc.integer({ min: 1, max: 65535 }),
  }),
  fc.constantFrom({ cmd: 'pingreq' } as Packet, { cmd: 'disconnect' } as Packet),
);

const connect = (protocolVersion: 4 | 5): Packet => ({
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion,
  clean: true,
  clientId: 'fuzz',
  keepalive: 10,
});

function encode(packet: Packet, protocolVersion: 4 | 5): Buffer {
  try {
    return mqttPacket.generate(packet, { protocolVersion });
  } catch {
    return Buffer.alloc(0); // the library refuses to write it: nothing to send
  }
}

/** Some bytes flipped, cut or doubled. */
function damage(bytes: Buffer, wounds: readonly { at: number; byte: number; how: number }[]): Buffer {
  let out = Buffer.from(bytes);
  for (const { at, byte, how } of wounds) {
    if (out.length === 0) return out;
    const place = at % out.length;
    if (how === 0) out[place] = byte;
    else if (how === 1) out = out.subarray(0, place);
    else out = Buffer.concat([out.subarray(0, place), out]);
  }
  return out;
}

const wounds = fc.array(fc.record({ at: fc.nat(400), byte: fc.nat(255), how: fc.nat(2) }), { maxLength: 4 });
const version = fc.constantFrom(4 as const, 5 as const);
const stream = fc.oneof(
  fc
    .tuple(version, fc.array(sane, { maxLength: 6 }), wounds)
    .map(([protocol, packets, cuts]) =>
      damage(Buffer.concat([connect(protocol), ...packets].map((packet) => encode(packet, protocol))), cuts),
    ),
  fc
    .tuple(version, fc.uint8Array({ maxLength: 200 }))
    .map(([protocol, bytes]) => Buffer.concat([encode(connect(protocol), protocol), bytes])),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);

describe('the MQTT port', () => {
  it('survives any stream of bytes of a client with a good certificate', async () => {
    const identity = await world.identity('fuzz.berlin', 'office.berlin');
    const send = (bytes: Buffer): Promise<void> =>
      new Promise((resolve) => {
        const { host, port, caPem } = world.broker;
        const socket = tls.connect({ host, port, servername: 'localhost', ca: caPem, cert: identity.certPem, key: identity.keyPem });
        socket.once('secureConnect', () => socket.end(bytes));
        socket.on('data', () => undefined);
        socket.once('error', () => socket.destroy());
        socket.once('close', () => resolve());
      });
    await fc.assert(fc.asyncProperty(stream, send), { numRuns: 250 });
    await expectAlive();
  });

  it('closes on a packet beyond max_packet_size before it has all of it', async () => {
    const device = await world.connect('big.berlin', 'office.berlin');
    device.client.stream.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
    device.client.stream.write(Buffer.alloc(300 * 1024));
    await device.waitClosed();
    expect(device.disconnectReason).toBe(0x95);
    await expectAlive();
  });
});

describe('the REST port', () => {
  const json: fc.Arbitrary<Json> = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
  // Bodies that begin like real ones reach further into the handlers.
  const known = fc.dictionary(
    fc.constantFrom(
      'type',
      'enable',
      'rules',
      'as',
      'who',
      'until',
      'at',
      'by',
      'topic',
      'payload',
      'qos',
      'retain',
      'clientid',
      'username',
      'properties',
      'id',
      'bind',
      'ssl_options',
      'mqtt',
      'flapping_detect',
      'sql',
      'actions',
      'connector',
      'name',
      'cache',
      'no_match',
      'deny_action',
      'position',
    ),
    fc.oneof(json, fc.constantFrom<Json>('file', 'ssl', 'clientid', 'http', true, [], {}, 'front', 'infinity')),
    { noNullPrototype: true },
  ) as fc.Arbitrary<JsonObject>;
  const body = fc.oneof(json, known, fc.array(known, { maxLength: 3 }));
  const segment = fc.oneof(
    fc.constantFrom('file', 'built_in_database', 'ssl:default', 'clientid', 'x', '__proto__', 'constructor', '%', '%2F', '..'),
    fc.string({ maxLength: 8 }).map(encodeURIComponent),
  );
  const query = fc.oneof(
    fc.constant(''),
    fc.constantFrom(
      '?page=1&limit=2',
      '?page=-1',
      '?limit=x',
      '?fields=a',
      '?key=mqtt',
      '?key=__proto__',
      '?username=a&username=b',
      '?topic=%00',
      '?conn_state=z',
      '?match_topic=%23',
    ),
  );
  // These would end the test's own means: the listener, the API keys, the roots of the configuration.
  const routes = ROUTES.filter((route) => route.path.startsWith('/') && !/\/(listeners|login|logout|api_key)/.test(route.path));
  const call = fc.record({ route: fc.constantFrom(...routes), segments: fc.array(segment, { minLength: 3, maxLength: 3 }), query, body });

  it('answers every body on every path, and never by an error of its own', async () => {
    await fc.assert(
      fc.asyncProperty(call, async ({ route, segments, query: asked, body: sent }) => {
        let at = 0;
        const path = route.path.replace(/:[a-z_]+/g, () => segments[at++ % segments.length] || 'x');
        const withBody = route.method === 'GET' || route.method === 'DELETE' ? {} : { body: sent };
        const answer = await rest(route.method, `/${path}${asked}`, withBody);
        expect(answer.text).not.toContain('stand_in_crash');
        expect(answer.status).toBeGreaterThanOrEqual(200);
      }),
      { numRuns: 600 },
    );
    await world.standIn.restart({ wipe: true });
    pid = world.standIn.pid;
    await expectAlive();
  });

  it('answers text that is no JSON, and HOCON that is none', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.constantFrom('application/json', 'text/plain', 'text/html'),
        async (said, type) => {
          const answer = await rest('PUT', '/configs', {
            text: said,
            headers: { 'content-type': type, 'content-length': String(Buffer.byteLength(said)) },
          });
          expect(answer.text).not.toContain('stand_in_crash');
          expect((await rest('POST', '/banned', { text: said })).status).toBeGreaterThanOrEqual(400);
        },
      ),
      { numRuns: 100 },
    );
    await expectAlive();
  });
});

describe('a certificate', () => {
  it('with any subject is read or turned away, never an exception', async () => {
    const ca = await makeDeviceCa('ca');
    const { certPem } = await ca.issue(subject('hedgerow', 'office.berlin', 'thermo.berlin'));
    const der = Buffer.from(certPem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    expect(readPeer(der)).toMatchObject({ cn: 'thermo.berlin', dn: 'CN=thermo.berlin,OU=office.berlin,O=hedgerow' });
    fc.assert(
      fc.property(wounds, fc.uint8Array({ maxLength: 50 }), (cuts, bytes) => {
        readPeer(damage(der, cuts));
        readPeer(Buffer.from(bytes));
        readPeer(Buffer.concat([subjectDer([]), bytes]));
      }),
      { numRuns: 500 },
    );
  });
});
