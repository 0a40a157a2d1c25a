// The device's half of the trust message, held to the vector of its own reference page.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, digestOf } from '../../operator/trust/message.ts';
import { ROOT } from '../harness/manifests.ts';
import { AnchorStore } from './anchors.ts';

const PAGE = readFileSync(join(ROOT, 'docs', 'reference', 'trust-message.md'), 'utf8').split('## A test vector')[1] ?? '';
const [key = '', message = ''] = [...PAGE.matchAll(/```\n(.*)\n```/g)].map((match) => match[1] ?? '');
const digest = /Its digest is `([0-9a-f]{64})`/.exec(PAGE)?.[1];
const now = Date.parse('2026-11-25T00:00:00Z');

function provisioned(): AnchorStore {
  const store = new AnchorStore();
  store.keys = [Buffer.from(key, 'base64')];
  return store;
}
const changed = (change: (envelope: { payload: string; payloadType: string; signatures: { sig: string }[] }) => unknown): string => {
  const envelope = JSON.parse(message);
  change(envelope);
  return JSON.stringify(envelope);
};
/** The payload with one thing changed, and the signature as it was. */
const forged = (change: (payload: Record<string, unknown>) => unknown): string =>
  changed((envelope) => {
    const payload = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
    change(payload);
    envelope.payload = Buffer.from(JSON.stringify(payload)).toString('base64');
  });

describe('the test vector', () => {
  it('is taken by a device that knows the key, and confirmed with the digest of the page', () => {
    const store = provisioned();
    expect(store.accept(message, { now })).toBe('taken');
    expect(store.anchors.map(({ subject }) => subject).sort()).toEqual(['CN=servers 1', 'CN=servers 2']);
    expect(JSON.parse(store.confirmation())).toEqual({ v: 1, sequence: 1764115200, digest });
  });

  it('reads the same at the operator', () => {
    const read = decode(message);
    expect(read && digestOf(read)).toBe(digest);
  });

  it.each<[what: string, text: string, verdict: string]>([
    ['nothing', '', 'malformed'],
    ['of another type', changed((envelope) => Object.assign(envelope, { payloadType: 'text/plain' })), 'malformed'],
    ['without a signature', changed((envelope) => Object.assign(envelope, { signatures: [] })), 'not signed by a key that is known'],
    ['with a later sequence', forged((payload) => Object.assign(payload, { sequence: 2e9 })), 'not signed by a key that is known'],
    ['with an anchor less', forged((payload) => void (payload.anchors as string[]).pop()), 'not signed by a key that is known'],
    ['without anchors', forged((payload) => Object.assign(payload, { anchors: [] })), 'malformed'],
    ['too large', `${message}${' '.repeat(100_000)}`, 'malformed'],
  ])('is refused when it is %s', (_what, text, verdict) => {
    const store = provisioned();
    expect(store.accept(text, { now })).toBe(verdict);
    expect(store.anchors).toEqual([]);
  });

  it('is refused after its end, and by a device with another key; without a key only on trust', () => {
    expect(provisioned().accept(message, { now: Date.parse('2126-01-01T00:00:00Z') })).toBe('expired');
    const another = provisioned();
    another.keys = [Buffer.from(key, 'base64').fill(7)];
    expect(another.accept(message, { now })).toBe('not signed by a key that is known');
    expect(another.accept(message, { now, trusted: true })).toBe('not signed by a key that is known');
    expect(new AnchorStore().accept(message, { now })).toBe('not signed by a key that is known');
    expect(new AnchorStore().accept(message, { now, trusted: true })).toBe('taken');
  });

  it('survives no change of one byte as another set, at the device or at the operator', () => {
    fc.assert(
      fc.property(fc.nat(message.length - 1), fc.nat(127), (at, value) => {
        const text = message.slice(0, at) + String.fromCharCode(value) + message.slice(at + 1);
        const store = provisioned();
        if (store.accept(text, { now }) === 'taken') expect(store.digest).toBe(digest);
        const read = decode(text);
        if (read !== undefined) expect(digestOf(read)).toBe(digest);
      }),
      { numRuns: 3_000 },
    );
  });
});
