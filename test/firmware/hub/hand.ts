// What the attacker does at one device: a directive with whatever it says, and whatever stands where it points to.
import type { SigningKey } from '../../../operator/firmware/signing-key.ts';
import { edited } from '../../../operator/firmware/testing/trust.ts';
import type { Directive } from '../../simulator/firmware/form.ts';
import { commander, type Image, type ImageWish, makeImage, NOW } from '../../simulator/firmware/testing/site.ts';
import type { Loot, Signers } from './loot.ts';
import { type Page, type Prey, sealed } from './prey.ts';

export type Order = {
  action?: Directive['action'];
  by?: keyof Signers;
  fields?: Partial<Directive>;
  /** In place of the image's own bytes and its own statement. */
  bytes?: Page;
  statement?: Buffer;
};

export type Hand = ReturnType<typeof handOn>;

export function handOn(loot: Loot, prey: Prey) {
  const { make } = commander({ signer: loot.signers.first });
  let seq = NOW + 1000;
  const bytesOf = (image: Image, { action = 'Install', by = 'first', fields = {}, bytes, statement }: Order): Buffer => {
    seq += 1;
    prey.web.set(`https://fw/${image.digest}`, inPieces(bytes ?? image.bytes));
    prey.web.set(`https://fw/${image.statementDigest}`, statement ?? image.statement);
    const made = make('thermo-17.berlin', action, action === 'Cancel' ? undefined : image, {
      ...{ seq, echo: prey.heard.echo, fence: 9, iat: prey.time(), exp: prey.time() + 86_400 },
    });
    return sealed({ ...made, ...fields } as Directive, loot.signers[by]);
  };
  return {
    loot,
    prey,
    bytesOf,
    order: (image: Image, order: Order = {}): Promise<void> => prey.send(bytesOf(image, order)),
    /** An image of the attacker's own, by these keys. */
    forged: (keys: readonly SigningKey[], change: Partial<ImageWish> = {}): Image =>
      makeImage({ version: '6.6.6', securityCounter: 99, ...change }, keys),
  };
}

/** Smaller than asked for, so that a download has places at which it can be broken off. */
const inPieces = (page: Page): Page =>
  typeof page === 'function' ? page : async (_, from, most) => ({ bytes: page.subarray(from, from + Math.min(most, 700)) });

/** Where roots come from. */
export const rootsUpTo = (image: Image, version: number): Partial<Directive> => ({
  release: { digest: image.statementDigest, urls: [`https://fw/${image.statementDigest}`], roots: { version, url: 'https://fw/roots' } },
});

/** Signatures as they are, under the names of other keys. */
export const renamed = (image: Image, names: readonly string[]): Buffer =>
  edited(image.statement, (envelope) => {
    for (const [at, signature] of envelope.signatures.entries()) signature.keyid = names[at];
  });

/** The signatures of one statement around another. */
export const around = (image: Image, signaturesOf: Image): Buffer =>
  edited(image.statement, (envelope) => {
    envelope.signatures = JSON.parse(signaturesOf.statement.toString()).signatures;
  });
