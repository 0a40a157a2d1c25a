// The door of the broker room: what EMQX must hold, kept true by REST. The only room that knows EMQX.
import type { Clock } from '../runtime/clock.ts';
import type { Controller } from '../runtime/controller.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { type AdoptionReport, type AdoptOptions, adoptBroker } from './adopt.ts';
import { brokerMetrics } from './broker-metrics.ts';
import { CANARY as CANARY_NAME } from './canary.ts';
import type { Counted } from './counted.ts';
import { createEmqx, type Emqx } from './emqx.ts';
import { explain } from './errors.ts';
import { createFeed, type FeedOptions } from './feed.ts';
import type { FeedTotals } from './feed-counts.ts';
import { type ClientSight, type FleetSight, lookAtClient, lookAtFleet, lookAtRules, type RulesSight } from './look.ts';
import { LISTENER_RIGHTS as LISTENING, ROLLOUT_RIGHTS as ROLLOUT } from './own-rights.ts';
import { BrokerError, createRest } from './rest.ts';
import { createRetained, type Retained } from './retained.ts';
import { createRoom } from './room.ts';

/** A topic filter with the placeholders `{device}` and `{segment}`. For subscriptions `retain` means nothing. */
export type TopicRight = { topic: string; qosMax?: 0 | 1 | 2; retain?: boolean };

/** What every device of a segment may do; `segment` is `<segment>.<namespace>`. */
export type SegmentRights = { segment: string; publish: TopicRight[]; subscribe: TopicRight[] };

/** One rule of one client, topics literal. Absent `qos` or `retain`: any. */
export type ClientRule = {
  topic: string;
  permission: 'allow' | 'deny';
  action: 'publish' | 'subscribe' | 'all';
  qos?: (0 | 1 | 2)[];
  retain?: boolean;
};

/** `username` is the MD5 of a certificate, `clientid` is `<device>.<namespace>`; `until` is RFC 3339 or `infinity`; `by` begins with `hedgerow/`. */
export type Ban = { as: 'clientid' | 'username'; who: string; until: string; reason: string; by: string };

/** A client whose rights are not those of the segment in its certificate. `rules` are its rights beside the ota/ and recovery/ topics that every device keeps; everything else is denied. */
export type Override = { client: string; kind: 'quarantine' | 'moved'; rules: ClientRule[] };

export type DesiredBroker = {
  segments: SegmentRights[];
  bans: Ban[];
  overrides: Override[];
  /** The CAs whose device certificates the broker must accept; absent: it is left as it is. */
  trust?: { cas: readonly string[]; pem: string } | undefined;
  /** Of a connected client: `md5` is the user name that the broker forces from its certificate. */
  judge(client: string, md5: string): 'ok' | 'unknown' | 'revoked' | 'inactive';
  /** `<segment>.<namespace>` in which this device is by its manifest, whatever its certificates say; undefined for other clients. */
  segmentOf(client: string): string | undefined;
  /** Whether the device has a newer valid certificate than this one. */
  isSuperseded?(client: string, md5: string): boolean;
};

/**
 * `copied`: certificates of one device (`md5s`) push each other off the broker. `flapping`: EMQX's flapping detector has banned the device's id, and its record is
 * about to be removed; `md5s` are the certificates that were seen in use within the last minute.
 */
export type Incident = { kind: 'copied' | 'flapping'; client: string; md5s: readonly string[] };

/** Where a Device stands at the broker, for its condition Authorized. */
export type Authorization = {
  state: 'ok' | 'pending' | 'unreachable' | 'unsafe' | 'foreign' | 'excluded';
  reason: string;
  message: string;
};

/** A reason of errors.ts, and the line for a person with code and cure. */
export type Exclusion = { reason: string; message: string };

export type { Counted } from './counted.ts';

/** `goneAtMs`: of a session that lasts, when its client went, by the broker's clock. `counted`: what it has sent, undefined where the broker does not say. */
export type ClientSeen = { connected: boolean; goneAtMs: number | undefined; counted: Counted | undefined };

export type BrokerDeps = {
  /** EMQX's REST API, without a slash at the end. */
  url: string;
  /** Read again at every attempt: keys rotate. `key:secret` in one line. */
  apiKeyFile: string;
  caFile: string | undefined;
  /** What the broker should hold now. Throws while the caches are not filled: then nothing is written. */
  desired(): DesiredBroker;
  /** Where EMQX is to send its events; absent: it sends none. */
  events?: FeedOptions | undefined;
  /** Resolves when what follows from it is written down. */
  incident?(incident: Incident): Promise<void>;
  /** The ACL text has a rule for the client `CANARY`, by which it can be tried (docs/adr/0025-probe.md). */
  canary?: boolean;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export type Broker = {
  /**
   * Something may have changed. Urgent: bans and overrides are written at once, not with the next batch.
   * Until that is done, a `client` that is named reads as `pending`.
   */
  wake(reason: string, urgent?: boolean, client?: string): void;
  authorization(client: string, segment: string): Authorization;
  /** Whether the broker was seen to hold the ban of this client id. */
  banned(client: string): boolean;
  /** Whether the broker was seen to hold the ban of the certificate with this MD5. */
  bannedCertificate(md5: string): boolean;
  /** Whether the broker was seen to hold rules for this client alone. */
  overridden(client: string): boolean;
  /**
   * Whether the broker holds rules of ours for this client alone (true as well while that is not known), whether what it holds is old enough to outlast a
   * SIGKILL of EMQX, and with which certificate (MD5) such a client is connected.
   */
  ownRules(client: string): { held: boolean; durable: boolean; connectedWith: string | undefined };
  /** MD5 of the certificate that the client was connected with when it was seen last; undefined when it was away, or was not seen yet. */
  inUse(client: string): string | undefined;
  /** Whether the broker accepts certificates of this CA as far as anybody can tell: it was seen with it, or somebody else looks after what it trusts. */
  trustsCa(ca: string): boolean;
  /** Called with the clients whose authorization or ban may read differently now; `all` when every one may. */
  onChange(listener: (clients: 'all' | ReadonlySet<string>) => void): void;
  /** Why the broker's text denies this segment (`<segment>.<namespace>`) instead of granting its rights; undefined as long as it does not, `unknown` before the first look. */
  exclusion(segment: string): Exclusion | 'unknown' | undefined;
  /** Called with the segments of which `exclusion` may say something else now. */
  onExcluded(listener: (segments: ReadonlySet<string>) => void): void;
  /** Called after each look at who is connected, about four times a minute, with those who may be: by client id. */
  onLook(listener: (clients: ReadonlyMap<string, ClientSeen>) => void): void;
  /** The text that was read back and is in force, when there is a canary to try it with; undefined as long as there is none. */
  textInForce(): TextInForce | undefined;
  /** Called when `textInForce` may name another text. */
  onText(listener: () => void): void;
  /** To be run while this process leads. */
  controller: Controller;
};

/** `digest` is what the canary's topic ends with. `segments`: what grants each of them its rights; equal texts are equal rights. The map never changes. */
export type TextInForce = { digest: string; segments: ReadonlyMap<string, string> };
/** Client id and segment of the client by which the operator tries the broker. No Device and no SegmentPolicy can have this name. */
export const CANARY = CANARY_NAME;
/** To be among the desired segments where there are drivers of rollouts, or where the operator listens to devices. */
export const ROLLOUT_RIGHTS = ROLLOUT;
export const LISTENER_RIGHTS = LISTENING;
/** How often EMQX told of a client since the process began; hints, some may be missing. */
export type BrokerEvents = { totals(client: string): FeedTotals };

export type { Retained, RetainedRow } from './retained.ts';

/** One broker, kept true while `controller` runs. Nothing is asked before that. `retained` answers as long as it runs. */
export function createBroker(deps: BrokerDeps): Broker & { retained: Retained; events: BrokerEvents | undefined } {
  const { clock, random, log, metrics, url, apiKeyFile, caFile } = deps;
  const measured = brokerMetrics(metrics.registry);
  const rest = createRest({ url, apiKeyFile, caFile, clock, observe: measured.request });
  const segmentOf = (client: string): string | undefined => seen?.segmentOf(client);
  const feed =
    deps.events === undefined
      ? undefined
      : createFeed({ ...deps.events, rest, segmentOf, registry: metrics.registry, clock, log: log.child({ room: 'broker' }) });
  let seen: DesiredBroker | undefined;
  const room = createRoom({
    feed,
    emqx: createEmqx(rest),
    desired: () => {
      seen = deps.desired();
      return seen;
    },
    incident: deps.incident,
    canary: deps.canary,
    clock,
    random,
    log: log.child({ room: 'broker' }),
    metrics,
    brokerMetrics: measured,
  });
  return {
    ...room,
    retained: createRetained(rest),
    events: feed === undefined ? undefined : { totals: feed.totals },
    controller: {
      ...room.controller,
      async run(signal) {
        signal.addEventListener('abort', rest.stop, { once: true });
        await Promise.all([room.controller.run(signal), feed?.run(signal)]);
        await rest.close();
      },
    },
  };
}

export type { AdoptionReport, AdoptOptions } from './adopt.ts';

/**
 * Says what taking a place in an EMQX that others use would do (which foreign rules are kept, which connected clients would lose a subscription, which settings
 * stay unsafe), and does it only with `yes`. Afterwards the marker in the ACL text tells every operator that it was adopted. Throws an error with a `code` of errors.ts.
 */
export async function adopt(deps: AskDeps, options: AdoptOptions): Promise<AdoptionReport> {
  return asked(deps, (emqx) => adoptBroker(emqx, options));
}

export type { ClientSight, FleetSight, RulesSight } from './look.ts';

/** Who is connected and banned, as EMQX says now. Reads only. */
export const fleetAtBroker = (deps: AskDeps): Promise<FleetSight> => asked(deps, lookAtFleet);

/** All rules that EMQX has in force, those of others included, as it gives them back, and who is connected and banned. Reads only. */
export const rulesAtBroker = (deps: AskDeps): Promise<RulesSight> => asked(deps, lookAtRules);

/** What EMQX says now about one client: connection, bans, its own rules, the rules of its segment. Reads only. */
export const clientAtBroker = (deps: AskDeps, who: { client: string; segment: string; md5s: readonly string[] }): Promise<ClientSight> =>
  asked(deps, (emqx) => lookAtClient(emqx, who));

type AskDeps = Pick<BrokerDeps, 'url' | 'apiKeyFile' | 'caFile' | 'clock'>;

async function asked<T>(deps: AskDeps, question: (emqx: Emqx) => Promise<T>): Promise<T> {
  const rest = createRest({ ...deps, observe: () => undefined });
  try {
    return await question(createEmqx(rest));
  } finally {
    await rest.close();
  }
}

/** The line for a person about an error of this room, with code and cure; undefined for errors of others. */
export function explanationOf(error: unknown): string | undefined {
  return error instanceof BrokerError ? explain(error.code, error.message) : undefined;
}
