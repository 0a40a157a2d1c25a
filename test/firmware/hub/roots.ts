// Trust roots that nobody who holds the keys of roots has made, and those that they have, in another order.
import { parsedRoot, publics, rootBy } from '../../../operator/firmware/testing/trust.ts';
import type { Attack } from './attacks.ts';
import { rootsUpTo } from './hand.ts';
import type { Loot } from './loot.ts';

export const roots: readonly Attack[] = [
  root('root 3 by its own keys', ({ own, secondRoot }) =>
    rootBy(own, {
      before: parsedRoot(secondRoot),
      root: { add: publics(own), remove: parsedRoot(secondRoot).root.keys.map(({ keyid }) => keyid) },
      targets: { add: publics(own) },
    }),
  ),
  root('root 3 by its own keys beside the right ones', ({ own, secondRoot }) =>
    rootBy(own, { before: parsedRoot(secondRoot), root: { add: publics(own) }, targets: { add: publics(own) } }),
  ),
  root('root 3 by release keys', ({ own, stolen, secondRoot }) =>
    rootBy(stolen, { before: parsedRoot(secondRoot), root: { add: publics(stolen) }, targets: { add: publics(own) } }),
  ),
  root('root 3 that nobody has signed', ({ own, secondRoot }) =>
    rootBy([], { before: parsedRoot(secondRoot), targets: { add: publics(own) } }),
  ),
  root('another first root in the place of root 3', ({ own }) =>
    rootBy(own, { root: { add: publics(own), threshold: 2 }, targets: { add: publics(own), threshold: 3 } }),
  ),
  root('root 1 in the place of root 3', ({ firstRoot }) => firstRoot),
  root('root 2 in the place of root 3', ({ secondRoot }) => secondRoot),
  root('root 2 with another version', ({ secondRoot }) => Buffer.from(secondRoot.toString().replace('"version": 2', '"version": 3'))),
  root('a root that never ends', () => Buffer.alloc(1_000_000, ' ')),
  root('a root that is none', () => Buffer.from('{"signed":{"_type":"root","version":3},"signatures":[]}')),
  {
    name: 'root 4 and no root 3',
    ends: 'Failed 8',
    act: ({ order, prey, forged, loot: { own, secondRoot } }) => {
      prey.web.set('https://fw/roots/4.root.json', rootBy(own, { before: parsedRoot(secondRoot), targets: { add: publics(own) } }));
      const evil = forged(own);
      return order(evil, { fields: rootsUpTo(evil, 4) });
    },
  },
  {
    name: 'back to root 1, under which its keys were enough',
    ends: 'Rejected 1',
    act: ({ order, prey, forged, loot: { retired, firstRoot } }) => {
      prey.web.set('https://fw/roots/1.root.json', firstRoot);
      const evil = forged(retired);
      return order(evil, { fields: rootsUpTo(evil, 1) });
    },
  },
];

function root(name: string, make: (loot: Loot) => Buffer): Attack {
  return {
    name,
    ends: 'Rejected 1',
    act: ({ order, prey, forged, loot }) => {
      prey.web.set('https://fw/roots/3.root.json', make(loot));
      const evil = forged(loot.own);
      return order(evil, { fields: rootsUpTo(evil, 3) });
    },
  };
}
