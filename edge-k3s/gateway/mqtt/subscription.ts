// A lasting subscription at a broker: MQTT 5 over mutual TLS, QoS 1, each message acknowledged when its receiver says so. The library that the tests' devices use hands on
// one message at a time and waits for it: with a disk in between that is one message a commit. What was not acknowledged comes again with the session, or a new connection.
import type { Random } from '../../../operator/kube/ports.ts';
import { type Link, type LinkOptions, type Outgoing, openLink } from './link.ts';
import type { Publish } from './reader.ts';
import { createRefusals } from './refusals.ts';

export type SubscriptionOptions = LinkOptions & {
  filters: readonly string[];
  random: Random;
  /**
   * Each change, with the reason. `refused`: the broker's code for what it does not let this client do; `filters`: of subscriptions, those of which
   * it is the first refusal in this connection. They are asked for again.
   */
  changed(state: { connected: boolean; why: string; refused?: number; filters?: readonly string[] }): void;
};

export type Subscription = {
  /** The message is dealt with: the broker may forget it. */
  acknowledge(message: Publish): void;
  setFilters(filters: readonly string[]): void;
  /** The broker's code; undefined without a connection, when the broker takes no more at once, or when the connection ended first: nobody knows then whether the message went out. */
  publish(message: Outgoing): Promise<number | undefined>;
  /** Another certificate, for example: what is not acknowledged comes again. */
  reconnect(why: string): void;
  readonly connected: boolean;
  /** Acknowledges what is done, and disconnects; the session stays. */
  stop(): Promise<void>;
};

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
/** Rights come with an edit of a policy: whoever made it waits so long. */
const AGAIN_MS = 60_000;

export function subscribe(o: SubscriptionOptions): Subscription {
  const { clock, log } = o;
  let filters = [...new Set(o.filters)];
  let link: Link | undefined;
  let failures = 0;
  let retry: { cancel(): void } | undefined;
  let stopped = false;
  const refusals = createRefusals();
  let again: { cancel(): void } | undefined;

  function askAgain(): void {
    again = undefined;
    if (link?.isOpen !== true) return;
    const due = refusals.due();
    if (due.length > 0) link.subscribe(due);
    if (refusals.waiting > 0) later();
  }
  function later(): void {
    again ??= clock.setTimer(AGAIN_MS, askAgain);
  }
  function refused(code: number, of: readonly string[]): void {
    const news = refusals.refused(of.filter((filter) => filters.includes(filter)));
    if (refusals.waiting > 0) later();
    if (news.length === 0) return;
    const why = `the broker refused the subscription of ${news.join(', ')} with code ${code}`;
    o.changed({ connected: true, why, refused: code, filters: news });
  }

  function open(): void {
    retry = undefined;
    const mine = openLink(o, {
      opened() {
        failures = 0;
        refusals.clear();
        if (filters.length > 0) mine.subscribe(filters);
        o.changed({ connected: true, why: 'connected' });
      },
      refused,
      granted(filters) {
        const late = refusals.granted(filters);
        if (late.length > 0) log.info({ filters: late }, 'the broker lets this client hear what it refused before');
      },
      ended(why, refused) {
        if (link === mine) link = undefined;
        o.changed({ connected: false, why, ...(refused === undefined ? {} : { refused }) });
        if (stopped) return;
        // Full jitter: a site's programs all lose the broker at the same moment.
        const afterMs = o.random() * Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(16, failures));
        failures += 1;
        log.debug({ why, afterMs }, 'the connection to the broker ended');
        retry = clock.setTimer(afterMs, open);
      },
    });
    link = mine;
  }
  open();

  return {
    acknowledge(message) {
      message.isDone = true;
      link?.acknowledge();
    },
    setFilters(wanted) {
      const gone = filters.filter((filter) => !wanted.includes(filter));
      const added = [...new Set(wanted)].filter((filter) => !filters.includes(filter));
      filters = [...new Set(wanted)];
      refusals.drop(gone);
      if (link?.isOpen !== true) return;
      if (added.length > 0) link.subscribe(added);
      if (gone.length > 0) link.unsubscribe(gone);
    },
    publish: (message) => link?.publish(message) ?? Promise.resolve(undefined),
    reconnect: (why) => link?.end(why),
    get connected() {
      return link?.isOpen === true;
    },
    async stop() {
      stopped = true;
      retry?.cancel();
      again?.cancel();
      await link?.close();
    },
  };
}
