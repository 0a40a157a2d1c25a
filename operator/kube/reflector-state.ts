// The reflector as a state machine: which request comes next, given how the last one ended. Pure; in the spirit of kube-rs' watcher.
import { KubeError } from './errors.ts';

export type State =
  /** Nothing is known, or what is known is too old: take in the whole state, as a stream of events or page by page. */
  | { phase: 'empty'; how: 'stream' | 'pages'; why: RelistReason }
  /** Between two pages. */
  | { phase: 'paging'; continueToken: string }
  /** `strikes`: how often in a row a watch from this version failed in a way that more waiting does not explain. */
  | { phase: 'watching'; resourceVersion: string; strikes: number };

export type RelistReason = 'first' | 'gone' | 'failed' | 'bad-events';

/** How a request ended. `resourceVersion` is the last one seen, `''` while the initial state was incomplete. */
export type Ending =
  | { kind: 'page'; continueToken: string }
  | { kind: 'listed'; resourceVersion: string }
  /** The server ended the watch: its timeout, or a restart. */
  | { kind: 'ended'; resourceVersion: string }
  /** No byte, not even a bookmark, for longer than the idle limit. */
  | { kind: 'idle'; resourceVersion: string }
  /** The connection broke, in the middle of an event or not, or could not be made. */
  | { kind: 'cut'; resourceVersion: string }
  /** 410: this resource version or continue token is no longer kept. */
  | { kind: 'gone' }
  /** The server does not do WatchList. */
  | { kind: 'unsupported' }
  /** Any other answer that is an error, in a head or in an ERROR event, and events that are none. */
  | { kind: 'refused'; resourceVersion: string; reason: string };

/** A bad event or a refusal at one version may be that version's fault: the third in a row starts anew. */
const MAX_STRIKES = 3;

export const initialState = (streaming: boolean): State => ({ phase: 'empty', how: streaming ? 'stream' : 'pages', why: 'first' });

export function next(state: State, ending: Ending, streaming: boolean): State {
  const anew = (why: RelistReason): State => ({ phase: 'empty', how: streaming ? 'stream' : 'pages', why });
  switch (ending.kind) {
    case 'page':
      return { phase: 'paging', continueToken: ending.continueToken };
    case 'listed':
      return { phase: 'watching', resourceVersion: ending.resourceVersion, strikes: 0 };
    case 'gone':
      // Also in mid-list: the "inconsistent" token that the 410 offers would leave the first pages older than the version to watch from, and changes to them would be lost.
      return anew('gone');
    case 'unsupported':
      return { phase: 'empty', how: 'pages', why: state.phase === 'empty' ? state.why : 'failed' };
    case 'ended':
    case 'idle':
    case 'cut':
      // The continue token outlives a broken connection; should it not, the next answer is a 410.
      if (state.phase === 'paging') return state;
      return ending.resourceVersion === ''
        ? anew(whyOf(state))
        : { phase: 'watching', resourceVersion: ending.resourceVersion, strikes: 0 };
    case 'refused':
      return refused(state, ending.resourceVersion, anew);
  }
}

/** What an error of a request means. `resuming` is the version it asked for or had reached, `''` for none. */
export function endingOf(error: unknown, asked: State, resumed: string): Ending {
  if (!(error instanceof KubeError)) return { kind: 'cut', resourceVersion: resumed };
  if (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone') return { kind: 'gone' };
  if (asked.phase === 'empty' && asked.how === 'stream' && resumed === '' && saysUnsupported(error)) return { kind: 'unsupported' };
  if (error.status === 0 && error.reason !== 'BadEvent') return { kind: 'cut', resourceVersion: resumed };
  return { kind: 'refused', resourceVersion: resumed, reason: error.reason };
}

/** 422 with the feature off, 400 from servers that do not know the parameter, 500 from aggregated servers that trip over it. */
function saysUnsupported(error: KubeError): boolean {
  return error.status === 422 || error.status === 400 || (error.status === 500 && error.retryAfterMs === undefined);
}

function refused(state: State, resourceVersion: string, anew: (why: RelistReason) => State): State {
  if (state.phase === 'paging') return anew('failed');
  if (resourceVersion === '') return anew(whyOf(state));
  const strikes = state.phase === 'watching' && state.resourceVersion === resourceVersion ? state.strikes + 1 : 1;
  return strikes >= MAX_STRIKES ? anew('bad-events') : { phase: 'watching', resourceVersion, strikes };
}

const whyOf = (state: State): RelistReason => (state.phase === 'empty' ? state.why : 'failed');
