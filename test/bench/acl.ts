// The text of rights for a growing number of segments: rules, bytes, and the time to make it. The reference is what it would be with rules of each segment,
// which a broker of 5.8 copies for each connection, and does not survive from 6,304 on.
import { compileAcl } from '../../operator/broker/acl-compile.ts';
import { printBlock } from '../../operator/broker/acl-text.ts';
import { fleetRights, plainText } from '../../operator/broker/testing/fleet-rights.ts';
import type { Bench } from './figure.ts';

const SIZES = [10, 500, 2_000];
const ROUNDS = 5;
const REFERENCE = 'rules of its own for each segment';

export const aclBench: Bench = {
  name: 'acl',
  about: `the rights of ${SIZES.join(', ')} segments of five shapes, two services that read half of them among them: rules, bytes, time`,
  async *run({ n, rounds = ROUNDS, progress }) {
    for (const size of n === undefined ? SIZES : [n]) {
      progress(`${size} segments, the fastest of ${rounds}`);
      // New values each time: rights that did not change are not read again.
      const ours = Array.from({ length: rounds }, () => timed(() => fleetRights(size), grouped));
      const plain = Array.from({ length: rounds }, () => timed(() => fleetRights(size), plainText));
      const [first, theirs] = [ours[0], plain[0]];
      if (first === undefined || theirs === undefined) return;
      const { rules, text } = first.result;
      const common = { n: size, reference: REFERENCE };
      yield { figure: 'rules', value: rules, unit: 'rules', ...common, referenceValue: theirs.result.rules };
      yield {
        figure: 'bytes',
        value: Buffer.byteLength(text),
        unit: 'bytes',
        ...common,
        referenceValue: Buffer.byteLength(theirs.result.text),
      };
      yield { figure: 'compile', value: fastest(ours), unit: 's', ...common, referenceValue: fastest(plain) };
    }
  },
};

function grouped(segments: ReturnType<typeof fleetRights>): { text: string; rules: number } {
  const { rules, excluded } = compileAcl({ segments, refused: new Map(), age: () => 0, mode: 'owned' });
  if (excluded.size > 0) throw new Error(`${excluded.size} segments are left out`);
  return { text: printBlock(rules, 'owned'), rules: rules.length };
}

type Timed<T> = { result: T; seconds: number };

function timed<I, T>(prepare: () => I, work: (input: I) => T): Timed<T> {
  const input = prepare();
  const startedAt = performance.now();
  const result = work(input);
  return { result, seconds: (performance.now() - startedAt) / 1000 };
}

const fastest = (runs: readonly Timed<unknown>[]): number => Math.min(...runs.map(({ seconds }) => seconds));
