// Where telemetry comes: dt/{segment}/{device}/<stream>. Pure.

export type TelemetryTopic = {
  /** `<segment>.<site>` */
  segment: string;
  /** `<device>.<site>` */
  device: string;
  /** One level or more. */
  stream: string;
};

/** As long as a topic of a SegmentPolicy may be (MAX_TOPIC_LENGTH): longer ones no policy can have granted. */
const LONGEST = 256;
/** The device wrote the stream: nothing that has another meaning in a topic, a file name or a label. */
const TOPIC = /^dt\/([a-z0-9-]+\.[a-z0-9-]+)\/([a-z0-9-]+\.[a-z0-9-]+)\/([A-Za-z0-9._:@~=-]+(?:\/[A-Za-z0-9._:@~=-]+)*)$/;

export function readTopic(topic: string): TelemetryTopic | undefined {
  const [, segment, device, stream] = (topic.length <= LONGEST && TOPIC.exec(topic)) || [];
  return segment === undefined || device === undefined || stream === undefined ? undefined : { segment, device, stream };
}

/** MQTT 5 §4.7. Both are well-formed, and neither begins with $. */
export function fits(topic: string, filter: string): boolean {
  const [levels, wanted] = [topic.split('/'), filter.split('/')];
  for (const [at, level] of wanted.entries()) {
    if (level === '#') return true;
    if (at >= levels.length || (level !== '+' && level !== levels[at])) return false;
  }
  return levels.length === wanted.length;
}
