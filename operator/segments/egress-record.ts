// What may leave the sites, as their policies in force say it: the record of what is processed where, for how long and who gets it, written by a machine. Pure.
import { type EgressType, LEAVES_ALWAYS, LEAVES_AT } from '../api/egress.ts';
import type { GatewaySegment } from '../api/gateway-config.ts';
import { refOf } from '../kube/object.ts';
import { explain } from './errors.ts';
import { intersection } from './filter.ts';
import type { Model, Segment } from './model.ts';

export type SegmentRecord = {
  segment: string;
  /** What its devices do, as the policy says it. */
  purpose?: string;
  generation: number;
  /** Why the text as it is written is not the one in force. */
  refused: string[];
  egress: GatewaySegment['egress'];
  /** With the topics at the hub's broker. */
  leaves: { type: EgressType; topic: string }[];
  devicesNamedBy: 'pseudonym' | 'name';
  groups: { by: string; atLeastDevices: number; windowSeconds: number };
  checkedBySchema: string[];
  keptAtTheSiteSeconds: { trends: number; alerts: number; security: number };
  raw?: { reason: string; until: string };
  /** Other segments that hear its devices at the broker directly, past the gateway. Who speaks for the site is its gateway. */
  hearsDirectly: { segment: string; topics: string[] }[];
};

export type SiteRecord = {
  site: string;
  leavesAlways: { type: EgressType; topic: string }[];
  /** Who has the right to publish in the name of the site at the broker, and who to hear it. */
  speaks: string[];
  hears: string[];
  segments: SegmentRecord[];
  /** Policies of which nothing is in force: nothing leaves of their devices. */
  notInForce: string[];
};

export function egressRecordOf(model: Model): SiteRecord[] {
  const verdicts = [...model.verdicts.values()];
  const all = verdicts.flatMap(({ segment }) => segment ?? []);
  const sites = Map.groupBy(verdicts, ({ key }) => refOf(key).namespace ?? '');
  return [...sites].sort(byFirst).map(([site, members]) => ({
    site,
    leavesAlways: LEAVES_ALWAYS.map((type) => ({ type, topic: topicOfType(type, site, '') })),
    speaks: holders(all, 'publish', site),
    hears: holders(all, 'subscribe', site),
    segments: members
      .flatMap(({ segment, refused }) => (segment === undefined ? [] : [recordOf(segment, refused.map(explain), all)]))
      .sort((a, b) => (a.segment < b.segment ? -1 : 1)),
    notInForce: members.flatMap(({ key, segment }) => (segment === undefined ? [refOf(key).name] : [])).sort(),
  }));
}

function recordOf(segment: Segment, refused: string[], all: readonly Segment[]): SegmentRecord {
  const { gateway, name, namespace, generation, raw, purpose } = segment;
  return {
    segment: name,
    ...(purpose === undefined ? {} : { purpose }),
    generation,
    refused,
    egress: gateway.egress,
    leaves: LEAVES_AT[gateway.egress].map((type) => ({ type, topic: topicOfType(type, namespace, name) })),
    devicesNamedBy: gateway.pseudonyms ? 'pseudonym' : 'name',
    groups: { by: gateway.groupBy ?? 'segment', atLeastDevices: gateway.minGroup, windowSeconds: gateway.windowMs / 1000 },
    checkedBySchema: gateway.schemas.map(({ topic }) => topic),
    keptAtTheSiteSeconds: {
      trends: gateway.retentionMs.trend / 1000,
      alerts: gateway.retentionMs.alert / 1000,
      security: gateway.retentionMs.security / 1000,
    },
    ...(raw?.open === true ? { raw: { reason: raw.justification, until: new Date(raw.endMs).toISOString() } } : {}),
    hearsDirectly: all.flatMap((other) => {
      const topics =
        other === segment || holders([other], 'publish', namespace).length > 0
          ? []
          : ['dt', 'spBv1.0'].flatMap((word) => overlapping(other, 'subscribe', `${word}/${gateway.name}/#`));
      return topics.length === 0 ? [] : [{ segment: other.rights.segment, topics }];
    }),
  };
}

function holders(all: readonly Segment[], action: Action, site: string): string[] {
  const holds = (segment: Segment): boolean => WORDS.some((word) => overlapping(segment, action, `${word}/${site}/#`).length > 0);
  return all.flatMap((segment) => (holds(segment) ? [segment.rights.segment] : [])).sort();
}

const WORDS = ['agg', 'alert', 'raw'];

type Action = 'publish' | 'subscribe';

/** Its topics that have something in common with the filter. */
function overlapping({ rights }: Segment, action: Action, filter: string): string[] {
  const topics = rights[action].map(({ topic }) => topic.replaceAll('{segment}', rights.segment).replaceAll('{device}', '+'));
  return [...new Set(topics)].filter((topic) => intersection(topic, filter) !== undefined).sort();
}

/** As topicOf of operator/api/egress.ts, in words where a message says it. */
function topicOfType(type: EgressType, site: string, segment: string): string {
  const topics: Readonly<Record<EgressType, string>> = {
    Trend: `agg/${site}/${segment}/<group>/<metric>`,
    Alert: `alert/${site}/${segment}/<kind>`,
    Security: `alert/${site}/site/security`,
    Raw: `raw/${site}/${segment}/<device>/<stream>`,
    Health: `agg/${site}/site/health`,
    DataLoss: `alert/${site}/site/loss`,
    Erased: `alert/${site}/site/erased`,
  };
  return topics[type];
}

const byFirst = (a: readonly [string, unknown], b: readonly [string, unknown]): number => (a[0] < b[0] ? -1 : 1);
