// How the world calls a value: `<stream>` or `<stream>:<field>`. Undefined where the name would not be one level of a topic: then nothing of it leaves.
const STREAM = /^[A-Za-z0-9._@=-]+(\/[A-Za-z0-9._@=-]+)*$/;
const FIELD = /^[A-Za-z0-9._@=-]*$/;
const MOST = 128;

export function metricOf(stream: string, field: string): string | undefined {
  if (stream.length > MOST || field.length > MOST || !STREAM.test(stream) || !FIELD.test(field)) return undefined;
  const level = stream.replaceAll('/', '~');
  return field === '' ? level : `${level}:${field}`;
}
