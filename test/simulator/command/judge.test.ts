// Whatever comes, it is judged: nothing throws, and what is not exactly a command is none.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { seal } from '../firmware/envelope.ts';
import { type Facts, judge } from './judge.ts';
import { der, type Sender, type SiteCa, sender, siteCa } from './testing/senders.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const TYPE = 'application/vnd.hedgerow.command.v1+json';
const TOPIC = 'cmd/fans.berlin/fan-1.berlin/speed';
const GOOD = {
  ...{ v: 1, aud: 'fan-1.berlin', seq: NOW, nonce: 'd'.repeat(32), iat: NOW, exp: NOW + 60_000, name: 'speed', args: { percent: 60 } },
};

let ca: SiteCa;
let own: Sender;
beforeAll(async () => {
  ca = await siteCa('devices of berlin', NOW);
  own = await sender(ca, 'gateway.berlin', NOW, { algorithm: 'Ed25519' });
});

const facts = (floors: Facts['floors'] = {}): Facts => ({
  ...{ segment: 'fans.berlin', device: 'fan-1.berlin', cas: [new X509Certificate(der(ca))], revoked: new Set<string>(), now: NOW, floors },
  grants: [{ sender: 'gateway.berlin', commands: ['speed'] }],
});

/** Signed as it should be, whatever it says. */
function signed(payload: string): Buffer {
  const { signatures, ...rest } = seal(TYPE, Buffer.from(payload), createPrivateKey(own.keyPem)) as { signatures: object[] };
  return Buffer.from(JSON.stringify({ ...rest, signatures: [{ ...signatures[0], x5c: [der(own).toString('base64')] }] }));
}

describe('what a device judges', () => {
  it('may be any bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.json().map(Buffer.from)), (bytes) => {
        expect(judge(TOPIC, bytes, facts()).verdict).toBe('refused');
      }),
    );
  });

  it('may be a good signature over anything', () => {
    const strange = fc.oneof(fc.jsonValue(), fc.constantFrom(null, '', 0, -1, 1.5, 2 ** 53, [], {}, 'fan-1.berlin', 'SPEED'));
    const changed = fc.record(Object.fromEntries(Object.keys(GOOD).map((field) => [field, strange])), { requiredKeys: [] });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          changed.map((fields) => JSON.stringify({ ...GOOD, ...fields })),
        ),
        (payload) => {
          const judged = judge(TOPIC, signed(payload), facts());
          if (judged.verdict === 'refused') return;
          const { seq, nonce, iat, exp, args, ...names } = JSON.parse(payload) as typeof GOOD & Record<string, unknown>;
          expect(names).toEqual({ v: 1, aud: GOOD.aud, name: GOOD.name });
          expect([seq, iat, exp].every((one) => Number.isSafeInteger(one) && one >= 1) && /^[0-9a-f]{32}$/.test(nonce)).toBe(true);
          expect(iat < exp && exp - iat <= 3_600_000 && exp > NOW && typeof args === 'object').toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('of a seventeenth sender has no room, and the sixteen go on', () => {
    const floor = { epoch: 1, seq: 1, nonce: '' };
    const others = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`sender-${n}.berlin`, floor]));
    const { 'sender-0.berlin': _, ...fifteen } = others;
    const bytes = signed(JSON.stringify(GOOD));
    expect(judge(TOPIC, bytes, facts(others))).toEqual({ verdict: 'refused', why: 'room' });
    expect(judge(TOPIC, bytes, facts({ ...fifteen, 'gateway.berlin': floor })).verdict).toBe('new');
  });
});
