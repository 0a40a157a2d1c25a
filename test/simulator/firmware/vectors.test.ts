import { createPublicKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { judge } from './directive.ts';
import { isSigned, openEnvelope } from './envelope.ts';
import { readVectors } from './vectors/vectors.ts';

const vectors = readVectors();
const cas = vectors.cas.map((der) => new X509Certificate(Buffer.from(der, 'base64')));

describe('the test vectors, as the reference device reads them', () => {
  it.each(vectors.directives.map((one) => [one.name, one] as const))('%s', (_, { envelope, verdict, why, now = vectors.now }) => {
    const judged = judge(Buffer.from(envelope), { ...vectors, cas, now: now ?? undefined });
    expect({ verdict: judged.verdict, ...('why' in judged ? { why: judged.why } : {}) }).toEqual({
      verdict,
      ...(why === undefined ? {} : { why }),
    });
  });

  it('any byte of a good directive changed, and it is dropped; but for the hint, which nobody reads', () => {
    const [good] = vectors.directives;
    const bytes = Buffer.from(good?.envelope ?? '');
    const hint = { from: bytes.indexOf('"keyid":"'), to: bytes.indexOf('","sig"') };
    for (let at = 0; at < bytes.length; at++) {
      if (at >= hint.from && at < hint.to) continue;
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x04;
      expect(judge(changed, { ...vectors, cas, now: vectors.now }).verdict, `byte ${at}`).toBe('dropped');
    }
  });

  it('a boot report is signed by the boot key, unless it says so', () => {
    const key = createPublicKey({ key: Buffer.from(vectors.bootKey, 'base64'), format: 'der', type: 'spki' });
    for (const { name, message } of vectors.confirmations) {
      const { bootReport } = JSON.parse(message) as { bootReport?: unknown };
      if (bootReport === undefined) continue;
      const envelope = openEnvelope(Buffer.from(JSON.stringify(bootReport)), 4096);
      const [signature] = envelope?.signatures ?? [];
      expect(envelope !== undefined && signature !== undefined && isSigned(envelope, signature, key), name).toBe(
        !name.includes('by another key'),
      );
    }
  });
});
