// Devices that lie, as what they send. Each takes what the honest agent would have published and gives what goes out in its place.

export type Liar = (topic: 'hello' | 'state' | 'log', payload: string) => string[];
type Said = { state?: string; digest: string; boot: number; n: number; securityCounter: number };

/** Counts "written" as success: the commonest fault of all (hawkBit#3185). The old image runs. */
export const saysConfirmed = (): Liar => changed('Staged', (said) => ({ ...said, state: 'Confirmed', code: undefined, staged: undefined }));

/** Runs the old image and says of itself whatever a device would say that runs `target`. */
export const forger = (target: { digest: string; securityCounter: number }): Liar =>
  changed('Staged', ({ ...said }) => ({
    ...said,
    ...{ state: 'Confirmed', digest: target.digest, securityCounter: target.securityCounter, boot: said.boot + 1, n: 1, staged: undefined },
  }));

/** Sends everything again later, the oldest last. */
export function replayer(): Liar {
  const before: string[] = [];
  return (topic, payload) => {
    if (topic !== 'state') return [payload];
    before.unshift(payload);
    return [payload, ...before];
  };
}

/** Forgets its counters with each start. */
export const resetter = (): Liar => (topic, payload) => {
  if (topic === 'log') return [payload];
  return [JSON.stringify({ ...(JSON.parse(payload) as Said), boot: 1 })];
};

/** Sends what is no message at all between its own. */
export const spammer = (): Liar => (_, payload) => ['{}', payload.slice(0, payload.length >> 1), 'x'.repeat(5000), payload];

/** From the state `at` on it says something else, and nothing true any more. */
function changed(at: string, change: (said: Said) => Record<string, unknown>): Liar {
  let isLying = false;
  return (topic, payload) => {
    if (topic !== 'state') return isLying ? [] : [payload];
    const said = JSON.parse(payload) as Said;
    if (said.state === at) {
      isLying = true;
      return [JSON.stringify(change(said))];
    }
    return isLying ? [] : [payload];
  };
}
