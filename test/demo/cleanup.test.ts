import { expect, it } from 'vitest';
import { createCleanup } from './cleanup.ts';

it('ends what was started latest first', async () => {
  const seen: string[] = [];
  const cleanup = createCleanup();
  for (const what of ['cluster', 'broker', 'operator']) cleanup.add(what, async () => seen.push(what));
  expect(await cleanup.run()).toEqual([]);
  expect(seen).toEqual(['operator', 'broker', 'cluster']);
});

it('a step that fails or hangs is named, and the others are done all the same', async () => {
  const seen: string[] = [];
  const cleanup = createCleanup(20);
  cleanup.add('cluster', async () => seen.push('cluster'));
  cleanup.add('broker', () => Promise.reject(new Error('no such process')));
  cleanup.add('operator', () => new Promise(() => undefined));
  expect(await cleanup.run()).toEqual(['operator: not done within 0.02 s', 'broker: no such process']);
  expect(seen).toEqual(['cluster']);
});

it('is done once, however often it is asked for', async () => {
  let times = 0;
  const cleanup = createCleanup();
  cleanup.add('cluster', async () => {
    times += 1;
  });
  await Promise.all([cleanup.run(), cleanup.run()]);
  expect(times).toBe(1);
});
