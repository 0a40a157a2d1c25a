// Policies of many segments of five shapes on four sites, with two services that read half of them each: every owner accepts it from one of the two.
import type { SegmentPolicySpec } from '../../api/segment-policy.ts';
import type { SegmentRights } from '../../broker/broker.ts';
import { buildModel, type PolicyFacts, rightsOf } from '../model.ts';
import { NOW, policyOf } from './fleet.ts';

const SITES = ['berlin', 'paris', 'oslo', 'porto'];
const SERVICES = ['history', 'alarms'];
const heard = (topic: string) => ({ topic, qosMax: 1 as const });
const COMMANDS = heard('cmd/{segment}/{device}/#');
const TELEMETRY = { topic: 'dt/{segment}/{device}/#', qosMax: 1 as const, retain: false };

type Shape = [name: string, spec: Partial<SegmentPolicySpec>];
const shapesOf = (site: string): Shape[] => [
  ['sensors', { topics: { publish: [TELEMETRY], subscribe: [COMMANDS] } }],
  ['meters', { topics: { publish: [{ ...TELEMETRY, qosMax: 0 }], subscribe: [] } }],
  [
    'doors',
    {
      topics: {
        publish: [TELEMETRY, { topic: 'state/{segment}/{device}/open', qosMax: 1, retain: true }],
        subscribe: [COMMANDS, heard('notice/{segment}/all')],
      },
    },
  ],
  [
    'lights',
    {
      intraSegment: 'Allow',
      topics: {
        publish: [{ topic: 'dt/{segment}/{device}/+', qosMax: 2, retain: false }],
        subscribe: [COMMANDS, heard('scene/{segment}/#')],
      },
    },
  ],
  [
    'gateways',
    {
      trust: 3,
      intraSegment: 'Allow',
      // Aggregates are of a site: a rule for each site.
      topics: { publish: [{ topic: `agg/${site}/{device}/#`, qosMax: 1, retain: true }], subscribe: [heard('peer/{segment}/+/status')] },
    },
  ],
];

/** `count` segments, the services among them. */
export function servicePolicies(count: number): PolicyFacts[] {
  const read = Array.from({ length: count - SERVICES.length }, (_, at) => {
    const site = SITES[at % SITES.length] ?? '';
    const [name, spec] = shapesOf(site)[Math.floor(at / SITES.length) % 5] as Shape;
    const topics = [{ topic: 'dt/{segment}/+/temperature', action: 'subscribe' as const }];
    return policyOf(`${name}-${at}`, site, { ...spec, acceptFrom: [{ namespace: 'berlin', segment: SERVICES[at % 2] ?? '', topics }] });
  });
  const services = SERVICES.map((name) =>
    policyOf(name, 'berlin', { topics: { publish: [], subscribe: [COMMANDS, heard('dt/+/+/temperature')] } }),
  );
  return [...read, ...services];
}

/** What each of them may do at the broker. */
export function rightsOfAll(policies: readonly PolicyFacts[]): SegmentRights[] {
  return rightsOf(buildModel({ policies, maxTrust: () => 3, pods: () => [], now: NOW }));
}
