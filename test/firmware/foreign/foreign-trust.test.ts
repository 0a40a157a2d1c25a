// Roots and envelopes against python-tuf and securesystemslib, which nobody here wrote: what one side makes the other takes, and what one refuses so does the other.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canonical } from '../../../operator/firmware/canonical-json.ts';
import { envelopeText, merged, signed, unsigned } from '../../../operator/firmware/envelope.ts';
import { verifyRelease } from '../../../operator/firmware/release.ts';
import { readRoot } from '../../../operator/firmware/root.ts';
import { advance } from '../../../operator/firmware/root-chain.ts';
import { makeKey, signingKey } from '../../../operator/firmware/signing-key.ts';
import { statementOf } from '../../../operator/firmware/statement.ts';
import { readJson } from '../../../operator/firmware/strict-json.ts';
import {
  type Editable,
  edited,
  NOW,
  newKey,
  parsedRoot,
  publics,
  releaseFacts,
  rootBy,
  sha256,
} from '../../../operator/firmware/testing/trust.ts';
import { type Installed, installPython } from '../../harness/python.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const REQUIREMENTS = here('requirements.txt');
const INSTALL_MS = 600_000;
let installed: Installed;

beforeAll(async () => {
  const version = sha256(readFileSync(REQUIREMENTS)).slice(0, 12);
  installed = await installPython(
    `python-tuf-${version}`,
    ['--require-hashes', '--requirement', REQUIREMENTS],
    'import tuf.api.metadata, securesystemslib.dsse, cryptography',
  );
  if ('missing' in installed) console.log(`tests against python-tuf are skipped: ${installed.missing}`);
}, INSTALL_MS);
beforeEach((context) => 'missing' in installed && context.skip(installed.missing));

function ask<T>(order: object): T {
  const path = 'path' in installed ? installed.path : '';
  const { stdout, stderr, status } = spawnSync(path, [here('trust.py')], {
    input: JSON.stringify(order),
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

type Made = { roots: string[]; rootKeys: string[]; releaseKeys: string[]; releasePems: string[] };
type Verdict = { version?: number; keyids?: string[]; error?: string };
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
const statement = statementOf(releaseFacts());

function walked(chain: readonly Uint8Array[]): ReturnType<typeof advance> {
  return advance(sha256(chain[0] ?? new Uint8Array()), undefined, new Map(chain.map((file, at) => [`${at + 1}.root.json`, file])), NOW);
}

describe('roots', () => {
  it('that python-tuf makes are taken, with its key ids, thresholds and expiry', () => {
    const made = ask<Made>({ do: 'make-roots' });
    const chain = walked(made.roots.map(bytes));
    if (!chain.ok) return expect.fail(chain.problem.code);
    expect(chain.root).toMatchObject({
      version: 2,
      root: { threshold: 2 },
      targets: { threshold: 2 },
      expiresAt: Date.UTC(2031, 0, 2, 3, 4, 5),
    });
    expect(chain.root.root.keys.map(({ keyid }) => keyid).sort()).toEqual(made.rootKeys);
    expect(chain.root.targets.keys.map(({ keyid }) => keyid)).toEqual(made.releaseKeys);
  });

  it('of ours are taken by its client, and both refuse the same', () => {
    const keys = [newKey(), newKey('P-256'), newKey()];
    const [anna, ben, cleo] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
    const one = rootBy([anna, ben], { root: { add: publics([anna, ben]), threshold: 2 }, targets: { add: publics([cleo]) } });
    const swap = { add: publics([cleo]), remove: [anna.public.keyid] };
    const before = parsedRoot(one);
    const two = rootBy([anna, ben, cleo], { before, root: swap });
    const change = (edit: (json: Editable) => void): Buffer[] => [one, edited(two, edit)];
    const chains: Record<string, Buffer[]> = {
      good: [one, two],
      'signed by its own keys only': [one, rootBy([ben, cleo], { before, root: swap })],
      'signed by those before only': [one, rootBy([anna, ben], { before, root: swap })],
      'first root half signed': [rootBy([anna], { root: { add: publics([anna, ben]), threshold: 2 }, targets: { add: publics([cleo]) } })],
      'the same again': [one, two, two],
      'one skipped': [one, rootBy([ben, cleo], { before: parsedRoot(two) })],
      'one back': [one, two, one],
      'another expiry': change((json) => (json.signed.expires = '2099-01-01T00:00:00Z')),
      'another threshold': change((json) => (json.signed.roles.root.threshold = 1)),
      'a signature of others': change((json) => (json.signatures[0].sig = json.signatures[2].sig)),
      'a signature twice': change((json) => json.signatures.push(json.signatures[0])),
      'a field more, signed by nobody': change((json) => (json.signed.x = 1)),
      'a field more beside': change((json) => (json.x = 1)),
      'no JSON': [one, Buffer.from('{')],
    };
    const verdicts = ask<Verdict[]>({ do: 'walk-roots', chains: Object.values(chains).map((chain) => chain.map(base64)) });
    const theirs = Object.keys(chains).map((name, at) => [name, verdicts[at]?.version ?? 'refused']);
    const ours = Object.entries(chains).map(([name, chain]) => {
      const result = walked(chain);
      return [name, result.ok ? result.root.version : 'refused'];
    });
    expect(theirs).toEqual(ours);
    expect(ours.filter(([, verdict]) => verdict !== 'refused').map(([name]) => name)).toEqual(['good', 'a field more beside']);
    expect(verdicts[0]?.keyids).toEqual([ben, cleo].map((key) => key.public.keyid).sort());
  });

  it('are written in one canonical form', () => {
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 3 },
        fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.string({ unit: 'grapheme' }), tie('node'), { maxKeys: 4 }),
      ),
    })).node;
    const texts = [...fc.sample(value, 300).map((one) => JSON.stringify(one)), '{"\u{1F600}":1,"\uFF61":2}', '"\\u0000\\"\\\\"'];
    const theirs = ask<string[]>({ do: 'canonical', texts });
    expect(texts.map((text) => base64(canonical(readJson(Buffer.from(text)))))).toEqual(theirs);
  });
});

describe('envelopes', () => {
  it('that securesystemslib signs are taken when right, and refused when altered', () => {
    const made = ask<Made>({ do: 'make-roots' });
    const root = readRoot(bytes(made.roots[1] ?? ''));
    const envelope = Buffer.from(JSON.stringify(ask({ do: 'sign-envelope', payload: base64(statement), pems: made.releasePems })));
    expect(verifyRelease(envelope, root)).toMatchObject({ ok: true, value: { facts: releaseFacts(), signers: made.releaseKeys } });
    const code = (altered: Uint8Array): string => {
      const result = verifyRelease(altered, root);
      return result.ok ? 'ok' : result.problem.code;
    };
    expect(code(edited(envelope, (json) => (json.payload = base64(statementOf(releaseFacts({ securityCounter: 8 }))))))).toBe('HR-FW-024');
    expect(code(edited(envelope, (json) => json.signatures.pop()))).toBe('HR-FW-024');
    expect(code(edited(envelope, (json) => (json.signatures[0].sig = json.signatures[1].sig)))).toBe('HR-FW-024');
    // Somebody else's keys, one of ours missing.
    const half = ask<object>({ do: 'sign-envelope', payload: base64(statement), pems: [made.releasePems[0], makeKey('P-256').privatePem] });
    expect(code(Buffer.from(JSON.stringify(half)))).toBe('HR-FW-024');
  });

  it('of ours verify there, and not when altered', () => {
    const keys = [newKey(), newKey('P-256')];
    const root = rootBy([newKey()], { root: { add: publics(keys) }, targets: { add: publics(keys), threshold: 2 } });
    const good = keys.reduce(signed, unsigned(statement));
    const other = keys.reduce(signed, unsigned(statementOf(releaseFacts({ version: '2.4.1' }))));
    const envelopes = [good, { ...good, payload: other.payload }, keys.slice(1).reduce(signed, unsigned(statement)), merged(good, [])].map(
      (one) => JSON.parse(envelopeText(one)) as object,
    );
    const verdicts = ask<Verdict[]>({ do: 'check-envelopes', root: base64(root), envelopes });
    const both = keys.map((key) => key.public.keyid).sort();
    expect(verdicts).toEqual([{ keyids: both }, { error: 'VerificationError' }, { error: 'VerificationError' }, { keyids: both }]);
  });
});

describe('keys', () => {
  it('have the same id here and there, from files of either', () => {
    const ours = [makeKey('ed25519').privatePem, makeKey('P-256').privatePem];
    const theirs = ask<Made>({ do: 'make-roots' });
    const pems = [...ours, ...theirs.releasePems];
    expect(ask<string[]>({ do: 'key-ids', pems })).toEqual(pems.map((pem) => signingKey(pem).public.keyid));
    expect(theirs.releasePems.map((pem) => signingKey(pem).public.keyid)).toEqual(theirs.releaseKeys);
  });
});
