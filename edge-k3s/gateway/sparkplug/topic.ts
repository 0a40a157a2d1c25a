// Topics of Sparkplug B 3.0 (§4.1) as this project grants them: the group is the segment and the edge node is the Device, so that the broker's rights bind both. Pure.

export type SparkplugTopic = {
  segment: string;
  device: string;
  type: 'NBIRTH' | 'NDATA' | 'NDEATH' | 'DBIRTH' | 'DDATA' | 'DDEATH';
  /** What is attached to the node; it has no identity of its own. */
  attached: string | undefined;
};

export const ROOT = 'spBv1.0';
/** As long as a topic of a SegmentPolicy may be. The node wrote what is attached: nothing that has another meaning in a topic, a file name or a label. */
const LONGEST = 256;
const TOPIC = /^spBv1\.0\/([a-z0-9-]+\.[a-z0-9-]+)\/([A-Z]+)\/([a-z0-9-]+\.[a-z0-9-]+)(?:\/([A-Za-z0-9._:@~=-]+))?$/;
const TYPES: ReadonlySet<string> = new Set(['NBIRTH', 'NDATA', 'NDEATH', 'DBIRTH', 'DDATA', 'DDEATH']);

/** The gateway hears these only: no command to a node, no state of a host. */
export const filtersOf = (segment: string): string[] =>
  [...TYPES].map((type) => `${ROOT}/${segment}/${type}/${type.startsWith('D') ? '+/+' : '+'}`);

/** Of a stream, whatever a message was for: `sparkplug` for the node itself, `sparkplug/<attached>` for what is attached to it. */
export const streamOf = ({ attached }: SparkplugTopic): string => (attached === undefined ? 'sparkplug' : `sparkplug/${attached}`);

/** `spBv1.0/<segment>/<type>/<device>[/<attached>]`; undefined for every other topic, commands and states of hosts among them. */
export function readSparkplugTopic(topic: string): SparkplugTopic | undefined {
  const [, segment, type, device, attached] = (topic.length <= LONGEST && TOPIC.exec(topic)) || [];
  if (segment === undefined || device === undefined || !isType(type)) return undefined;
  return type.startsWith('D') === (attached !== undefined) ? { segment, device, type, attached } : undefined;
}

const isType = (type: string | undefined): type is SparkplugTopic['type'] => type !== undefined && TYPES.has(type);
