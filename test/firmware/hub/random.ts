// Moves of an attacker who tries what comes to its mind. Right values are the likely ones: a directive with everything wrong is dropped at its first check.
import fc from 'fast-check';
import type { SigningKey } from '../../../operator/firmware/signing-key.ts';
import { parsedRoot, publics, rootBy } from '../../../operator/firmware/testing/trust.ts';
import type { Cut } from '../../simulator/firmware/flash.ts';
import type { Directive } from '../../simulator/firmware/form.ts';
import type { Image } from '../../simulator/firmware/testing/site.ts';
import { around, type Hand, renamed, rootsUpTo } from './hand.ts';
import type { Genuine, Loot, Signers } from './loot.ts';
import { CLOCKS, type Page } from './prey.ts';

const GENUINE = [
  ...(['next', 'older', 'current', 'failing', 'belowFloor', 'belowCounter', 'factory', 'otherHardware', 'otherComponent'] as const),
] satisfies (keyof Genuine)[];
const SIGNERS = ['newer', 'older', 'future', 'over', 'otherSite', 'ownCa'] as const satisfies (keyof Signers)[];
const MOST = Number.MAX_SAFE_INTEGER;

/** Most often the first. */
const mostly = <const A, const B>(right: A, ...wrong: B[]): fc.Arbitrary<A | B> =>
  fc.oneof(
    { weight: 3 + wrong.length, arbitrary: fc.constant<A | B>(right) },
    { weight: wrong.length, arbitrary: fc.constantFrom<A | B>(...wrong) },
  );

export type Move = {
  image: (typeof GENUINE)[number] | 'evil';
  action: Directive['action'];
  by: keyof Signers;
  statement: 'own' | 'of another' | 'renamed' | 'wrapped';
  bytes: 'right' | 'turned' | 'short' | 'swapped' | 'endless' | 'evil' | 'broken';
  artifact: 'right' | 'of evil' | 'lower';
  roots: 'none' | 'forged' | 'first' | 'second';
  order: 'next' | 'lower fence' | 'used up' | 'expired' | 'no echo' | 'again' | 'of another device';
  afterwards: 'nothing' | 'restart' | (typeof CLOCKS)[number];
  /** Of the first move: when the power goes in all of it. */
  cut: { after: number; what: Cut } | undefined;
};

export const move: fc.Arbitrary<Move> = fc.record({
  image: fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...GENUINE) }, { weight: 1, arbitrary: fc.constant<'evil'>('evil') }),
  action: mostly('Install', 'Stage', 'Activate', 'Revert', 'Cancel'),
  by: mostly('first', ...SIGNERS),
  statement: mostly('own', 'of another', 'renamed', 'wrapped'),
  bytes: mostly('right', 'turned', 'short', 'swapped', 'endless', 'evil', 'broken'),
  artifact: mostly('right', 'of evil', 'lower'),
  roots: mostly('none', 'forged', 'first', 'second'),
  order: mostly('next', 'lower fence', 'used up', 'expired', 'no echo', 'again', 'of another device'),
  afterwards: mostly('nothing', 'restart', ...CLOCKS),
  cut: fc.option(
    fc.record({
      after: fc.integer({ min: 1, max: 80 }),
      what: fc.constantFrom<Cut>('all written', 'unsynced lost', { torn: 9 }, { garbage: 9 }),
    }),
    { nil: undefined },
  ),
});

/** `keys`: the release keys that the attacker has. */
export async function play(
  hand: Hand,
  { image, action, by, statement, bytes, artifact, roots, order, afterwards }: Move,
  keys: readonly SigningKey[],
): Promise<void> {
  const { loot, prey } = hand;
  const evil = hand.forged(keys);
  const what = artifactOf(image === 'evil' ? evil : loot.genuine[image], evil, artifact);
  putRoots(hand, roots);
  if (order === 'again' && prey.heard.sent !== undefined) await prey.send(prey.heard.sent);
  await hand.order(what, {
    ...{ action, by, fields: fieldsOf(hand, what, action, { roots, order }) },
    ...{ statement: statementAs(statement, what, loot), bytes: pageOf(bytes, what.bytes, evil.bytes) },
  });
  if (afterwards === 'restart') await prey.restart();
  else if (afterwards !== 'nothing') prey.setClock(afterwards);
}

function artifactOf(image: Image, evil: Image, change: Move['artifact']): Image {
  if (change === 'right') return image;
  return change === 'lower' ? { ...image, securityCounter: 0 } : { ...image, digest: evil.digest, bytes: evil.bytes };
}

function statementAs(how: Move['statement'], image: Image, { genuine, stolen, third }: Loot): Buffer {
  if (how === 'of another') return genuine.next.statement;
  if (how === 'renamed')
    return renamed(
      image,
      publics([...stolen, third]).map(({ keyid }) => keyid),
    );
  return how === 'wrapped' ? around(image, genuine.next) : image.statement;
}

function pageOf(how: Move['bytes'], right: Buffer, evil: Buffer): Page {
  if (how === 'right') return right;
  if (how === 'turned') return Buffer.from(right.map((byte, at) => (at === right.length >> 1 ? byte ^ 1 : byte)));
  if (how === 'short') return right.subarray(0, right.length >> 1);
  if (how === 'evil') return evil;
  if (how === 'broken') return async () => 'broken';
  if (how === 'endless') return async (_, from) => ({ bytes: Buffer.concat([right.subarray(from), Buffer.alloc(300_000, 1)]) });
  return async (_, from) => ({ bytes: (from < 700 ? right : evil).subarray(from, from + 700) });
}

function putRoots({ loot, prey }: Hand, which: Move['roots']): void {
  const { own, firstRoot, secondRoot } = loot;
  const third =
    which === 'forged'
      ? rootBy(own, { before: parsedRoot(secondRoot), root: { add: publics(own) }, targets: { add: publics(own) } })
      : undefined;
  prey.web.set('https://fw/roots/3.root.json', third ?? (which === 'first' ? firstRoot : secondRoot));
}

type Wish = Pick<Move, 'roots' | 'order'>;

function fieldsOf({ prey }: Hand, image: Image, action: Move['action'], { roots, order }: Wish): Partial<Directive> {
  const brings = action === 'Install' || action === 'Stage';
  return {
    ...(brings && roots !== 'none' ? rootsUpTo(image, 3) : {}),
    ...(order === 'lower fence' ? { fence: 0 } : {}),
    ...(order === 'used up' ? { seq: MOST, fence: MOST } : {}),
    ...(order === 'expired' ? { iat: prey.time() - 9, exp: prey.time() - 1 } : {}),
    ...(order === 'no echo' ? { echo: 'f'.repeat(32) } : {}),
    ...(order === 'of another device' ? { aud: 'thermo-18.berlin' } : {}),
  };
}
