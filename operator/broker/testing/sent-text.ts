// The text that EMQX would get for these rights.
import { compileAcl } from '../acl-compile.ts';
import { printBlock } from '../acl-text.ts';
import type { SegmentRights } from '../broker.ts';

export const sentText = (segments: readonly SegmentRights[]): string =>
  printBlock(compileAcl({ segments, refused: new Map(), age: () => 0, mode: 'owned' }).rules, 'owned');
