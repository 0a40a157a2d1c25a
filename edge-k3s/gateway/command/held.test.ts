import { expect, it } from 'vitest';
import type { Order } from '../rules/rules.ts';
import { holdOrders } from './held.ts';

const order = (seq: number): Order => ({
  ...{ rule: 'r', segment: 'fans.berlin', device: 'fan-1.berlin', name: 'speed', args: {}, seq, nonce: '', iat: 1, exp: 2 },
});

it('a command goes out when its own event is on disk, in order, and never when that fails', async () => {
  const sent: number[] = [];
  const held = holdOrders(({ seq }) => void sent.push(seq));
  const [first, second, third] = [1, 2, 3].map(() => Promise.withResolvers<void>());
  held.order(order(1));
  held.order(order(2));
  held.until(first?.promise ?? Promise.resolve());
  held.until(Promise.resolve());
  held.order(order(3));
  held.until(second?.promise ?? Promise.resolve());
  held.order(order(4));
  await Promise.resolve();
  expect(sent).toEqual([]);
  first?.resolve();
  await first?.promise;
  await Promise.resolve();
  expect(sent).toEqual([1, 2]);
  second?.reject(new Error('the disk'));
  held.until(third?.promise ?? Promise.resolve());
  third?.resolve();
  await third?.promise;
  await Promise.resolve();
  expect(sent).toEqual([1, 2, 4]);
});
