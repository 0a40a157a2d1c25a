import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { readPem } from './chain.ts';
import { evidenceAnnotations, evidenceOf, judgeEvidence, readEvidence } from './evidence.ts';
import { createMaker } from './testing/maker.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const NOW = Date.parse('2026-03-01T00:00:00Z');
const maker = await createMaker();
const namesake = await createMaker();
const read = (...pems: string[]) => pems.flatMap((pem) => readPem(pem) ?? []);
const shown = await (await maker.line('Line 7')).device('A1B2');
const path = read(shown.cert, maker.caPem);
const good = evidenceOf('office', 'a1b2-x', path) as NonNullable<ReturnType<typeof evidenceOf>>;

describe('the evidence in a request', () => {
  it('is read as it was written', () => {
    expect(readEvidence(evidenceAnnotations(good))).toEqual(good);
  });

  it('proves the maker, the serial number and the key of the factory certificate', () => {
    expect(judgeEvidence(good, NOW)).toMatchObject({
      ca: maker.fingerprint,
      serial: 'A1B2',
      factoryKey: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  const device = async (...args: Parameters<typeof maker.device>) => read((await maker.device(...args)).cert, maker.caPem);
  it.each([
    ['without the certificates between', async () => [path[0], path[2]]],
    ['to the CA of another maker with this name', async () => read(shown.cert, namesake.caPem)],
    ['in another order', async () => path.toReversed()],
    ['of a device whose certificate has expired', () => device('A1B2', { notAfter: new Date('2026-02-01') })],
    ['of a device whose certificate begins later', () => device('A1B2', { notBefore: new Date('2026-04-01') })],
    ['of a device with two serial numbers', () => device('A1B2', { moduleSerial: 'C3D4' })],
    ['of a device with a serial number that no Device can have', () => device('A1,B2')],
    ['of nothing', async () => []],
  ] as [string, () => Promise<typeof path>][])('%s proves nothing', async (_name, make) => {
    const evidence = evidenceOf(
      'office',
      'a1b2-x',
      (await make()).filter((one) => one !== undefined),
    );
    expect(evidence && judgeEvidence(evidence, NOW)).toBeUndefined();
  });

  it('that is larger than an annotation may be is none', () => {
    expect(evidenceOf('office', 'a1b2-x', Array(60).fill(path[0]))).toBeUndefined();
  });

  it('of any text proves nothing and does not throw', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(fc.base64String({ maxLength: 80 }), { maxLength: 4 }).map((parts) => parts.join(' ')),
      // A good path with some bytes changed.
      fc
        .tuple(fc.nat(good.path.length - 1), fc.base64String({ minLength: 4, maxLength: 4 }))
        .map(([at, other]) => good.path.slice(0, at) + other + good.path.slice(at + 4)),
    );
    fc.assert(
      fc.property(text, (changed) => {
        const found = judgeEvidence({ ...good, path: changed }, NOW);
        // Nobody signs the CA itself: one that was changed has another fingerprint, which no policy names. Below the CA that was meant, nothing can be changed.
        if (found?.ca === maker.fingerprint) expect(found).toEqual(judgeEvidence(good, NOW));
      }),
      { numRuns: 2_000 },
    );
  });

  it('of any annotations is read or refused', () => {
    const words = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom('office/a1', 'office/a1/b', '/a', '../x', 'A/B'));
    fc.assert(
      fc.property(words, words, (registers, factoryPath) => {
        const found = readEvidence({ 'hedgerow.dev/registers': registers, 'hedgerow.dev/factory-path': factoryPath });
        if (found !== undefined) expect(`${found.segment}/${found.device}`).toMatch(/^[a-z0-9-]+\/[a-z0-9-]+$/);
      }),
    );
  });
});
