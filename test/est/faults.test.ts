// Writes that fail before or after they took effect, of the EST servers and of the operator alike, while two thieves of each token race: one certificate a token.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { seededRandom } from '../../operator/runtime/random.ts';
import { type Answer, pemOf, startWorld, type World } from './world.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const DEVICES = 24;
const MOST_TRIES = 200;
let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => await world?.end());

it.each([1, 2])('24 devices, two replicas, a fifth of all writes lost or refused (seed %i)', async (seed) => {
  const random = seededRandom(seed);
  const second = await world.startEst();
  const names = Array.from({ length: DEVICES }, (_, n) => `d${seed}-${n}`);
  for (const name of names) {
    await world.addDevice(name);
    await world.giveToken(name, `token-of-${name}-0123456789`);
  }
  // Made before: openssl would hold up the servers in this process while it works.
  const clients = names.flatMap((name) => [world.port, second].map((port) => ({ name, port, body: world.makeRequest(name).body })));
  let faults = 0;
  world.api.faults = () => {
    const dice = random();
    if (dice > 0.2) return undefined;
    faults += 1;
    return { when: dice < 0.1 ? 'before' : 'after', status: dice < 0.05 ? 500 : 0 };
  };

  /** Does what RFC 7030 tells a client to: the same request again, until it has an answer that is final. */
  async function persist({ name, port, body }: (typeof clients)[number]): Promise<Answer> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const answer = await world.ask('simpleenroll', { port, body, token: [`${name}.berlin`, `token-of-${name}-0123456789`] });
      if (answer.status !== 503 && answer.status !== 202 && answer.status !== 429) return answer;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${name} had no answer after ${MOST_TRIES} tries`);
  }
  const answers = await Promise.all(clients.map(async (client) => ({ ...client, answer: await persist(client) })));
  world.api.faults = () => undefined;

  expect(faults).toBeGreaterThan(DEVICES);
  for (const name of names) {
    const [won, lost] = [200, 401].map((status) => answers.filter((one) => one.name === name && one.answer.status === status));
    expect({ name, won: won?.length, lost: lost?.length }).toEqual({ name, won: 1, lost: 1 });
    const entries = world.ledger().filter((entry) => entry.device === `${name}.berlin`);
    const handedOut = new X509Certificate(pemOf(world.ssl, won?.[0]?.answer as Answer));
    expect(entries.map(({ sha256 }) => sha256)).toEqual([handedOut.fingerprint256.replaceAll(':', '').toLowerCase()]);
    await expect.poll(() => world.device(name)?.status?.certificate, { timeout: 30_000 }).toContain(handedOut.toString().trim());
  }
});
