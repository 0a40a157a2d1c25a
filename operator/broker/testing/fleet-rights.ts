// Rights of many segments of five shapes with two services that read half of them each, and the text that a person would write for them: rules of its own for each segment.
import { BASE_PUBLISH, BASE_SUBSCRIBE } from '../base-rights.ts';
import type { SegmentRights, TopicRight } from '../broker.ts';

const SITES = ['berlin', 'paris', 'oslo', 'porto'];
const COMMANDS: TopicRight = { topic: 'cmd/{segment}/{device}/#' };
const TELEMETRY: TopicRight = { topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false };

type Shape = { name: string; publish: TopicRight[]; subscribe: TopicRight[] };
const shapesOf = (site: string): Shape[] => [
  { name: 'sensors', publish: [TELEMETRY], subscribe: [COMMANDS] },
  { name: 'meters', publish: [{ ...TELEMETRY, qosMax: 0 }], subscribe: [] },
  {
    name: 'doors',
    publish: [TELEMETRY, { topic: 'state/{segment}/{device}/open', qosMax: 1 }],
    subscribe: [COMMANDS, { topic: 'notice/{segment}/all' }],
  },
  {
    name: 'lights',
    publish: [{ topic: 'dt/{segment}/{device}/+', retain: false }],
    subscribe: [COMMANDS, { topic: 'scene/{segment}/#', qosMax: 1 }],
  },
  // Aggregates are of a site: a rule for each site.
  { name: 'gateways', publish: [{ topic: `agg/${site}/{device}/#`, qosMax: 1 }], subscribe: [{ topic: 'peer/{segment}/+/status' }] },
];

/** `count` segments on four sites, the two services among them. */
export function fleetRights(count: number): SegmentRights[] {
  const read = Array.from({ length: count - 2 }, (_, at): SegmentRights => {
    const site = SITES[at % SITES.length] ?? '';
    const { name, ...rights } = shapesOf(site)[Math.floor(at / SITES.length) % 5] as Shape;
    return { segment: `${name}-${at}.${site}`, ...rights };
  });
  const service = (name: string, odd: number): SegmentRights => ({
    segment: `${name}.berlin`,
    publish: [],
    subscribe: [
      COMMANDS,
      ...read.flatMap(({ segment }, at): TopicRight[] => (at % 2 === odd ? [{ topic: `dt/${segment}/+/temperature` }] : [])),
    ],
  });
  return [...read, service('history', 0), service('alarms', 1)];
}

/** The same rights without any grouping. `rules`: how many. */
export function plainText(segments: readonly SegmentRights[]): { text: string; rules: number } {
  const lines = segments.flatMap(({ segment, publish, subscribe }) => [
    ...plainRules(segment, 'publish', [...BASE_PUBLISH, ...publish]),
    ...plainRules(segment, 'subscribe', [...BASE_SUBSCRIBE, ...subscribe]),
  ]);
  return { text: `${[...lines, '{deny, all}.'].join('\n')}\n`, rules: lines.length + 1 };
}

function plainRules(segment: string, action: 'publish' | 'subscribe', rights: readonly TopicRight[]): string[] {
  const byOptions = Map.groupBy(rights, ({ qosMax = 2, retain }) =>
    [qosMax === 2 ? [] : [qosMax === 1 ? '{qos,[0,1]}' : '{qos,[0]}'], action === 'publish' && retain === false ? ['{retain,false}'] : []]
      .flat()
      .join(','),
  );
  return [...byOptions].map(([options, alike]) => {
    const topics = alike.map(
      ({ topic }) => `"${topic.replaceAll('{segment}', segment).replaceAll('{device}', '$' + '{cert_common_name}')}"`,
    );
    return `{allow, {client_attr,"seg","${segment}"}, ${options === '' ? action : `{${action},[${options}]}`}, [${topics.join(',')}]}.`;
  });
}
