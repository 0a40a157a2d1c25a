// Bytes from a server that does what it likes, and slots that are filled and started in any order.
import type { Attack } from './attacks.ts';
import type { Page } from './prey.ts';

export const downloads: readonly Attack[] = [
  download('a bit that is turned', 'Failed 2', (bytes) => Buffer.from(bytes.map((byte, at) => (at === 900 ? byte ^ 1 : byte)))),
  download('an image that ends early', 'Failed 8', (bytes) => bytes.subarray(0, 1000)),
  download('an image that never ends', 'Failed 2', () => async (_, __, most) => ({ bytes: Buffer.alloc(10 * most + 1_000_000, 0x66) })),
  download('the right image that never ends', 'Confirmed', (bytes) => async (_, from) => ({
    bytes: Buffer.concat([bytes.subarray(from), Buffer.alloc(1_000_000, 0x66)]),
  })),
  download('an image that is never there', 'Failed 8', () => async () => ({ status: 503 })),
  download('connections that always break', 'Failed 8', () => async () => 'broken'),
  {
    name: 'an image that is another one from its middle on',
    ends: 'Failed 2',
    act: ({
      order,
      forged,
      loot: {
        stolen,
        genuine: { next },
      },
    }) => {
      const evil = forged(stolen).bytes;
      return order(next, { bytes: async (_, from) => ({ bytes: (from < 700 ? next.bytes : evil).subarray(from, from + 700) }) });
    },
  },
  {
    name: 'a good image staged, a bad one over it, and the good one to be started',
    ends: 'Rejected 5',
    act: async ({
      order,
      forged,
      loot: {
        stolen,
        genuine: { next, older },
      },
    }) => {
      await order(next, { action: 'Stage' });
      await order(older, { action: 'Stage', bytes: forged(stolen).bytes });
      await order(next, { action: 'Activate' });
    },
  },
  {
    name: 'a good image staged, and another one to be started',
    ends: 'Rejected 5',
    act: async ({
      order,
      forged,
      loot: {
        stolen,
        genuine: { next },
      },
    }) => {
      await order(next, { action: 'Stage' });
      await order(forged(stolen), { action: 'Activate' });
    },
  },
  {
    name: 'half of a good image, and after a restart the rest of a bad one',
    ends: 'Failed 2',
    act: async ({
      order,
      prey,
      forged,
      loot: {
        stolen,
        genuine: { next },
      },
    }) => {
      const evil = forged(stolen).bytes;
      let isDown = false;
      const bytes = async (_: string, from: number) => {
        if (from >= 1400 && !isDown) {
          isDown = true;
          return { status: 500 };
        }
        return { bytes: (isDown ? evil : next.bytes).subarray(from, from + 700) };
      };
      await order(next, { bytes });
      await prey.restart();
    },
  },
  {
    name: 'back to the image of the factory',
    ends: 'Rejected 5',
    act: ({
      order,
      loot: {
        genuine: { factory },
      },
    }) => order(factory, { action: 'Revert' }),
  },
];

function download(name: string, ends: string, bytes: (image: Buffer) => Page): Attack {
  return {
    name,
    ends,
    act: ({
      order,
      loot: {
        genuine: { next },
      },
    }) => order(next, { bytes: bytes(next.bytes) }),
  };
}
