// A probe against brokers that answer, lie, fall silent and shout: real sockets, a script for each.
import { createPrivateKey } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeServerCertificate, type ServerCertificate } from '../../test/harness/certificates.ts';
import { CANARY } from '../broker/broker.ts';
import { FakeClock, systemClock } from '../runtime/clock.ts';
import { findingsOf, type Question, questionsOf } from './questions.ts';
import { type Run, run } from './run.ts';

const OFFICE = { segment: 'office.berlin', publish: [{ topic: 'dt/{segment}/{device}/#' }], subscribe: [] };
const QUESTIONS = questionsOf({ digest: '0123456789abcdef', segments: new Map([['office.berlin', 'x']]) }, [OFFICE]);
const NONCE = 'n'.repeat(32);

let tls: ServerCertificate;
let server: Server;
/** What the broker of the test does with a packet, or with a new connection (`undefined`). */
let script: (packet: Packet | undefined, socket: TLSSocket) => void;
const heard: Packet[] = [];

beforeAll(async () => {
  tls = await makeServerCertificate();
  server = createServer({ cert: tls.certPem, key: tls.keyPem }, (socket) => {
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    parser.on('packet', (packet: Packet) => {
      heard.push(packet);
      script(packet, socket);
    });
    socket.on('data', (chunk) => parser.parse(chunk)).on('error', () => undefined);
    script(undefined, socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => server.close());

const send = (socket: TLSSocket, packet: Packet): void => void socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));

/** A broker of rights: what it grants, in the words of the questions. */
function brokerThat(grants: (ask: 'publish' | 'subscribe', topic: string) => number) {
  return (packet: Packet | undefined, socket: TLSSocket): void => {
    if (packet?.cmd === 'connect') send(socket, { cmd: 'connack', sessionPresent: false, reasonCode: 0 });
    if (packet?.cmd === 'subscribe')
      send(socket, {
        cmd: 'suback',
        messageId: packet.messageId,
        granted: packet.subscriptions.map(({ topic }) => grants('subscribe', topic)),
      } as Packet);
    if (packet?.cmd === 'unsubscribe')
      send(socket, { cmd: 'unsuback', messageId: packet.messageId, granted: packet.unsubscriptions.map(() => 0) } as Packet);
    if (packet?.cmd !== 'publish') return;
    const reasonCode = grants('publish', packet.topic);
    if (reasonCode < 0x80) send(socket, { ...packet, qos: 0, dup: false });
    send(socket, { cmd: 'puback', messageId: packet.messageId, reasonCode } as Packet);
  };
}
const isOwn = (topic: string): boolean => topic === QUESTIONS[0]?.topic;
const strict = brokerThat((_ask, topic) => (isOwn(topic) ? 0 : 0x87));

async function probed(how: typeof script, over: { ca?: string; clock?: typeof systemClock; questions?: Question[] } = {}): Promise<Run> {
  script = how;
  heard.length = 0;
  const { port } = server.address() as AddressInfo;
  const credentials = { ca: over.ca ?? tls.caPem, certificate: tls.certPem, key: createPrivateKey(tls.keyPem), clientId: CANARY };
  const deps = { target: { host: '127.0.0.1', port }, credentials, nonce: NONCE, clock: over.clock ?? systemClock };
  return run(over.questions ?? QUESTIONS, deps, new AbortController().signal);
}
const problemOf = (made: Run): string => (made.ended ? 'ended' : `${made.problem.code} ${made.problem.found}`);

describe('a probe', () => {
  it('asks everything of a broker that enforces, and leaves in good order', async () => {
    const made = await probed(strict);
    expect(made).toMatchObject({ ended: true });
    expect(made.ended && made.answers.map(({ question }) => question)).toEqual(QUESTIONS);
    expect(made.ended && findingsOf(made.answers)).toEqual({ shared: [], bySegment: new Map() });
    await expect.poll(() => heard.at(-1)?.cmd).toBe('disconnect');
  });

  it('ends at once what was granted by mistake, and asks on', async () => {
    const made = await probed(brokerThat((_ask, topic) => (isOwn(topic) || topic === '#' ? 0 : 0x87)));
    expect(made.ended && findingsOf(made.answers).shared.map(({ code }) => code)).toEqual(['HR-PRB-001']);
    expect(heard.filter(({ cmd }) => cmd === 'unsubscribe')).toMatchObject([{ unsubscriptions: ['#'] }]);
    expect(made.ended && made.answers).toHaveLength(QUESTIONS.length);
  });

  it('keeps what it found when the connection ends before the end', async () => {
    const open = brokerThat(() => 0);
    let publishes = 0;
    const made = await probed((packet, socket) => {
      if (packet?.cmd === 'publish' && ++publishes === 3) socket.destroy();
      else open(packet, socket);
    });
    expect(made.ended && findingsOf(made.answers).shared.map(({ code }) => code)).toEqual(['HR-PRB-001']);
    expect(made.ended && made.answers.length).toBeLessThan(QUESTIONS.length);
  });

  it('does not wait for a message that was refused', async () => {
    const made = await probed(brokerThat(() => 0x87));
    expect(made.ended && findingsOf(made.answers).shared.map(({ code }) => code)).toEqual(['HR-PRB-002', 'HR-PRB-002']);
  });
});

describe('a canary that cannot try says why, and nothing of rights', () => {
  it.each<[string, (packet: Packet | undefined, socket: TLSSocket) => void, RegExp]>([
    [
      'it is banned',
      (packet, socket) => packet && send(socket, { cmd: 'connack', sessionPresent: false, reasonCode: 0x8a }),
      /^HR-PRB-012 .*CONNACK 0x8a/,
    ],
    ['the connection is closed at once', (_packet, socket) => socket.destroy(), /^HR-PRB-012 /],
    [
      'what answers is no MQTT',
      (packet, socket) => packet === undefined && socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /^HR-PRB-012 /,
    ],
    [
      'it is thrown out in the middle',
      (packet, socket) => (packet?.cmd === 'subscribe' ? send(socket, { cmd: 'disconnect', reasonCode: 0x98 }) : strict(packet, socket)),
      /^HR-PRB-013 .*DISCONNECT 0x98/,
    ],
    [
      'an answer has too few codes',
      (packet, socket) =>
        packet?.cmd === 'subscribe'
          ? send(socket, { cmd: 'suback', messageId: packet.messageId, granted: [0, 0] } as Packet)
          : strict(packet, socket),
      /^HR-PRB-013 .*another number/,
    ],
    ['a quota refuses its own topic', brokerThat((_ask, topic) => (isOwn(topic) ? 0x97 : 0x87)), /^HR-PRB-013 .*0x97/],
    [
      'it is flooded',
      (packet, socket) => (packet?.cmd === 'subscribe' ? flood(socket) : strict(packet, socket)),
      /^HR-PRB-013 .*more than answers/,
    ],
  ])('%s', async (_what, how, expected) => {
    expect(problemOf(await probed((packet, socket) => void how(packet, socket)))).toMatch(expected);
  });

  it('the server is not the one it trusts', async () => {
    expect(problemOf(await probed(strict, { ca: (await makeServerCertificate()).caPem }))).toMatch(/^HR-PRB-012 /);
  });

  it('nobody answers: it waits ten seconds', async () => {
    const clock = new FakeClock();
    let done = false;
    const made = probed(() => undefined, { clock }).finally(() => {
      done = true;
    });
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      if (heard.length > 0) await clock.advance(10_000);
    }
    expect(problemOf(await made)).toMatch(/^HR-PRB-012 .*no CONNACK within 10 s/);
  });

  it('its message never comes back', async () => {
    const clock = new FakeClock();
    let done = false;
    const mute = (packet: Packet | undefined, socket: TLSSocket): void => {
      if (packet?.cmd === 'publish') send(socket, { cmd: 'puback', messageId: packet.messageId, reasonCode: 0 } as Packet);
      else strict(packet, socket);
    };
    const made = probed(mute, { clock }).finally(() => {
      done = true;
    });
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      if (heard.some(({ cmd }) => cmd === 'publish')) await clock.advance(10_000);
    }
    expect(problemOf(await made)).toMatch(/^HR-PRB-013 .*no message of its own/);
  });

  it('whatever bytes a broker sends, it comes to an end and finds nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, early) => {
        const made = await probed((packet, socket) => {
          if (early && packet === undefined) socket.end(bytes);
          else if (packet?.cmd === 'connect') send(socket, { cmd: 'connack', sessionPresent: false, reasonCode: 0 });
          else if (packet?.cmd === 'subscribe') socket.end(bytes);
        });
        expect(problemOf(made)).toMatch(/^HR-PRB-01[23] /);
      }),
      { numRuns: 60 },
    );
  });
});

function flood(socket: TLSSocket): void {
  const packet = mqttPacket.generate(
    { cmd: 'publish', topic: 'dt/x', payload: 'x'.repeat(60_000), qos: 0, dup: false, retain: false },
    { protocolVersion: 5 },
  );
  for (let i = 0; i < 400; i++) socket.write(packet);
}
