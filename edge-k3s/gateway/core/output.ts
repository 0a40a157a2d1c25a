// What the core gives out: what is to be said of an event, with the names as the site knows them. Only the gate (egress/gate.ts) makes a message of it, and says
// whether it may leave.
import type { EgressMessage } from '../../../operator/api/egress.ts';

export type Output = {
  /** `<segment>.<site>`; empty where it is about the site. */
  segment: string;
  /** `<device>.<site>`; empty where it is about more than one. */
  device: string;
  /** The end of its key. It follows from the events alone, is another one for each thing that is said, and has no name of a device in it. */
  id: string;
  /** By which it is one of many in the spool: of a trend its stream, of an alert what it is about. Has no name of a device that is not in `device`. */
  subject: string;
  rev: number;
  fromMs: number;
  toMs: number;
  body: Body<EgressMessage>;
};

type Common = 'v' | 'site' | 'key' | 'rev' | 'fromMs' | 'toMs';
/** Of an erased device the reference is in the body: the site does not know its name any more. */
export type Body<M> = M extends { type: 'Erased' }
  ? Omit<M, Common>
  : M extends EgressMessage
    ? Omit<M, Common | 'segment' | 'device'>
    : never;
