// FirmwareWave (internal): one release x wave x site. The release controller freezes the decision in spec, the rollout Job writes counters to status.
import { type Static, Type } from 'typebox';
import { conditions, label, labelSelector, objectName, observedGeneration } from './fields.ts';
import { digest } from './firmware-artifact.ts';
import { counters } from './firmware-release.ts';
import { AGE, type KindDefinition } from './kind.ts';
import { FIRMWARE_WAVES } from './resources.ts';
import { choice, count, flag, list, object, text, time } from './schema.ts';

/** More drivers than this would not fit into 4 KiB of status. */
const MAX_SHARDS = 12;

const spec = object('The frozen decision. Under 4 KiB whatever the fleet.', {
  release: object('The FirmwareRelease that it carries out.', {
    name: objectName('Its name.'),
    namespace: objectName('Its namespace.'),
    uid: text('Its uid.', { max: 64 }),
    generation: count('Its generation when the decision was taken.'),
  }),
  wave: text('Name of the wave.', { max: 63, min: 1 }),
  step: count('Step of the release, from 0: waves in their order, a wave that grows has several. Immutable.', { max: 4096 }),
  action: choice(
    ['Install', 'Stop', 'Revert'],
    'Install: offer it. Stop: offer it to nobody any more, and cancel what has not booted. Revert: the same, and what has confirmed goes back.',
  ),
  component: label('What it is firmware of.'),
  manifestDigest: digest('Digest of the signed release statement.'),
  catalog: objectName("ConfigMap in the operator's namespace with the envelope and the trust roots that were verified."),
  cohort: object(
    'Which devices, as a rule and not as a list: those whose rank is below rankBelow, and those of also, that no earlier step has brought to an end.',
    {
      selector: Type.Optional(labelSelector('Labels of the Devices, besides those of the release.')),
      rankBelow: count('End of the range of the rank, exclusive, in 1/1,000,000 of all ranks.', { max: 1_000_000 }),
      also: Type.Optional(
        list('Devices beyond the range, so that every value of spread appears.', text('Name of a Device.', { max: 63 }), {
          max: 32,
          set: true,
        }),
      ),
    },
  ),
  shards: count('How many drivers share the devices of the site. Immutable.', { min: 1, max: MAX_SHARDS }),
  perMinute: count('Offers a minute at this site.', { min: 1, max: 100_000 }),
  maxInFlight: count('Devices at work at one time at this site.', { min: 1, max: 1_000_000 }),
  suspend: flag('Whether no further device is offered it. Default: false.', { default: false }),
  grantExpires: time('Until when the site may begin with further devices without hearing from the hub (RFC 3339).'),
});

const shard = object('What one driver counts.', {
  index: count('Its number, from 0.', { max: MAX_SHARDS - 1 }),
  phase: choice(['Running', 'Done'], 'Done: every device of it is at an end, or was never reached.'),
  fence: Type.Optional(count('Fencing token of the driver that wrote it.')),
  counts: counters,
  failureSamples: Type.Optional(
    list(
      'A sample of failures; all drivers together at most 20.',
      object('One failure.', {
        device: text('Name of the Device.', { max: 128 }),
        code: text('Error code that the device gave, or how it ended.', { max: 64 }),
        time: Type.Optional(time('When, RFC 3339.')),
      }),
      { max: 20 },
    ),
  ),
  lastReportTime: Type.Optional(time('When it last wrote, RFC 3339.')),
});

const status = object('Counters of this wave at this site.', {
  observedGeneration: Type.Optional(observedGeneration),
  phase: Type.Optional(
    choice(
      ['Prefetching', 'Running', 'Soaking', 'Suspended', 'Completed', 'Aborted'],
      'Where the wave is at this site. Written by the release controller.',
    ),
  ),
  counts: Type.Optional(counters),
  shards: Type.Optional(list('The drivers; each writes its own entry.', shard, { max: MAX_SHARDS, keys: ['index'] })),
  endedAt: Type.Optional(
    time(
      'When every device was at an end or not reached for the first time, RFC 3339. The soak counts from it. Written by the release controller.',
    ),
  ),
  conditions: Type.Optional(conditions),
});

export const firmwareWaveKind: KindDefinition = {
  resource: FIRMWARE_WAVES,
  singular: 'firmwarewave',
  shortNames: [],
  description:
    'A FirmwareWave is one wave of one FirmwareRelease at one site: the decision of the release controller and the counters of the site. Written by the operator only.',
  spec,
  status,
  columns: [
    { name: 'Release', type: 'string', description: 'The release.', jsonPath: '.spec.release.name' },
    { name: 'Wave', type: 'string', description: 'The wave.', jsonPath: '.spec.wave' },
    { name: 'Action', type: 'string', description: 'What devices are told.', jsonPath: '.spec.action' },
    { name: 'Phase', type: 'string', description: 'Where the wave is.', jsonPath: '.status.phase' },
    { name: 'Confirmed', type: 'integer', description: 'Devices that booted it.', jsonPath: '.status.counts.confirmed' },
    { name: 'Failed', type: 'integer', description: 'Devices that failed.', jsonPath: '.status.counts.failed' },
    AGE,
  ],
};

export type FirmwareWaveSpec = Static<typeof spec>;
export type FirmwareWaveStatus = Static<typeof status>;
