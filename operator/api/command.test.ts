import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Facts, judge } from '../../test/simulator/command/judge.ts';
import { der, type SiteCa, sender, siteCa } from '../../test/simulator/command/testing/senders.ts';
import { type Command, type CommandSigner, commandProblem, commandTopic, nextSeq, readCommandSigner } from './command.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const SEGMENT = 'fans.berlin';
const command = (fields: Partial<Command> = {}): Command => ({
  v: 1,
  aud: 'fan-1.berlin',
  seq: NOW,
  nonce: 'd'.repeat(32),
  iat: NOW,
  exp: NOW + 60_000,
  name: 'speed',
  args: { percent: 60 },
  ...fields,
});

let ca: SiteCa;
beforeAll(async () => {
  ca = await siteCa('devices of berlin', NOW);
});

async function signerOf(...[name, wanted, between]: [string, Parameters<typeof sender>[3]?, SiteCa[]?]): Promise<CommandSigner> {
  const { keyPem, chainPem } = await sender(between?.[0] ?? ca, name, NOW, wanted, between);
  const signer = readCommandSigner(keyPem, chainPem);
  if ('problem' in signer) throw new Error(signer.problem);
  return signer;
}

const facts = (): Facts => ({
  segment: SEGMENT,
  device: 'fan-1.berlin',
  cas: [new X509Certificate(der(ca))],
  grants: [{ sender: 'gateway.berlin', commands: ['speed'] }],
  revoked: new Set(),
  now: NOW,
  floors: {},
});

describe('a command that is signed here', () => {
  it('is taken by the reference device, whatever its args, by either kind of key and by an intermediate CA', async () => {
    const between = await siteCa('devices of berlin, 2026', NOW, ca);
    const signers = await Promise.all([
      signerOf('gateway.berlin'),
      signerOf('gateway.berlin', { algorithm: 'Ed25519' }),
      signerOf('gateway.berlin', {}, [between]),
    ]);
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 10 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }), (args) => {
        const made = command({ args });
        if (commandProblem(made) !== undefined) return;
        for (const signer of signers)
          expect(judge(commandTopic(SEGMENT, made), signer.sign(made), facts())).toMatchObject({
            verdict: 'new',
            sender: 'gateway.berlin',
            command: JSON.parse(JSON.stringify(made)) as Command,
          });
      }),
      { numRuns: 40 },
    );
  });

  it.each<[string, Partial<Command>, RegExp]>([
    ['a seq of nothing', { seq: 0 }, /seq/],
    ['a nonce that is none', { nonce: 'D'.repeat(32) }, /nonce/],
    ['valid for longer than an hour', { exp: NOW + 3_600_001 }, /exp/],
    ['valid for no time', { exp: NOW }, /exp/],
    ['a name of two levels', { name: 'speed/up' }, /level of a topic/],
    ['long args', { args: { text: 'x'.repeat(1024) } }, /args/],
  ])('%s: what devices refuse is said before it is sent', (_name, fields, problem) => {
    expect(commandProblem(command(fields))).toMatch(problem);
    expect(commandProblem(command())).toBeUndefined();
  });
});

describe('who may sign', () => {
  it.each<[string, Parameters<typeof sender>[3], RegExp]>([
    ['a key of another kind', { algorithm: 'P-384' }, /P-256 or Ed25519/],
    ['the certificate of a server', { usages: ['1.3.6.1.5.5.7.3.1'] }, /device/],
    ['the certificate of a CA', { isCa: true }, /device/],
    ['a subject of another form', { subject: 'CN=gateway.berlin' }, /device/],
  ])('not %s', async (_name, wanted, problem) => {
    const { keyPem, chainPem } = await sender(ca, 'gateway.berlin', NOW, wanted);
    expect(readCommandSigner(keyPem, chainPem)).toEqual({ problem: expect.stringMatching(problem) });
  });

  it('not with the key of another certificate, nor without a key; and nothing of the key is in what is said', async () => {
    const [mine, other] = await Promise.all(['gateway.berlin', 'gateway.berlin'].map((name) => sender(ca, name, NOW)));
    expect(readCommandSigner(other?.keyPem ?? '', mine?.chainPem ?? '')).toEqual({ problem: expect.stringMatching(/not that of/) });
    const cut = (mine?.keyPem ?? '').slice(0, 100);
    const { problem } = readCommandSigner(cut, mine?.chainPem ?? '') as { problem: string };
    expect(problem).toMatch(/no PEM/);
    expect(problem).not.toContain(cut.slice(40, 80));
    expect(readCommandSigner(mine?.keyPem ?? '', '')).toHaveProperty('problem');
  });
});

it('numbers rise, also when the clock is set back, and when the memory of the last one is lost', () => {
  expect(nextSeq(NOW, 0)).toBe(NOW);
  expect(nextSeq(NOW, NOW)).toBe(NOW + 1);
  expect(nextSeq(NOW - 86_400_000, NOW + 1)).toBe(NOW + 2);
});
