import { describe, expect, it } from 'vitest';
import { newKey, parsedRoot, publics, rootBy } from '../../../operator/firmware/testing/trust.ts';
import { nextRoot, releaseOf } from './root.ts';
import { makeSite } from './testing/site.ts';

describe('a trust root', () => {
  it('comes only from the one before it, by the thresholds of both', () => {
    const [anna, bela, cora, release] = [newKey(), newKey('P-256'), newKey(), newKey()];
    const first = rootBy([anna, bela], {
      root: { add: publics([anna, bela]), threshold: 2 },
      targets: { add: publics([release]), threshold: 1 },
    });
    const before = parsedRoot(first);
    const change = { before, root: { add: publics([cora]), remove: [bela.public.keyid] } };
    const second = rootBy([anna, bela, cora], change);
    const one = nextRoot(first, undefined);
    const two = nextRoot(second, one);
    expect(two).toMatchObject({ version: 2 });
    // Not signed by enough of the one before; not by enough of its own; the same again; one skipped; one that nobody here knows.
    expect(nextRoot(rootBy([anna, cora], change), one)).toBeUndefined();
    expect(nextRoot(rootBy([anna, bela], change), one)).toBeUndefined();
    expect(nextRoot(second, two)).toBeUndefined();
    const third = rootBy([anna, cora, bela], { before: parsedRoot(second), root: { add: publics([bela]) } });
    expect(nextRoot(third, two)).toMatchObject({ version: 3 });
    expect(nextRoot(third, one)).toBeUndefined();
    expect(nextRoot(first, two)).toBeUndefined();
  });

  it('any byte of it changed, and it is none', async () => {
    const { firstRoot, secondRoot } = await makeSite();
    const first = nextRoot(firstRoot, undefined);
    for (let at = 0; at < secondRoot.length; at += 3) {
      const changed = Buffer.from(secondRoot);
      changed[at] = (changed[at] ?? 0) ^ 0x02;
      const next = nextRoot(changed, first);
      // A space for another one changes nothing that was signed.
      if (next !== undefined) expect(JSON.parse(changed.toString()).signed, `byte ${at}`).toEqual(JSON.parse(secondRoot.toString()).signed);
    }
  });

  it('says who signs releases: each key counts once', async () => {
    const { firstRoot, image, keys } = await makeSite();
    const root = nextRoot(firstRoot, undefined);
    const of = (...by: number[]) =>
      image(
        { version: '1.0.0', securityCounter: 1 },
        by.flatMap((at) => keys[at] ?? []),
      ).statement;
    if (root === undefined) throw new Error('no root');
    expect(releaseOf(of(0, 1), root)).toMatchObject({ version: '1.0.0' });
    expect(releaseOf(of(0, 2), root)).toMatchObject({ version: '1.0.0' });
    expect(releaseOf(of(0), root)).toBe(1);
    expect(releaseOf(Buffer.from('{}'), root)).toBe(1);
  });
});
