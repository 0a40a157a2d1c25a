// FirmwareWave (internal): one release x wave x site. The release controller freezes the decision in spec, the rollout Job writes counters to status.
import { Type } from 'typebox';
import { conditions, labelSelector, objectName, observedGeneration } from './fields.ts';
import { digest } from './firmware-artifact.ts';
import { counters } from './firmware-release.ts';
import { AGE, type KindDefinition } from './kind.ts';
import { FIRMWARE_WAVES } from './resources.ts';
import { choice, count, flag, list, object, text, time } from './schema.ts';

const spec = object('The frozen decision. Under 4 KiB whatever the fleet.', {
  release: object('The FirmwareRelease that it carries out.', {
    name: objectName('Its name.'),
    namespace: Type.Optional(objectName('Its namespace on the hub.')),
    uid: text('Its uid.', { max: 64 }),
    generation: count('Its generation when the decision was taken.'),
  }),
  wave: text('Name of the wave.', { max: 63, min: 1 }),
  action: choice(['Install', 'Revert', 'Stop'], 'What devices of the wave are told.'),
  manifestDigest: digest('Digest of the signed manifest.'),
  artifactDigest: Type.Optional(digest('Digest of the artifact, where there is only one.')),
  cohort: object('Which devices, as a rule and not as a list.', {
    selector: Type.Optional(labelSelector('Labels of the Devices.')),
    hashFrom: count('Lower end of the range of the rank, in 1/1,000,000.', { max: 1_000_000 }),
    hashTo: count('Upper end of the range, exclusive.', { max: 1_000_000 }),
  }),
  perMinute: count('Offers a minute at this site.', { min: 1, max: 100_000 }),
  maxInFlight: count('Devices at work at one time at this site.', { min: 1, max: 1_000_000 }),
  suspend: flag('Whether no further device is offered it. Default: false.', { default: false }),
  grantExpires: time('Until when the site may begin with further devices without hearing from the hub (RFC 3339).'),
});

const status = object('Counters of this wave at this site.', {
  observedGeneration: Type.Optional(observedGeneration),
  phase: Type.Optional(
    choice(['Prefetching', 'Running', 'Soaking', 'Suspended', 'Completed', 'Aborted'], 'Where the wave is at this site.'),
  ),
  counts: Type.Optional(counters),
  lastReportTime: Type.Optional(time('When the rollout Job last wrote, RFC 3339.')),
  failureSamples: Type.Optional(
    list(
      'A sample of failures.',
      object('One failure.', {
        device: text('Name of the Device.', { max: 128 }),
        code: text('Error code that the device gave.', { max: 64 }),
        time: Type.Optional(time('When, RFC 3339.')),
      }),
      { max: 20 },
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
