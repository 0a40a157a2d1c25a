// `kubectl hedgerow egress`: the record of what may leave each site, written from the policies in force.
import { NAMESPACES, SEGMENT_POLICIES } from '../api/resources.ts';
import type { SegmentPolicy } from '../api/segment-policy.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { egressOfListed, type SegmentRecord, type SiteRecord } from '../segments/segments.ts';
import { printable } from './adoption-text.ts';
import { withCluster } from './cluster.ts';
import type { Command, Output } from './command.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, OUTPUT_FLAG, wantsJson } from './flags.ts';
import { WrongUse } from './parse.ts';
import { facts } from './table.ts';

export const egress: Command = {
  words: ['egress'],
  summary: 'what may leave a site: by segment the messages and topics, groups, names, how long it is kept, and who gets it',
  help: `usage: kubectl hedgerow egress [-n NS|-A] [-o json]

Writes the record of what may leave a site by its gateway, from the SegmentPolicies in force: what is sent where, of how many devices at least, under which name,
how long it waits at the site, who may speak for the site and who may hear it, and who hears devices past the gateway. It is what the policies say; whether a gateway
runs is in its Health messages.

  --all-namespaces, -A         of all namespaces
  --output, -o json            for scripts and for the files of a data protection officer
${CLUSTER_HELP}
Your own rights are used: list on segmentpolicies and namespaces, of all namespaces, because the policies of others say who may hear a site.
`,
  flags: { 'all-namespaces': { type: 'boolean', short: 'A' }, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  async run(values, output) {
    const everywhere = values['all-namespaces'] === true;
    if (everywhere && values.namespace !== undefined) throw new WrongUse('--namespace and --all-namespaces contradict each other');
    const json = wantsJson(values);
    return withCluster(values, (client, namespace) =>
      printEgress({ client, ...(everywhere ? {} : { namespace }), json, clock: systemClock }, output),
    );
  },
};

/** `namespace` absent: all. */
export type EgressView = { client: Pick<KubeClient, 'list'>; namespace?: string; json: boolean; clock: Pick<Clock, 'now'> };

export async function printEgress({ client, namespace, json, clock }: EgressView, { out, err }: Output): Promise<number> {
  const [policies, namespaces] = await Promise.all([client.list<SegmentPolicy>(SEGMENT_POLICIES), client.list<KubeObject>(NAMESPACES)]);
  const now = clock.now();
  const sites = egressOfListed(policies, namespaces, now).filter(({ site }) => namespace === undefined || site === namespace);
  if (json) out(`${JSON.stringify({ at: new Date(now).toISOString(), sites }, undefined, 2)}\n`);
  else if (sites.length === 0) err(`no SegmentPolicies in ${namespace ?? 'any namespace'}\n`);
  else out(sites.map(siteText).join('\n'));
  return 0;
}

function siteText(record: SiteRecord): string {
  const { site, leavesAlways, speaks, hears, segments, notInForce } = record;
  const head = facts([
    ['site', site],
    ['always leaves', leavesAlways.map(said).join(', ')],
    ['may speak for it', listed(speaks)],
    ['may hear it', listed(hears)],
    ['not in force', notInForce.length === 0 ? undefined : `${notInForce.join(', ')}: nothing of their devices leaves`],
  ]);
  return [head, ...segments.map(segmentText)].join('\n');
}

function segmentText(record: SegmentRecord): string {
  const { groups, keptAtTheSiteSeconds: kept, raw } = record;
  const trends = record.leaves.some(({ type }) => type === 'Trend');
  const lines = facts([
    ['purpose', record.purpose],
    ['egress', `${record.egress} (generation ${record.generation})`],
    ['refused since', record.refused.length === 0 ? undefined : record.refused.join(' · ')],
    ['leaves', record.leaves.length === 0 ? 'nothing' : record.leaves.map(said).join(', ')],
    ['raw data', raw === undefined ? undefined : `until ${raw.until}: ${raw.reason}`],
    ['groups', trends ? `by ${groups.by}, at least ${groups.atLeastDevices} devices, a trend in ${groups.windowSeconds} s` : undefined],
    ['devices', record.leaves.length === 0 ? undefined : `by ${record.devicesNamedBy}`],
    ['checked by schema', record.checkedBySchema.length === 0 ? undefined : record.checkedBySchema.join(', ')],
    ['kept at the site', `trends ${days(kept.trends)}, alerts ${days(kept.alerts)}, security ${days(kept.security)}`],
    [
      'heard past it',
      record.hearsDirectly.length === 0
        ? undefined
        : record.hearsDirectly.map(({ segment, topics }) => `${segment} (${topics.join(', ')})`).join(', '),
    ],
  ]);
  return `${printable(record.segment)}\n${lines.replaceAll(/^/gm, '  ').trimEnd()}\n`;
}

const said = ({ type, topic }: { type: string; topic: string }): string => `${type} to ${topic}`;
const listed = (names: readonly string[]): string => (names.length === 0 ? 'nobody' : names.join(', '));
const days = (seconds: number): string => (seconds % 86_400 === 0 ? `${seconds / 86_400} d` : `${Math.round(seconds / 360) / 10} h`);
