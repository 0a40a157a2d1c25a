// Everything that the attacker can try with what it holds, one by one. `ends`: what a device with a right clock answers, so that each is refused for its own reason and
// not for a mistake in the attack; Confirmed where the model says that the hub may: among the releases that were signed and are not below the device's floor, it chooses.
import { publics } from '../../../operator/firmware/testing/trust.ts';
import type { Directive } from '../../simulator/firmware/form.ts';
import { downloads } from './downloads.ts';
import { around, type Hand, renamed } from './hand.ts';
import type { Loot } from './loot.ts';
import { orders } from './orders.ts';
import { roots } from './roots.ts';

export type Attack = { name: string; ends: string; act(hand: Hand): Promise<void> };

const ids = (keys: Loot['own']): string[] => publics(keys).map(({ keyid }) => keyid);

/** An image of its own, with signatures of whatever it has. */
const forgeries: Attack[] = [
  forgery('an image without a signature', () => []),
  forgery('an image by keys of its own', ({ own }) => own),
  forgery('an image by two of the three keys needed', ({ stolen }) => stolen),
  forgery('an image by two keys and one of its own', ({ stolen, own }) => [...stolen, ...own]),
  forgery('an image by three keys that root 2 has put out', ({ retired }) => retired),
  forgery('an image by two keys and all that were put out', ({ stolen, retired }) => [...stolen, ...retired]),
  {
    name: 'an image by its own keys under the names of the right ones',
    ends: 'Rejected 1',
    act: ({ order, forged, loot: { own, stolen, third } }) => {
      const evil = forged(own);
      return order(evil, { statement: renamed(evil, ids([...stolen, third])) });
    },
  },
  {
    name: 'two signatures, one of them twice under another name',
    ends: 'Rejected 1',
    act: ({ order, forged, loot: { stolen, own, third } }) => {
      const evil = forged([...stolen, ...own.slice(0, 1)]);
      const [first = '', second = ''] = ids(stolen);
      const twice = JSON.parse(evil.statement.toString());
      twice.signatures = [...twice.signatures.slice(0, 2), { ...twice.signatures[0], keyid: ids([third])[0] }];
      twice.signatures.push({ ...twice.signatures[1], keyid: first }, { ...twice.signatures[0], keyid: second });
      return order(evil, { statement: Buffer.from(JSON.stringify(twice)) });
    },
  },
  {
    name: 'the signatures of a genuine release around another statement',
    ends: 'Rejected 1',
    act: ({ order, forged, loot: { genuine, stolen } }) => {
      const evil = forged(stolen);
      return order(evil, { statement: around(evil, genuine.next) });
    },
  },
  {
    name: 'a statement by the directive key',
    ends: 'Rejected 1',
    act: ({ order, forged, bytesOf, loot: { stolen, genuine } }) => {
      const evil = forged(stolen);
      const { signatures } = JSON.parse(bytesOf(genuine.next, {}).toString());
      return order(evil, { statement: Buffer.from(JSON.stringify({ ...JSON.parse(evil.statement.toString()), signatures })) });
    },
  },
  {
    name: 'a statement that is a directive',
    ends: 'Rejected 1',
    act: ({ order, bytesOf, loot: { genuine } }) => order(genuine.next, { statement: bytesOf(genuine.next, {}) }),
  },
];

function forgery(name: string, keys: (loot: Loot) => Loot['own']): Attack {
  return { name, ends: 'Rejected 1', act: ({ order, forged, loot }) => order(forged(keys(loot))) };
}

/** Genuine signatures, and something else under them. */
const mixtures: Attack[] = [
  genuine('an older release above the floor, which the hub may choose', 'older', 'Confirmed'),
  genuine('a release below the version floor', 'belowFloor', 'Rejected 4'),
  genuine('a release below the security counter', 'belowCounter', 'Rejected 4'),
  genuine('the image of the factory, whose keys are out', 'factory', 'Rejected 1'),
  genuine('a release that fails its self-test', 'failing', 'RolledBack 10'),
  genuine('a release for other hardware', 'otherHardware', 'Rejected 3'),
  genuine('a release of another component', 'otherComponent', 'Rejected 3'),
  {
    name: 'another component in the directive, and an image of its own',
    ends: 'Rejected 3',
    act: ({ order, forged, loot: { stolen } }) => order(forged(stolen), { fields: { component: 'modem' } }),
  },
  {
    name: 'an image of its own under a genuine statement',
    ends: 'Rejected 2',
    act: async ({
      order,
      forged,
      loot: {
        stolen,
        genuine: { next },
      },
    }) => {
      const { digest, bytes } = forged(stolen);
      await order({ ...next, digest, bytes });
    },
  },
  mismatch('a version that the statement does not have', { version: '2.9.0' }),
  mismatch('a security counter that the statement does not have', { securityCounter: 5 }),
  mismatch('a size that the statement does not have', { size: 4000 }),
  {
    name: 'another genuine statement where the one of the directive should be',
    ends: 'Rejected 2',
    act: ({
      order,
      loot: {
        genuine: { next, older },
      },
    }) => order(next, { statement: older.statement }),
  },
  {
    name: 'the digest of a release below the floor behind one above it',
    ends: 'Rejected 4',
    act: ({
      order,
      loot: {
        genuine: { next, belowFloor },
      },
    }) => order(next, { statement: belowFloor.statement }),
  },
];

function genuine(name: string, which: keyof Loot['genuine'], ends: string): Attack {
  return { name, ends, act: ({ order, loot }) => order(loot.genuine[which]) };
}

function mismatch(name: string, change: Partial<NonNullable<Directive['artifact']>>): Attack {
  return {
    name,
    ends: 'Rejected 2',
    act: ({
      order,
      loot: {
        genuine: { next },
      },
    }) => {
      const { digest, version, securityCounter, bytes } = next;
      const artifact = { digest, version, securityCounter, size: bytes.length, urls: [`https://fw/${digest}`], ...change };
      return order(next, { fields: { artifact } });
    },
  };
}

export const attacks: readonly Attack[] = [...forgeries, ...mixtures, ...downloads, ...roots, ...orders];
