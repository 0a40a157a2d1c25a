// Who holds what when a hub has fallen. Offline: the release keys of today, three of which have to sign, and the keys of the roots. In the attacker's hands: the API
// server, the broker and the artifacts server, so every directive and every byte that a device is given; the directive CA that devices pin; all roots that ever were; two
// release keys of today, and all that root 2 has put out.
import { X509Certificate } from 'node:crypto';
import { type DirectiveSigner, readDirectiveSigner } from '../../../operator/firmware/directive-signer.ts';
import type { SigningKey } from '../../../operator/firmware/signing-key.ts';
import { newKey, parsedRoot, publics, rootBy } from '../../../operator/firmware/testing/trust.ts';
import { type DirectiveCa, directiveCa, directiveKey } from '../../harness/directive-certificates.ts';
import { type Image, type ImageWish, makeImage, NOW } from '../../simulator/firmware/testing/site.ts';

export const DAY_MS = 86_400_000;
const OTHER_CLASS = '00000000-0000-4000-8000-000000000000';

/** Images that the release keys have signed, so the attacker has them too. Devices run `current`: security counter 5, version floor 2.3.5. */
export type Genuine = Record<
  'factory' | 'current' | 'next' | 'older' | 'belowFloor' | 'belowCounter' | 'failing' | 'otherHardware' | 'otherComponent',
  Image
>;

/** Directive keys that the attacker can make, and one or two that it would like to have. */
export type Signers = Record<'first' | 'newer' | 'older' | 'future' | 'over' | 'otherSite' | 'ownCa', DirectiveSigner>;

export type Loot = {
  firstRoot: Buffer;
  secondRoot: Buffer;
  cas: X509Certificate[];
  genuine: Genuine;
  signers: Signers;
  /** Two of the three release keys of today that are needed. */
  stolen: readonly SigningKey[];
  /** Three that were enough under root 1. */
  retired: readonly SigningKey[];
  own: readonly SigningKey[];
  /** Not in the attacker's hands: for the run that shows that this test can fail. */
  third: SigningKey;
};

export async function makeLoot(): Promise<Loot> {
  const rootKeys = [newKey(), newKey('P-256'), newKey()];
  const retired = [newKey(), newKey('P-256'), newKey()];
  const stolen = [newKey(), newKey('P-256')];
  const [third, fourth] = [newKey(), newKey()];
  const own = [newKey(), newKey(), newKey('P-256')];
  const expiresAt = NOW + 90 * DAY_MS;
  const firstRoot = rootBy(rootKeys, {
    root: { add: publics(rootKeys), threshold: 2 },
    targets: { add: publics([...retired, ...stolen.slice(0, 1)]), threshold: 3 },
    expiresAt,
  });
  const targets = { add: publics([...stolen.slice(1), third, fourth]), remove: publics(retired).map(({ keyid }) => keyid) };
  const secondRoot = rootBy(rootKeys, { before: parsedRoot(firstRoot), targets, expiresAt });
  const ca = await directiveCa('directive CA', NOW);
  return {
    ...{ firstRoot, secondRoot, stolen, retired, own, third },
    cas: [new X509Certificate(ca.pem)],
    genuine: genuineBy([...stolen.slice(0, 1), third, fourth], retired),
    signers: await signersBy(ca),
  };
}

function genuineBy(keys: readonly SigningKey[], before: readonly SigningKey[]): Genuine {
  const made = (wish: ImageWish): Image => makeImage(wish, keys);
  return {
    factory: makeImage({ version: '2.3.0', securityCounter: 4 }, before),
    current: made({ version: '2.4.0', securityCounter: 5, minVersionFloor: '2.3.5' }),
    next: made({ version: '2.6.0', securityCounter: 6 }),
    older: made({ version: '2.3.8', securityCounter: 5 }),
    belowFloor: made({ version: '2.3.1', securityCounter: 5 }),
    belowCounter: made({ version: '2.5.0', securityCounter: 4 }),
    failing: made({ version: '2.5.1', securityCounter: 7, selfTest: 1, minVersionFloor: '2.5.1' }),
    otherHardware: made({ version: '2.6.1', securityCounter: 6, classIds: [OTHER_CLASS] }),
    otherComponent: made({ component: 'modem', version: '2.6.2', securityCounter: 6 }),
  };
}

async function signersBy(ca: DirectiveCa): Promise<Signers> {
  const own = await directiveCa('directive CA', NOW);
  const from = async (days: number, more: Parameters<typeof directiveKey>[2] = {}, by = ca): Promise<DirectiveSigner> => {
    const key = await directiveKey(by, NOW, { notBefore: NOW + days * DAY_MS, ...more });
    // Read at a moment at which it is valid: devices have clocks of their own.
    const read = readDirectiveSigner(key, { site: more?.site ?? 'berlin', now: NOW + days * DAY_MS });
    if (!read.ok) throw new Error(read.problem.code);
    return read.signer;
  };
  return {
    first: await from(-1),
    newer: await from(-0.5),
    older: await from(-20),
    future: await from(20_000),
    over: await from(-2, { notAfter: NOW - DAY_MS }),
    otherSite: await from(-1, { site: 'hamburg' }),
    ownCa: await from(-1, {}, own),
  };
}
