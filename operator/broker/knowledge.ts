// Everything this process knows about the broker. Lost with the process: the first pass reads it all again.

import type { Why } from './acl-compile.ts';
import type { AclText } from './acl-text.ts';
import type { HeldBan, RecordRule } from './emqx.ts';
import type { Finding } from './posture.ts';
import { createShelf, type Shelf } from './shelf.ts';

export type Knowledge = {
  /** The file source as last read or confirmed; undefined before the first contact. */
  text: { kind: AclText; raw: string; inForce: boolean } | undefined;
  bans: Shelf<HeldBan>;
  records: Shelf<RecordRule[]>;
  findings: Finding[];
  /** The CAs with which its TLS listener was seen, and the file in which EMQX keeps them. */
  trust: { cas: ReadonlySet<string>; pem: string; file: string } | undefined;
  /** Segments whose rights were confirmed, and what these are. */
  segments: Map<string, string>;
  excluded: Map<string, Why>;
  /** Names the text that was confirmed, where the canary has a right in it; undefined when none is in force. */
  digest: string | undefined;
  /** The text that was made cannot be sent: why. */
  textProblem: string | undefined;
  /** A whole pass went through since the process started. */
  complete: boolean;
  /** This process has seen that the broker is ours: whatever text stands there later is drift, not a first contact. */
  established: boolean;
  /** The broker may have lost something: read everything before the next write. */
  suspect: boolean;
};

export function createKnowledge(): Knowledge {
  return {
    text: undefined,
    bans: createShelf(),
    records: createShelf(),
    findings: [],
    trust: undefined,
    segments: new Map(),
    excluded: new Map(),
    digest: undefined,
    textProblem: undefined,
    complete: false,
    established: false,
    suspect: true,
  };
}

/** Whether this process may write to the broker. */
export function mayWrite(knowledge: Knowledge): boolean {
  return knowledge.text !== undefined && knowledge.text.kind.kind !== 'foreign';
}

export const modeOf = (knowledge: Knowledge): 'owned' | 'guest' => (knowledge.text?.kind.kind === 'guest' ? 'guest' : 'owned');
