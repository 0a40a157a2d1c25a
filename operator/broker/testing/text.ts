// What the ACL text that the compiler makes of some rights answers to a device, for tests of other rooms.
import { compileAcl } from '../acl-compile.ts';
import { decide } from '../acl-decide.ts';
import { lint } from '../acl-lint.ts';
import { printBlock } from '../acl-text.ts';
import type { SegmentRights } from '../broker.ts';

export type Attempt = { device: string; segment: string; action: 'publish' | 'subscribe'; topic: string };

/** The answer for one set of rights, compiled once. */
export function brokerOf(rights: readonly SegmentRights[]): (attempt: Attempt) => boolean {
  const { rules } = compileAcl({ segments: rights, refused: new Map(), age: () => 0, mode: 'owned' });
  const why = lint(printBlock(rules, 'owned'), rules);
  if (why !== undefined) throw new Error(`the text is not what was meant: ${why}`);
  return ({ device, segment, action, topic }) => {
    const client = { clientid: device, username: 'f'.repeat(32), ip: '10.0.0.1', attributes: { seg: segment } };
    return decide(rules, client, { action, topic })?.permission === 'allow';
  };
}
