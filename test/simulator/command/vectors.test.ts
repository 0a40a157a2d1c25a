import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openEnvelope } from '../firmware/envelope.ts';
import { type Facts, judge } from './judge.ts';
import { heardList } from './revoked.ts';
import { readVectors } from './vectors/vectors.ts';

const vectors = readVectors();
const cas = vectors.cas.map((der) => new X509Certificate(Buffer.from(der, 'base64')));
const nothing = { thisUpdateMs: 0, serials: new Set<string>() };
const [ca] = cas;
if (ca === undefined) throw new Error('no CA in the vectors');
const revoked = (await heardList(nothing, Buffer.from(vectors.crl, 'base64'), ca)).serials;
const facts = (now: number | null = vectors.now): Facts => ({ ...vectors, cas, revoked, now: now ?? undefined });
const topicOf = (topic?: string): string => topic ?? `cmd/${vectors.segment}/${vectors.device}/speed`;

describe('the test vectors, as the reference device reads them', () => {
  it.each(vectors.commands.map((one) => [one.name, one] as const))('%s', (_, { topic, envelope, verdict, why, now }) => {
    const judged = judge(topicOf(topic), Buffer.from(envelope), facts(now));
    expect({ verdict: judged.verdict, ...('why' in judged ? { why: judged.why } : {}) }).toEqual({
      verdict,
      ...(why === undefined ? {} : { why }),
    });
  });

  it('any byte of a good command changed, and it is refused; but for the hint, which nobody reads', () => {
    const [good] = vectors.commands;
    const bytes = Buffer.from(good?.envelope ?? '');
    const hint = { from: bytes.indexOf('"keyid":"'), to: bytes.indexOf('","sig"') };
    for (let at = 0; at < bytes.length; at++) {
      if (at >= hint.from && at < hint.to) continue;
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x04;
      expect(judge(topicOf(), changed, facts()).verdict, `byte ${at}`).toBe('refused');
    }
  });

  it('a good one with the list that revokes its certificate not yet heard would be taken: the list is what refuses it', () => {
    const one = vectors.commands.find(({ name }) => name === 'a certificate that is revoked');
    expect(judge(topicOf(), Buffer.from(one?.envelope ?? ''), { ...facts(), revoked: new Set() }).verdict).toBe('new');
  });

  it('an older revocation list, one of somebody else and one that was changed are not listened to', async () => {
    const list = Buffer.from(vectors.crl, 'base64');
    const known = await heardList(nothing, list, ca);
    expect(known.serials.size).toBe(1);
    expect(await heardList(known, list, ca)).toBe(known);
    const changed = Buffer.from(list);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(await heardList(nothing, changed, ca)).toBe(nothing);
    expect(await heardList(nothing, Buffer.from('no list'), ca)).toBe(nothing);
  });
});

it('openssl verifies the signature of the first over the bytes of the page, and not over others', () => {
  const dir = mkdtempSync(join(tmpdir(), 'hedgerow-command-'));
  try {
    const read = openEnvelope(Buffer.from(vectors.commands[0]?.envelope ?? ''), 8192);
    const [signature] = read?.signatures ?? [];
    const leaf = signature?.x5c[0];
    if (read === undefined || signature === undefined || leaf === undefined) throw new Error('no envelope');
    const file = (name: string, bytes: Uint8Array | string): string => {
      writeFileSync(join(dir, name), bytes);
      return join(dir, name);
    };
    const key = file('key.pem', new X509Certificate(leaf).publicKey.export({ type: 'spki', format: 'pem' }));
    const sig = file('sig', signature.sig);
    const verified = (payload: Buffer): number | null => {
      const bytes = file('bytes', Buffer.concat([Buffer.from(`DSSEv1 ${read.type.length} ${read.type} ${payload.length} `), payload]));
      return spawnSync('openssl', ['dgst', '-sha256', '-verify', key, '-signature', sig, bytes]).status;
    };
    expect(verified(read.payload)).toBe(0);
    expect(verified(Buffer.concat([read.payload, Buffer.from(' ')]))).toBe(1);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
