import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAcks, type Owed } from './acks.ts';

const idsOf = (bytes: Buffer | undefined): number[] => {
  const ids: number[] = [];
  for (let at = 0; at < (bytes?.length ?? 0); at += 4) {
    expect(bytes?.readUInt16BE(at)).toBe(0x4002);
    ids.push(bytes?.readUInt16BE(at + 2) ?? 0);
  }
  return ids;
};

describe('acknowledgements', () => {
  it('go in the order in which messages came, each once, and none before its message is done', () => {
    const steps = fc.array(fc.oneof(fc.constant('came'), fc.constant('take'), fc.nat(30)), { maxLength: 400 });
    fc.assert(
      fc.property(steps, (all) => {
        const acks = createAcks();
        const came: Owed[] = [];
        const gone: number[] = [];
        for (const step of all) {
          if (step === 'came') {
            const one = { packetId: came.length + 1, isDone: false };
            came.push(one);
            acks.came(one);
          } else if (step === 'take') gone.push(...idsOf(acks.take()));
          else {
            const one = came[gone.length + Number(step)];
            if (one !== undefined) one.isDone = true;
          }
          expect(acks.waiting).toBe(came.length - gone.length);
        }
        gone.push(...idsOf(acks.take()));
        const open = came.findIndex(({ isDone }) => !isDone);
        expect(gone).toEqual(came.slice(0, open === -1 ? undefined : open).map(({ packetId }) => packetId));
      }),
    );
  });

  it('keep nothing of what went', () => {
    const acks = createAcks();
    for (let n = 0; n < 10_000; n++) {
      acks.came({ packetId: (n % 65_535) + 1, isDone: true });
      expect(idsOf(acks.take())).toEqual([(n % 65_535) + 1]);
    }
    expect(acks.waiting).toBe(0);
  });
});
