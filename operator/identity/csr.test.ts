import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CsrVerdict, MAX_CSR_CHARS, verifyCsr } from './csr.ts';
import { dictatedSubject, opensslCommand, type Subject } from './subject.ts';

const subject = dictatedSubject({ name: 'thermo-17', namespace: 'berlin', segment: 'office' }) as Subject;
let directory: string;
let good: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'csr-'));
  // The command that refusals print is the one that makes the good request here.
  const [program, ...args] = opensslCommand(subject).split(' ');
  execFileSync(program as string, args, { cwd: directory, stdio: 'pipe' });
  good = execFileSync('openssl', ['req', '-in', 'thermo-17.csr'], { cwd: directory, encoding: 'utf8' });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function code(verdict: CsrVerdict): string {
  return verdict.ok ? 'ok' : verdict.code;
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}

function pemOf(der: Buffer): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}

describe('verifyCsr', () => {
  it('accepts the request that the printed openssl command makes', () => {
    const verdict = verifyCsr(good, subject);
    expect(verdict).toMatchObject({ ok: true, keyKind: 'P-256' });
    expect(verdict.ok && verdict.pem).toBe(good);
  });

  it('accepts CRLF and one long base64 line, and hands on its own encoding', () => {
    for (const pem of [good.replaceAll('\n', '\r\n'), pemOf(derOf(good))]) {
      const verdict = verifyCsr(pem, subject);
      expect(verdict.ok && verdict.pem).toBe(good);
    }
  });

  it('refuses a request of another device and prints the command for this one', () => {
    const other = dictatedSubject({ name: 'thermo-18', namespace: 'berlin', segment: 'office' }) as Subject;
    const verdict = verifyCsr(good, other);
    expect(verdict).toMatchObject({ ok: false, code: 'HR-ID-009' });
    expect(verdict.ok === false && verdict.message).toContain('-subj /O=hedgerow/OU=office.berlin/CN=thermo-18.berlin');
    expect(verdict.ok === false && verdict.message).toContain('"O=hedgerow, OU=office.berlin, CN=thermo-17.berlin"');
  });

  it('names a missing, an oversized and a doubled PEM by their codes', () => {
    expect(code(verifyCsr(undefined, subject))).toBe('HR-ID-001');
    expect(code(verifyCsr(' \n', subject))).toBe('HR-ID-001');
    expect(code(verifyCsr(good + 'A'.repeat(MAX_CSR_CHARS), subject))).toBe('HR-ID-003');
    expect(code(verifyCsr(good + good, subject))).toBe('HR-ID-002');
    expect(code(verifyCsr(`junk\n${good}`, subject))).toBe('HR-ID-002');
  });

  it('never throws and never lets another subject or key through, whatever bytes are changed', () => {
    const der = derOf(good);
    const original = verifyCsr(good, subject);
    const change = fc.record({ at: fc.nat(der.length - 1), to: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const mutated = Buffer.from(der);
        for (const { at, to } of changes) mutated[at] = to;
        const verdict = verifyCsr(pemOf(mutated), subject);
        // Only the signature's own bytes may differ in a request that passes (ECDSA is malleable); what was signed may not.
        if (verdict.ok && !mutated.equals(der)) expect(original.ok && verdict.spki === original.spki).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses every change of a single byte of what was signed', () => {
    const der = derOf(good);
    const signedEnd = 4 + 2 + (der[5] === 0x81 ? 1 : 0) + (der[5] === 0x81 ? (der[6] as number) : (der[5] as number));
    for (let at = 0; at < Math.min(signedEnd, der.length); at++) {
      for (const flip of [0x01, 0x20, 0x80]) {
        const mutated = Buffer.from(der);
        mutated[at] = (mutated[at] as number) ^ flip;
        expect(code(verifyCsr(pemOf(mutated), subject)), `byte ${at} xor ${flip}`).not.toBe('ok');
      }
    }
  });

  it('never throws on truncation, insertion or arbitrary text', () => {
    const der = derOf(good);
    for (let length = 0; length < der.length; length += 7) expect(code(verifyCsr(pemOf(der.subarray(0, length)), subject))).not.toBe('ok');
    fc.assert(
      fc.property(fc.nat(der.length), fc.uint8Array({ minLength: 1, maxLength: 6 }), (at, bytes) => {
        expect(code(verifyCsr(pemOf(Buffer.concat([der.subarray(0, at), bytes, der.subarray(at)])), subject))).not.toBe('ok');
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(code(verifyCsr(text, subject))).not.toBe('ok');
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(code(verifyCsr(pemOf(Buffer.from(bytes)), subject))).not.toBe('ok');
      }),
    );
  }, 60_000);

  it('survives thousands of nested structures', () => {
    const nested = Buffer.concat([Buffer.alloc(2900, Buffer.from([0x30, 0x80])), Buffer.alloc(2900)]);
    expect(code(verifyCsr(pemOf(nested), subject))).not.toBe('ok');
  });
});
