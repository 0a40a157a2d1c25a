// Games with the order, the audience and the time of directives. The attacker holds the directive CA of the site, so it can always say which of the genuine releases a
// device runs, and it can keep others from saying it; it cannot say what is genuine.
import type { Attack } from './attacks.ts';

const MOST = Number.MAX_SAFE_INTEGER;
const EXHAUSTED = { seq: MOST, fence: MOST };

export const orders: readonly Attack[] = [
  {
    name: 'a directive by a CA of its own',
    ends: 'dropped: certificate',
    act: ({ order, loot: { genuine } }) => order(genuine.next, { by: 'ownCa' }),
  },
  {
    name: 'a directive by the key of another site',
    ends: 'dropped: certificate',
    act: ({ order, loot: { genuine } }) => order(genuine.next, { by: 'otherSite' }),
  },
  {
    name: 'a directive by a certificate that has run out',
    ends: 'dropped: certificate',
    act: ({ order, loot: { genuine } }) => order(genuine.next, { by: 'over' }),
  },
  {
    name: 'a directive that was changed',
    ends: 'dropped: signature',
    act: ({ prey, bytesOf, loot: { genuine } }) => {
      const envelope = JSON.parse(bytesOf(genuine.next, {}).toString());
      const { payload } = JSON.parse(bytesOf(genuine.older, {}).toString());
      return prey.send(Buffer.from(JSON.stringify({ ...envelope, payload })));
    },
  },
  {
    name: 'the directive of another device',
    ends: 'dropped: audience',
    act: ({ order, loot: { genuine } }) => order(genuine.next, { fields: { aud: 'thermo-18.berlin' } }),
  },
  {
    name: 'a directive that has expired',
    ends: 'Rejected 6',
    act: ({ order, prey, loot: { genuine } }) => order(genuine.next, { fields: { iat: prey.time() - 100, exp: prey.time() - 1 } }),
  },
  {
    name: 'a directive for ever',
    ends: 'dropped: form',
    act: ({ order, prey, loot: { genuine } }) => order(genuine.next, { fields: { exp: prey.time() + 32 * 86_400 } }),
  },
  {
    name: 'a directive of 20,000 bytes',
    ends: 'dropped: envelope',
    act: ({ prey, bytesOf, loot: { genuine } }) => prey.send(Buffer.concat([bytesOf(genuine.next, {}), Buffer.alloc(20_000, ' ')])),
  },
  {
    name: 'an old directive again',
    ends: 'dropped: sequence',
    act: async ({ prey, bytesOf, order, loot: { genuine } }) => {
      const before = bytesOf(genuine.older, {});
      await prey.send(before);
      await order(genuine.next);
      await prey.send(before);
    },
  },
  {
    name: 'an old directive that could not be taken then, after a newer release',
    ends: 'dropped: sequence',
    act: async ({ prey, bytesOf, order, loot: { genuine } }) => {
      const before = bytesOf(genuine.older, {});
      await order(genuine.next);
      await prey.send(before);
    },
  },
  {
    name: 'the sequence used up, and a fresh certificate with a release below the counter',
    ends: 'Rejected 4',
    act: async ({ order, loot: { genuine } }) => {
      await order(genuine.next, { fields: EXHAUSTED });
      await order(genuine.older, { by: 'newer', fields: { seq: 1, fence: 0 } });
    },
  },
  {
    name: 'the sequence used up, and more of it',
    ends: 'dropped: fence',
    act: async ({ order, loot: { genuine } }) => {
      await order(genuine.next, { fields: EXHAUSTED });
      await order(genuine.older);
    },
  },
  {
    name: 'the same number with another content',
    ends: 'dropped: sequence',
    act: async ({ order, forged, loot: { genuine, stolen } }) => {
      await order(genuine.next, { fields: { seq: 1_900_000_000_000 } });
      await order(forged(stolen), { fields: { seq: 1_900_000_000_000 } });
    },
  },
  {
    name: 'an older certificate of the site',
    ends: 'dropped: epoch',
    act: ({ order, loot: { genuine } }) => order(genuine.next, { by: 'older' }),
  },
  {
    name: 'a certificate of the next century, without the nonce of the device',
    ends: 'dropped: echo',
    act: ({ order, loot: { genuine } }) => order(genuine.next, { by: 'future', fields: { echo: 'f'.repeat(32) } }),
  },
  {
    name: 'a certificate of the next century, which puts all others out of use',
    ends: 'dropped: epoch',
    act: async ({ order, forged, loot: { genuine, stolen } }) => {
      await order(forged(stolen), { by: 'future' });
      await order(genuine.next, { by: 'newer' });
    },
  },
  {
    name: 'a release below the floor while the clock is turned back and forth',
    ends: 'Rejected 4',
    act: async ({ order, prey, loot: { genuine } }) => {
      for (const clock of ['of 1970', 'after the roots have expired', 'right'] as const) {
        prey.setClock(clock);
        await prey.restart();
        await order(genuine.belowFloor);
      }
    },
  },
  {
    name: 'a new release after the roots have expired',
    ends: 'Rejected 6',
    act: ({ order, prey, loot: { genuine } }) => {
      prey.setClock('after the roots have expired');
      return order(genuine.next);
    },
  },
  {
    name: 'a new release instead of the one that is being tested',
    ends: 'Confirmed',
    act: async ({ order, prey, forged, loot: { genuine, stolen } }) => {
      await order(genuine.failing);
      await order(forged(stolen));
      await prey.restart();
      await order(genuine.older);
    },
  },
];
