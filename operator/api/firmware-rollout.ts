// The parts of a FirmwareRelease that say how fast, when to stop and how to go back.
import { Type } from 'typebox';
import { label, labelSelector, objectName } from './fields.ts';
import { choice, count, duration, flag, list, object, rule, text } from './schema.ts';

/** Soaks and timeouts last days, so unlike certificates they may be written in days. */
function span(description: string, byDefault?: string) {
  return text(description, {
    max: 32,
    min: 2,
    pattern: '^([0-9]{1,4}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$',
    code: 'HR-API-007',
    cure: 'write days, hours, minutes and seconds, for example 7d, 24h or 10m',
    ...(byDefault === undefined ? {} : { default: byDefault }),
  });
}

const percent = (description: string, byDefault?: string) =>
  text(description, {
    max: 8,
    min: 2,
    pattern: '^(100|[0-9]{1,2}([.][0-9]{1,2})?)%$',
    code: 'HR-API-015',
    cure: 'write a share of 0% to 100%, for example 98%',
    ...(byDefault === undefined ? {} : { default: byDefault }),
  });

const size = (description: string) =>
  text(description, {
    max: 12,
    min: 1,
    pattern: '^([1-9][0-9]{0,7}|(100|[0-9]{1,2}([.][0-9]{1,2})?)%)$',
    code: 'HR-API-015',
    cure: 'write a number of devices such as "5", or a share such as 1%',
  });

const wave = object(
  'One wave: which devices next, and how long they are watched before the wave after it.',
  {
    name: label('Name of the wave, unique in the release.'),
    selector: Type.Optional(labelSelector('Labels of the Devices of this wave. Default: all that the release selects.')),
    size: Type.Optional(size('How many of them: a number such as "5", or a share such as 1%. Default: all.')),
    min: Type.Optional(count('At least this many when size is a share. Default: 0.', { max: 1_000_000 })),
    spread: Type.Optional(
      list('Labels, site or hwRevision of which every value must appear. Default: none.', text('One key.', { max: 317, min: 1 }), {
        max: 4,
        set: true,
      }),
    ),
    growth: Type.Optional(
      object('Exponential growth until all are done, instead of size.', {
        start: percent('Share of the first step.'),
        factor: count('Each step is this many times the one before. Default: 2.', { min: 2, max: 10, default: 2 }),
        max: percent('Largest share of one step.'),
      }),
    ),
    soak: span('How long the result is watched before the next wave starts. Default: 0s.', '0s'),
    approval: choice(
      ['None', 'Required'],
      'Required: starts only after an Intervention Approve by somebody else than the author. Default: None.',
      {
        default: 'None',
      },
    ),
  },
  { rules: [rule('HR-API-017', '!(has(self.size) && has(self.growth))', 'a wave has size or growth, not both: make two waves')] },
);

const gates = object('What must hold for the next wave. Evaluated over devices that were reached.', {
  success: Type.Optional(
    object('Share of successes that is needed.', {
      ratio: percent('Least share, for example 98%.'),
      of: choice(['Reached', 'Matched'], 'Share of which devices. Default: Reached.', { default: 'Reached' }),
      minSample: count('Devices needed before it counts. Default: 20.', { min: 1, max: 1_000_000, default: 20 }),
      confidence: percent('Confidence of the bound. Default: 95%.', '95%'),
    }),
  ),
  error: Type.Optional(
    object('Share of errors that stops the release.', {
      ratio: percent('Largest share, for example 2%.'),
      minSample: count('Devices needed before it counts. Default: 20.', { min: 1, max: 1_000_000, default: 20 }),
      confidence: percent('Confidence of the bound. Default: 95%.', '95%'),
      kinds: Type.Optional(
        list('What counts as an error. Default: all four.', choice(['Failed', 'RolledBack', 'TimedOut', 'Lost'], 'One kind.'), {
          max: 4,
          set: true,
        }),
      ),
    }),
  ),
  analysis: Type.Optional(
    list(
      'Queries that must stay good. Default: none.',
      object('One query.', {
        name: label('Name of the query.'),
        prometheus: object('A Prometheus query.', { query: text('Query in PromQL; its result is r.', { max: 2048, min: 1 }) }),
        interval: span('How often it is asked. Default: 5m.', '5m'),
        success: text('Expression over the result r, for example "r < 0.01".', { max: 256, min: 1 }),
        failureLimit: count('How many bad answers fail the gate. Default: 3.', { min: 1, max: 100, default: 3 }),
        inconclusive: choice(['Pause', 'Ignore', 'Fail'], 'What no answer means. Default: Pause.', { default: 'Pause' }),
      }),
      { max: 8, keys: ['name'] },
    ),
  ),
});

const pace = object('How fast devices are offered the release.', {
  perMinute: count('Offers a minute for the whole release. Default: 300.', { min: 1, max: 100_000, default: 300 }),
  maxInFlight: count('Devices downloading or installing at one time. Default: 2000.', { min: 1, max: 1_000_000, default: 2000 }),
  exponential: Type.Optional(
    object('Begin slowly and go faster with successes.', {
      base: count('Offers a minute at the start.', { min: 1, max: 100_000 }),
      factor: count('How many times faster at each step. Default: 2.', { min: 2, max: 10, default: 2 }),
      increaseOnConfirmed: count('Confirmed devices for one step.', { min: 1, max: 1_000_000 }),
    }),
  ),
});

const timeouts = object('After what time a step counts as failed.', {
  offer: span('Until a device accepts the offer. Default: 7d.', '7d'),
  download: span('Until it has downloaded. Default: 2h.', '2h'),
  install: span('Until it has installed. Default: 15m.', '15m'),
  confirm: span('Until it has booted and reported. Default: 10m.', '10m'),
  wave: span('Until a wave has ended. Default: 48h.', '48h'),
});

const retry = object('What is tried again. A wrong signature or hardware never is.', {
  limit: count('How often. Default: 3.', { max: 20, default: 3 }),
  backoff: Type.Optional(
    object('Waiting time between tries.', {
      base: span('First waiting time. Default: 10m.', '10m'),
      factor: count('How many times longer each time. Default: 2.', { min: 1, max: 10, default: 2 }),
      cap: span('Longest waiting time. Default: 12h.', '12h'),
    }),
  ),
  causes: Type.Optional(
    list('Causes that are tried again. Default: all three.', choice(['Network', 'Power', 'Storage'], 'One cause.'), { max: 3, set: true }),
  ),
});

const windows = (description: string) =>
  list(
    description,
    object('One window.', {
      cron: text('When it opens: minute hour day month weekday, for example "0 1 * * *".', {
        max: 64,
        min: 9,
        pattern: '^[0-9*,/-]+( [0-9*,/-]+){4}$',
        code: 'HR-API-015',
        cure: 'five fields separated by one space: minute hour day month weekday, for example "0 1 * * *"',
      }),
      duration: duration('How long it is open, for example 4h.', { code: 'HR-API-007' }),
      tz: text('Time zone: a name such as Europe/Berlin, or Device for the time zone of the device. Default: UTC.', {
        max: 64,
        min: 1,
        default: 'UTC',
      }),
    }),
    { max: 8 },
  );

export const rollout = object('How the release reaches the devices.', {
  paused: flag('Whether no further device is offered it. Default: false.', { default: false }),
  waves: list('The waves in their order; started ones may not change.', wave, { max: 16, min: 1, keys: ['name'] }),
  order: choice(['hash'], 'Order of the devices in a wave: hash, a stable rank of release and device. Default: hash.', { default: 'hash' }),
  pace: Type.Optional(pace),
  disruption: Type.Optional(
    list(
      'How many devices of one group may be down at one time. Default: no limit.',
      object('One limit.', {
        groupBy: text('Label, or site.', { max: 317, min: 1 }),
        maxUnavailable: size('A number or a share of the group; at least one device.'),
      }),
      { max: 4, keys: ['groupBy'] },
    ),
  ),
  gates: Type.Optional(gates),
  timeouts: Type.Optional(timeouts),
  retry: Type.Optional(retry),
  stragglers: choice(['CatchUp', 'Drop'], 'CatchUp: devices that are away leave the denominator and keep the offer. Default: CatchUp.', {
    default: 'CatchUp',
  }),
  windows: Type.Optional(
    object('When devices may download and install. Default: at any time.', {
      download: Type.Optional(windows('When they may download. Default: at any time.')),
      install: Type.Optional(windows('When they may install. Default: at any time.')),
    }),
  ),
  mode: choice(
    ['Normal', 'DownloadOnly', 'Soft', 'Forced'],
    'Normal; DownloadOnly: install later; Soft: the device may refuse; Forced: it may not. Default: Normal.',
    { default: 'Normal' },
  ),
});

export const rollback = object('What happens when a gate fails.', {
  onGateFailure: choice(
    ['Pause', 'RevertUnconfirmed', 'RevertWave', 'RevertAll'],
    'Pause; RevertUnconfirmed: devices that did not confirm go back; RevertWave: all of the wave; RevertAll: all of the release. Default: RevertUnconfirmed.',
    { default: 'RevertUnconfirmed' },
  ),
  to: Type.Optional(
    object('Where devices go back to. Default: the version before.', {
      release: objectName('FirmwareRelease to go back to; refused when its security counter is below the floor.'),
    }),
  ),
});
