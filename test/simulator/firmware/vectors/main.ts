// Writes docs/reference/firmware-protocol-vectors.json: `node test/simulator/firmware/vectors/main.ts`. The keys are new each time and thrown away, so it is run
// when the protocol changes, and not by `npm run generate`. The verdicts are written down here by hand: neither side is asked for them.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { booted } from '../../../../operator/firmware/testing/boot.ts';
import { DEVICE, hello, install, NEW, OLD, state } from '../../../../operator/firmware/testing/messages.ts';
import { type DirectiveKey, directiveCa, directiveKey } from '../../../harness/directive-certificates.ts';
import { seal } from '../envelope.ts';
import type { Vectors } from './vectors.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const FILE = join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'reference', 'firmware-protocol-vectors.json');
const NONCE = 'd'.repeat(32);
const DIRECTIVE_TYPE = 'application/vnd.hedgerow.firmware.directive.v1+json';
const BOOT_TYPE = 'application/vnd.hedgerow.firmware.boot.v1+json';
const EPOCH = NOW / 1000 - 3600;

const vectors: Vectors = {
  device: DEVICE,
  nonce: NONCE,
  now: NOW / 1000,
  ...(await directives()),
  ...reports(),
};
writeFileSync(FILE, `${JSON.stringify(vectors, undefined, 1)}\n`);
console.log(`wrote ${FILE}`);

async function directives(): Promise<Pick<Vectors, 'cas' | 'floors' | 'directives'>> {
  const ca = await directiveCa('directive CA', NOW);
  const between = await directiveCa('directive CA of berlin', NOW, ca);
  const stranger = await directiveCa('directive CA', NOW);
  const key = await directiveKey(ca, NOW);
  const floor = { epoch: EPOCH, fence: 3, seq: 6, nonce: 'e'.repeat(32) };
  const signed = (directive: unknown, by: DirectiveKey = key, type = DIRECTIVE_TYPE): string =>
    envelope(JSON.stringify(directive), by, type);
  const good = install();
  const { release: _, artifact, ...bare } = good;
  const { urls: __, ...image } = artifact ?? { urls: [] };
  const older = await directiveKey(ca, NOW, { notBefore: NOW - 100_000_000 });
  const later = await directiveKey(ca, NOW, { notBefore: NOW - 60_000 });
  const cases: Vectors['directives'] = [
    { name: 'Install, P-256', envelope: signed(good), verdict: 'new' },
    { name: 'Install, Ed25519', envelope: signed(good, await directiveKey(ca, NOW, { algorithm: 'Ed25519' })), verdict: 'new' },
    { name: 'by an intermediate CA', envelope: signed(good, await directiveKey(between, NOW, {}, [between])), verdict: 'new' },
    { name: 'Stage', envelope: signed({ ...good, action: 'Stage' }), verdict: 'new' },
    { name: 'Activate', envelope: signed({ ...bare, action: 'Activate', artifact: image }), verdict: 'new' },
    { name: 'Revert', envelope: signed({ ...bare, action: 'Revert', artifact: image }), verdict: 'new' },
    { name: 'Cancel', envelope: signed({ ...bare, action: 'Cancel' }), verdict: 'new' },
    {
      name: 'the last one again, by the next driver',
      envelope: signed({ ...good, seq: 6, nonce: floor.nonce, fence: 4 }),
      verdict: 'known',
    },
    {
      name: 'the last one again, with the next certificate',
      envelope: signed({ ...good, seq: 6, nonce: floor.nonce, fence: 0 }, later),
      verdict: 'known',
    },
    { name: 'seq 1 with the next certificate', envelope: signed({ ...good, seq: 1, fence: 0 }, later), verdict: 'new' },
    { name: 'at exp', envelope: signed({ ...good, iat: EPOCH, exp: NOW / 1000 }), verdict: 'expired' },
    {
      name: 'expired, device without a clock, its nonce',
      envelope: signed({ ...good, exp: good.iat + 1, echo: NONCE }),
      verdict: 'new',
      now: null,
    },
    { name: 'device without a clock, no echo', envelope: signed(good), verdict: 'dropped', why: 'echo', now: null },
    {
      name: 'device with a clock of 1970, nonce of another boot',
      envelope: signed({ ...good, echo: 'f'.repeat(32) }),
      verdict: 'dropped',
      why: 'echo',
      now: 86_400,
    },
    { name: 'a lower fence', envelope: signed({ ...good, fence: 2 }), verdict: 'dropped', why: 'fence' },
    { name: 'the last seq with another nonce', envelope: signed({ ...good, seq: 6 }), verdict: 'dropped', why: 'sequence' },
    { name: 'a lower seq', envelope: signed({ ...good, seq: 5 }), verdict: 'dropped', why: 'sequence' },
    { name: 'a certificate older than the last one', envelope: signed(good, older), verdict: 'dropped', why: 'epoch' },
    { name: 'for another device', envelope: signed({ ...good, aud: 'thermo-18.berlin' }), verdict: 'dropped', why: 'audience' },
    {
      name: 'certificate of another site',
      envelope: signed(good, await directiveKey(ca, NOW, { site: 'paris' })),
      verdict: 'dropped',
      why: 'certificate',
    },
    {
      name: 'certificate of two sites',
      envelope: signed(
        good,
        await directiveKey(ca, NOW, { uris: ['berlin', 'paris'].map((site) => `urn:hedgerow:firmware:directive:${site}`) }),
      ),
      verdict: 'dropped',
      why: 'certificate',
    },
    {
      name: 'certificate of a device',
      envelope: signed(good, await directiveKey(ca, NOW, { usages: ['1.3.6.1.5.5.7.3.2'] })),
      verdict: 'dropped',
      why: 'certificate',
    },
    {
      name: 'certificate of a CA',
      envelope: signed(good, await directiveKey(ca, NOW, { isCa: true })),
      verdict: 'dropped',
      why: 'certificate',
    },
    {
      name: 'certificate that has run out',
      envelope: signed(good, await directiveKey(ca, NOW, { notAfter: NOW })),
      verdict: 'dropped',
      why: 'certificate',
    },
    {
      name: 'a CA of the same name that is not pinned',
      envelope: signed(good, await directiveKey(stranger, NOW)),
      verdict: 'dropped',
      why: 'certificate',
    },
    { name: 'a certificate that a leaf has issued', envelope: signed(good, await underLeaf(ca)), verdict: 'dropped', why: 'certificate' },
    {
      name: 'signed with another key than that of the certificate',
      envelope: signed(good, { ...key, keyPem: older.keyPem }),
      verdict: 'dropped',
      why: 'signature',
    },
    { name: 'one bit of the payload changed', envelope: flipped(signed(good)), verdict: 'dropped', why: 'signature' },
    { name: 'another payloadType', envelope: signed(good, key, BOOT_TYPE), verdict: 'dropped', why: 'envelope' },
    { name: 'two signatures', envelope: twice(signed(good)), verdict: 'dropped', why: 'envelope' },
    { name: 'a field more', envelope: signed({ ...good, shard: 1 }), verdict: 'dropped', why: 'form' },
    { name: 'v 2', envelope: signed({ ...good, v: 2 }), verdict: 'dropped', why: 'form' },
    { name: 'Install without a release', envelope: signed({ ...bare, artifact }), verdict: 'dropped', why: 'form' },
    {
      name: 'valid for longer than 31 days',
      envelope: signed({ ...good, exp: good.iat + 31 * 86_400 + 1 }),
      verdict: 'dropped',
      why: 'form',
    },
    { name: 'a key twice', envelope: envelope(JSON.stringify(good).replace('{', '{"seq":99,'), key), verdict: 'dropped', why: 'form' },
    {
      name: 'a fraction',
      envelope: envelope(JSON.stringify(good).replace('"jitter":0', '"jitter":0.0'), key),
      verdict: 'dropped',
      why: 'form',
    },
  ];
  return { cas: [Buffer.from(ca.certificate.rawData).toString('base64')], floors: { app: floor }, directives: cases };
}

/** The certificate of a site used as if it were a CA's. */
async function underLeaf(ca: Awaited<ReturnType<typeof directiveCa>>): Promise<DirectiveKey> {
  const leaf = await directiveCa('firmware of berlin', NOW, ca, false);
  return directiveKey(leaf, NOW, {}, [leaf]);
}

function envelope(payload: string, { keyPem, chainPem }: DirectiveKey, type = DIRECTIVE_TYPE): string {
  const { signatures, ...rest } = seal(type, Buffer.from(payload), createPrivateKey(keyPem)) as { signatures: object[] };
  const x5c = chainPem
    .match(/-----BEGIN CERTIFICATE-----[^-]+/g)
    ?.map((pem) => pem.replace('-----BEGIN CERTIFICATE-----', '').replaceAll(/\s/g, ''));
  return JSON.stringify({ ...rest, signatures: [{ ...signatures[0], x5c }] });
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

function reports(): Pick<Vectors, 'bootKey' | 'states' | 'hellos' | 'directive' | 'confirmations'> {
  const boot = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ok = state({ boot: 4, n: 3, state: 'Confirmed', digest: NEW, securityCounter: 5 });
  const report = (fields = {}, key: KeyObject = boot.privateKey): object =>
    seal(BOOT_TYPE, Buffer.from(JSON.stringify(booted(fields))), key);
  const text = (value: unknown): string => JSON.stringify(value);
  return {
    bootKey: boot.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    states: [
      { name: 'Accepted', message: text(state({})), verdict: 'ok' },
      { name: 'Downloading', message: text(state({ state: 'Downloading', offset: 1024, total: 4096 })), verdict: 'ok' },
      { name: 'Failed', message: text(state({ state: 'Failed', code: 8, text: 'no route' })), verdict: 'ok' },
      { name: 'Confirmed with a boot report', message: text({ ...ok, bootReport: report() }), verdict: 'ok' },
      {
        name: 'Rejected 5 with a boot report',
        message: text({ ...state({ boot: 4, n: 3, state: 'Rejected', code: 5, digest: NEW, securityCounter: 5 }), bootReport: report() }),
        verdict: 'ok',
      },
      { name: 'Accepted with a boot report', message: text({ ...state({}), bootReport: report() }), verdict: 'HR-FW-102' },
      { name: 'Idle, never had a directive', message: text({ ...state({ state: 'Idle', seq: 0 }), nonce: undefined }), verdict: 'ok' },
      { name: 'Failed without a code', message: text(state({ state: 'Failed' })), verdict: 'HR-FW-102' },
      { name: 'a code in Accepted', message: text(state({ code: 8 })), verdict: 'HR-FW-102' },
      { name: 'null for a field that is not there', message: text({ ...state({}), staged: null }), verdict: 'HR-FW-102' },
      { name: 'a field that is not known', message: text({ ...state({}), shard: 1 }), verdict: 'HR-FW-102' },
      { name: 'a key twice', message: text(state({})).replace('{', '{"boot":9,'), verdict: 'HR-FW-102' },
      { name: 'a line end in text', message: text(state({ text: 'a\nb' })), verdict: 'HR-FW-102' },
      { name: 'another device', message: text(state({ device: 'thermo-18.berlin' })), verdict: 'HR-FW-103' },
      { name: 'too long', message: text(state({})) + ' '.repeat(4096), verdict: 'HR-FW-101' },
    ],
    hellos: [
      { name: 'hello', message: text(hello({})), verdict: 'ok' },
      { name: 'with a boot report', message: text(hello({ bootReport: report() as never })), verdict: 'ok' },
      { name: 'no component', message: text(hello({ components: [] })), verdict: 'HR-FW-102' },
      { name: 'another device', message: text(hello({ device: 'thermo-18.berlin' })), verdict: 'HR-FW-103' },
    ],
    confirmations: [
      { name: 'genuine boot report', message: text({ ...ok, bootReport: report() }), verdict: 'Proven' },
      { name: 'no boot report', message: text(ok), verdict: 'HR-FW-110' },
      { name: 'boot report by another key', message: text({ ...ok, bootReport: report({}, foreign.privateKey) }), verdict: 'HR-FW-111' },
      { name: 'boot report of another image', message: text({ ...ok, bootReport: report({ digest: OLD }) }), verdict: 'HR-FW-112' },
      { name: 'boot report of another boot', message: text({ ...ok, bootReport: report({ boot: 3 }) }), verdict: 'HR-FW-112' },
      { name: 'boot report for another directive', message: text({ ...ok, bootReport: report({ nonce: NONCE }) }), verdict: 'HR-FW-112' },
      { name: 'another image runs', message: text({ ...ok, digest: OLD, bootReport: report({ digest: OLD }) }), verdict: 'HR-FW-107' },
      { name: 'no reboot', message: text({ ...ok, boot: 3, n: 9, bootReport: report({ boot: 3 }) }), verdict: 'HR-FW-108' },
      { name: 'security counter not raised', message: text({ ...ok, securityCounter: 4, bootReport: report() }), verdict: 'HR-FW-109' },
      { name: 'another directive', message: text({ ...ok, seq: 6, bootReport: report() }), verdict: 'HR-FW-104' },
      { name: 'boot counter lower than before', message: text({ ...ok, boot: 2, bootReport: report({ boot: 2 }) }), verdict: 'HR-FW-105' },
    ],
    directive: install(),
  };
}
