// The text that a person would write for the rights of segments: rules of its own for each, behind what every device keeps. Made without the code that groups them.
import { BASE_PUBLISH, BASE_SUBSCRIBE } from '../base-rights.ts';
import type { SegmentRights, TopicRight } from '../broker.ts';

/** `rules`: how many. */
export function plainText(segments: readonly SegmentRights[]): { text: string; rules: number } {
  const everybody = '{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}';
  const lines = [
    ...plainRules(everybody, 'publish', BASE_PUBLISH),
    ...plainRules(everybody, 'subscribe', BASE_SUBSCRIBE),
    ...segments.flatMap(({ segment, publish, subscribe }) => [
      ...plainRules(`"${segment}"`, 'publish', publish, segment),
      ...plainRules(`"${segment}"`, 'subscribe', subscribe, segment),
    ]),
  ];
  return { text: `${[...lines, '{deny, all}.'].join('\n')}\n`, rules: lines.length + 1 };
}

function plainRules(who: string, action: 'publish' | 'subscribe', rights: readonly TopicRight[], segment = ''): string[] {
  const byOptions = Map.groupBy(rights, ({ qosMax = 2, retain }) =>
    [qosMax === 2 ? [] : [qosMax === 1 ? '{qos,[0,1]}' : '{qos,[0]}'], action === 'publish' && retain === false ? ['{retain,false}'] : []]
      .flat()
      .join(','),
  );
  return [...byOptions].map(([options, alike]) => {
    const topics = alike.map(
      ({ topic }) => `"${topic.replaceAll('{segment}', segment).replaceAll('{device}', '$' + '{cert_common_name}')}"`,
    );
    return `{allow, {client_attr,"seg",${who}}, ${options === '' ? action : `{${action},[${options}]}`}, [${topics.join(',')}]}.`;
  });
}
