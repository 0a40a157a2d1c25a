// The text of rights for a growing number of segments: rules, bytes, and the time from the policies to the text. The reference is a text with rules of each segment,
// made from the same rights: a broker of 5.8 copies it for each connection, and cuts everybody off from 6,604 rules on.
import { compileAcl } from '../../operator/broker/acl-compile.ts';
import { printBlock } from '../../operator/broker/acl-text.ts';
import { LISTENER_RIGHTS, ROLLOUT_RIGHTS, type SegmentRights } from '../../operator/broker/broker.ts';
import { plainText } from '../../operator/broker/testing/plain-text.ts';
import { rightsOfAll, servicePolicies } from '../../operator/segments/testing/service-fleet.ts';
import type { Bench } from './figure.ts';

const SIZES = [10, 500, 2_000];
const ROUNDS = 5;
const REFERENCE = 'rules of its own for each segment';

export const aclBench: Bench = {
  name: 'acl',
  about: `the rights of ${SIZES.join(', ')} segments of five shapes, two services that read half of them among them, with those of drivers and of the listener: rules, bytes, time`,
  async *run({ n, rounds = ROUNDS, progress }) {
    for (const size of n === undefined ? SIZES : [n]) {
      progress(`${size} segments, the fastest of ${rounds}`);
      const runs = Array.from({ length: rounds }, () => [timed(size, grouped), timed(size, plainText)] as const);
      const [first] = runs;
      if (first === undefined) return;
      const [ours, plain] = first;
      const fastest = (at: 0 | 1): number => Math.min(...runs.map((run) => run[at].seconds));
      const common = { n: size, reference: REFERENCE };
      yield { figure: 'rules', value: ours.rules, unit: 'rules', ...common, referenceValue: plain.rules };
      yield {
        figure: 'bytes',
        value: Buffer.byteLength(ours.text),
        unit: 'bytes',
        ...common,
        referenceValue: Buffer.byteLength(plain.text),
      };
      yield { figure: 'compile', value: fastest(0), unit: 's', ...common, referenceValue: fastest(1) };
    }
  },
};

type Text = { text: string; rules: number };

function grouped(segments: readonly SegmentRights[]): Text {
  const { rules, excluded } = compileAcl({ segments, refused: new Map(), age: () => 0, mode: 'owned' });
  if (excluded.size > 0) throw new Error(`${excluded.size} segments are left out`);
  return { text: printBlock(rules, 'owned'), rules: rules.length };
}

/** From policies that nobody has read yet: what did not change is not read again. */
function timed(size: number, compile: (segments: readonly SegmentRights[]) => Text): Text & { seconds: number } {
  const policies = servicePolicies(size);
  const startedAt = performance.now();
  const text = compile([ROLLOUT_RIGHTS, LISTENER_RIGHTS, ...rightsOfAll(policies)]);
  return { ...text, seconds: (performance.now() - startedAt) / 1000 };
}
