// Writes docs/reference/edge-commands-vectors.json: `node test/simulator/command/vectors/main.ts`. The keys are new each time and thrown away, so it is run when the
// form changes, and not by `npm run generate`. The verdicts are written down here by hand: neither side is asked for them.
import { createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seal } from '../../firmware/envelope.ts';
import type { Command } from '../judge.ts';
import { der, revocationList, type Sender, sender, siteCa } from '../testing/senders.ts';
import type { Vectors } from './vectors.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const FILE = join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'reference', 'edge-commands-vectors.json');
const TYPE = 'application/vnd.hedgerow.command.v1+json';
const GATEWAY = 'gateway.berlin';
const DEVICE = 'fan-1.berlin';
const SEGMENT = 'fans.berlin';
const DAY_MS = 86_400_000;
const EPOCH = NOW - DAY_MS;
const NONCE = 'e'.repeat(32);

const ca = await siteCa('devices of berlin', NOW);
const between = await siteCa('devices of berlin, 2026', NOW, ca);
const stranger = await siteCa('devices of berlin', NOW);
const gateway = await sender(ca, GATEWAY, NOW);
const older = await sender(ca, GATEWAY, NOW, { notBefore: EPOCH - 1000 });
const newer = await sender(ca, GATEWAY, NOW, { notBefore: EPOCH + 1000 });
const robbed = await sender(ca, 'robbed.berlin', NOW, { notBefore: EPOCH + 1000 });
const robbedBefore = await sender(ca, 'robbed.berlin', NOW);
const revoked = await sender(ca, GATEWAY, NOW, { notBefore: EPOCH + 2000 });

const good: Command = {
  v: 1,
  aud: DEVICE,
  seq: NOW,
  nonce: 'd'.repeat(32),
  iat: NOW,
  exp: NOW + 60_000,
  name: 'speed',
  args: { percent: 62.5, reason: 'too warm: 30 °C' },
};
const signed = (command: unknown, by: Sender = gateway, type = TYPE): string => envelope(JSON.stringify(command), by, type);
const topicOf = (segment: string, device: string, name: string): string => `cmd/${segment}/${device}/${name}`;
const certificate = (name: string, by: Sender): Vectors['commands'][number] => ({
  name,
  envelope: signed(good, by),
  verdict: 'refused',
  why: 'certificate',
});
const form = (name: string, fields: object): Vectors['commands'][number] => ({
  name,
  envelope: signed({ ...good, ...fields }),
  verdict: 'refused',
  why: 'form',
});

const commands: Vectors['commands'] = [
  { name: 'P-256', envelope: signed(good), verdict: 'new' },
  { name: 'Ed25519', envelope: signed(good, await sender(ca, GATEWAY, NOW, { algorithm: 'Ed25519' })), verdict: 'new' },
  { name: 'by an intermediate CA', envelope: signed(good, await sender(between, GATEWAY, NOW, {}, [between])), verdict: 'new' },
  { name: 'without args', envelope: signed({ ...good, args: {} }), verdict: 'new' },
  {
    name: 'another one that is granted',
    topic: topicOf(SEGMENT, DEVICE, 'stop'),
    envelope: signed({ ...good, name: 'stop' }),
    verdict: 'new',
  },
  { name: 'the last one again', envelope: signed({ ...good, seq: 1000, nonce: NONCE }), verdict: 'known' },
  {
    name: 'the last one again, with the next certificate',
    envelope: signed({ ...good, seq: 1000, nonce: NONCE }, newer),
    verdict: 'known',
  },
  { name: 'the next one, with the next certificate', envelope: signed(good, newer), verdict: 'new' },
  { name: 'a lower seq with the next certificate, when the numbers were used up', envelope: signed(good, robbed), verdict: 'new' },
  { name: 'made 2 minutes ahead of the clock', envelope: signed({ ...good, iat: NOW + 120_000, exp: NOW + 180_000 }), verdict: 'new' },
  { name: 'the last seq with another nonce', envelope: signed({ ...good, seq: 1000 }), verdict: 'refused', why: 'sequence' },
  {
    name: 'when the numbers were used up, with the same certificate',
    envelope: signed(good, robbedBefore),
    verdict: 'refused',
    why: 'sequence',
  },
  { name: 'a lower seq with the next certificate', envelope: signed({ ...good, seq: 999 }, newer), verdict: 'refused', why: 'sequence' },
  { name: 'a lower seq', envelope: signed({ ...good, seq: 999 }), verdict: 'refused', why: 'sequence' },
  { name: 'a certificate older than the last one', envelope: signed(good, older), verdict: 'refused', why: 'epoch' },
  { name: 'at exp', envelope: signed({ ...good, iat: NOW - 60_000, exp: NOW }), verdict: 'refused', why: 'expired' },
  {
    name: 'made later than 2 minutes from now',
    envelope: signed({ ...good, iat: NOW + 120_001, exp: NOW + 180_000 }),
    verdict: 'refused',
    why: 'early',
  },
  { name: 'a device without a clock', envelope: signed(good), verdict: 'refused', why: 'clock', now: null },
  { name: 'a device with a clock of 1970', envelope: signed(good), verdict: 'refused', why: 'clock', now: 86_400_000 },
  {
    name: 'for another device, on the topic of this one',
    envelope: signed({ ...good, aud: 'fan-2.berlin' }),
    verdict: 'refused',
    why: 'audience',
  },
  {
    name: 'on the topic of another device',
    topic: topicOf(SEGMENT, 'fan-2.berlin', 'speed'),
    envelope: signed(good),
    verdict: 'refused',
    why: 'name',
  },
  {
    name: 'on the topic of another segment',
    topic: topicOf('ovens.berlin', DEVICE, 'speed'),
    envelope: signed(good),
    verdict: 'refused',
    why: 'name',
  },
  {
    name: 'on the topic of another command',
    topic: topicOf(SEGMENT, DEVICE, 'stop'),
    envelope: signed(good),
    verdict: 'refused',
    why: 'name',
  },
  {
    name: 'a command that its sender has no grant for',
    topic: topicOf(SEGMENT, DEVICE, 'reset'),
    envelope: signed({ ...good, name: 'reset' }),
    verdict: 'refused',
    why: 'name',
  },
  {
    name: 'a device that has no grant',
    envelope: signed(good, await sender(ca, 'thermo-17.berlin', NOW)),
    verdict: 'refused',
    why: 'sender',
  },
  certificate('a certificate that is revoked', revoked),
  certificate('a CA of the same name that is not pinned', await sender(stranger, GATEWAY, NOW)),
  certificate('a certificate that has run out', await sender(ca, GATEWAY, NOW, { notAfter: NOW })),
  certificate('the certificate of a server', await sender(ca, GATEWAY, NOW, { usages: ['1.3.6.1.5.5.7.3.1'] })),
  certificate('the certificate of a CA', await sender(ca, GATEWAY, NOW, { isCa: true })),
  certificate('a subject of another form', await sender(ca, GATEWAY, NOW, { subject: `CN=${GATEWAY}` })),
  certificate('a certificate that a device has issued', await underDevice()),
  {
    name: 'a key of another kind',
    envelope: foreignKey(signed(good), await sender(ca, GATEWAY, NOW, { algorithm: 'P-384' })),
    verdict: 'refused',
    why: 'signature',
  },
  {
    name: 'signed with another key than that of the certificate',
    envelope: signed(good, { ...gateway, keyPem: older.keyPem }),
    verdict: 'refused',
    why: 'signature',
  },
  { name: 'one bit of the payload changed', envelope: flipped(signed(good)), verdict: 'refused', why: 'signature' },
  {
    name: 'another payloadType',
    envelope: signed(good, gateway, 'application/vnd.hedgerow.firmware.directive.v1+json'),
    verdict: 'refused',
    why: 'envelope',
  },
  { name: 'two signatures', envelope: twice(signed(good)), verdict: 'refused', why: 'envelope' },
  { name: 'longer than 8,192 bytes', envelope: signed(good) + ' '.repeat(8192), verdict: 'refused', why: 'envelope' },
  form('a field more', { echo: NONCE }),
  form('a field less', { args: undefined }),
  form('v 2', { v: 2 }),
  form('args that are a list', { args: [1] }),
  form('a seq that is no whole number', { seq: 1.5 }),
  form('valid for longer than an hour', { exp: good.iat + 3_600_001 }),
  form('valid for no time', { exp: good.iat }),
  { name: 'a key twice', envelope: envelope(JSON.stringify(good).replace('{', '{"seq":99,'), gateway), verdict: 'refused', why: 'form' },
];

const vectors: Vectors = {
  segment: SEGMENT,
  device: DEVICE,
  now: NOW,
  cas: [der(ca).toString('base64')],
  grants: [
    { sender: GATEWAY, commands: ['speed', 'stop'] },
    { sender: 'robbed.berlin', commands: ['speed'] },
  ],
  crl: (await revocationList(ca, [revoked], NOW)).toString('base64'),
  floors: {
    [GATEWAY]: { epoch: EPOCH, seq: 1000, nonce: NONCE },
    'robbed.berlin': { epoch: EPOCH, seq: Number.MAX_SAFE_INTEGER, nonce: NONCE },
  },
  commands,
};
writeFileSync(FILE, `${JSON.stringify(vectors, undefined, 1)}\n`);
console.log(`wrote ${FILE}`);

/** The certificate of a device used as if it were a CA's. */
function underDevice(): Promise<Sender> {
  return sender(gateway, GATEWAY, NOW, {}, [gateway]);
}

function envelope(payload: string, { keyPem, chainPem }: Sender, type = TYPE): string {
  const { signatures, ...rest } = seal(type, Buffer.from(payload), createPrivateKey(keyPem)) as { signatures: object[] };
  return JSON.stringify({ ...rest, signatures: [{ ...signatures[0], x5c: x5cOf(chainPem) }] });
}

function x5cOf(chainPem: string): string[] {
  const pems = chainPem.match(/-----BEGIN CERTIFICATE-----[^-]+/g) ?? [];
  return pems.map((pem) => pem.replace('-----BEGIN CERTIFICATE-----', '').replaceAll(/\s/g, ''));
}

/** With the certificate of a key that signs by no algorithm of ours. */
function foreignKey(text: string, { chainPem }: Sender): string {
  const { signatures, ...rest } = JSON.parse(text) as { signatures: object[] };
  return JSON.stringify({ ...rest, signatures: [{ ...signatures[0], x5c: x5cOf(chainPem) }] });
}

function flipped(text: string): string {
  const { payload, ...rest } = JSON.parse(text) as { payload: string };
  const bytes = Buffer.from(payload, 'base64');
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  return JSON.stringify({ ...rest, payload: bytes.toString('base64') });
}

function twice(text: string): string {
  const { signatures, ...rest } = JSON.parse(text) as { signatures: object[] };
  return JSON.stringify({ ...rest, signatures: [...signatures, ...signatures] });
}
