// Topic filters for properties: good ones, near misses and noise.
import fc from 'fast-check';

const WORDS = ['dt', 'cmd', 'temperature', 'a.b', 'x_1', 'berlin', '{device}', '{segment}'];
const TRAPS = [
  '',
  '+',
  '#',
  'x#',
  '+x',
  '$share',
  '{clientid}',
  '{device',
  'doors',
  'x-{device}',
  '%c',
  'ota',
  'recovery',
  'agg',
  'alert',
  'ö',
  '"',
  '\\',
  ' ',
  '\n',
  '\u0000',
];

/** Begins as a good one does. */
export function goodTopic(): fc.Arbitrary<string> {
  const begin = fc.constantFrom('dt/{segment}', 'cmd/{segment}', 'agg/berlin', 'alert/berlin', 'dt/doors.berlin', 'dt/+', 'cmd');
  const level = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...WORDS) }, { weight: 1, arbitrary: fc.constant('+') });
  const last = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...WORDS) }, { weight: 2, arbitrary: fc.constantFrom('#', '+') });
  return fc.tuple(begin, fc.array(level, { maxLength: 5 }), last).map(([first, middle, end]) => [first, ...middle, end].join('/'));
}

/** Good ones, good ones with one level spoiled, and strings of the characters that matter. */
export function anyTopic(): fc.Arbitrary<string> {
  const spoiled = fc.tuple(goodTopic(), fc.nat(8), fc.constantFrom(...TRAPS)).map(([topic, at, trap]) =>
    topic
      .split('/')
      .with(Math.min(at, topic.split('/').length - 1), trap)
      .join('/'),
  );
  const noise = fc.string({ unit: fc.constantFrom(...'ab/+#{}$%"\\ .\n', '{device}', '{segment}', 'ota/', 'agg/'), maxLength: 40 });
  return fc.oneof(goodTopic(), spoiled, noise, fc.string({ unit: 'binary', maxLength: 300 }));
}
