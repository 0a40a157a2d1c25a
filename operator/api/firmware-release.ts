// FirmwareRelease: one version of one component for the devices that match, rolled out wave by wave. Shape: docs/reference/firmware-release.md.
import { type Static, Type } from 'typebox';
import { conditions, label, labelSelector, observedGeneration } from './fields.ts';
import { artifact, compatibility, digest, requirement, trust, version } from './firmware-artifact.ts';
import { rollback, rollout } from './firmware-rollout.ts';
import { AGE, conditionColumn, type KindDefinition } from './kind.ts';
import { FIRMWARE_RELEASES } from './resources.ts';
import { choice, count, duration, flag, list, object, rule, text, time } from './schema.ts';

const distribution = object('How the bytes reach the sites.', {
  edgeCache: flag('Whether sites cache the artifact. Default: true.', { default: true }),
  prefetch: choice(
    ['BeforeWave', 'Never'],
    'BeforeWave: artifacts servers begin to fetch what the release names when it is verified, which is before its first wave; no wave waits for them. Default: BeforeWave.',
    {
      default: 'BeforeWave',
    },
  ),
  jitter: duration('Devices begin to download spread over this time. Default: 10m.', { default: '10m', code: 'HR-API-007' }),
  perSiteBandwidth: Type.Optional(
    text('Limit for one site, for example 20Mbit. Default: none.', {
      max: 16,
      pattern: '^[0-9]{1,6}(Kbit|Mbit|Gbit)$',
      code: 'HR-API-015',
      cure: 'write a number and Kbit, Mbit or Gbit, for example 20Mbit',
    }),
  ),
});

const spec = object(
  'What is to run, where, and how fast.',
  {
    version: version('Version of the firmware, semantic versioning (semver.org). Immutable.', {
      rules: [rule('HR-API-016', 'self == oldSelf', 'spec.version is immutable: make a new FirmwareRelease for another version')],
    }),
    component: label('What it is firmware of: app, bootloader, modem, rootfs. Immutable.'),
    securityCounter: count('Anti-rollback counter; equal to the one inside the image. Immutable.', {
      max: 0x7fff_ffff,
      rules: [rule('HR-API-016', 'self == oldSelf', 'spec.securityCounter is immutable: make a new FirmwareRelease')],
    }),
    artifacts: list('What devices may download; one per hardware, format and base. Immutable.', artifact, {
      max: 16,
      min: 1,
      keys: ['name'],
      rules: [rule('HR-API-016', 'self == oldSelf', 'spec.artifacts is immutable: make a new FirmwareRelease')],
    }),
    compatibility: Type.Optional(compatibility),
    requires: Type.Optional(
      list('What must run on the same device before. Default: nothing.', requirement, { max: 8, keys: ['component'] }),
    ),
    trust,
    author: Type.Optional(
      text(
        'Who answers for the release: the API user that writes it (kubectl auth whoami; for Argo CD its ServiceAccount); the API server insists. Nobody approves a release of their own, so without an author no wave can be approved.',
        { max: 256, min: 1 },
      ),
    ),
    selector: labelSelector('Labels of the Devices that it is for. An empty selector is for every Device whose hardware matches.'),
    membership: choice(
      ['Dynamic', 'Snapshot'],
      'Dynamic: Devices that match later join, by the same gates and pace. Snapshot: only those that match at the start. Default: Dynamic.',
      { default: 'Dynamic' },
    ),
    priority: count('0 to 1000; of two releases of one component the higher one begins first. Default: 500.', { max: 1000, default: 500 }),
    conflict: choice(
      ['Queue', 'Supersede', 'Reject'],
      'What happens while another release of the same component runs on its devices: Queue waits; Supersede ends the other for good, if its priority is lower, or equal and it is older, and in its own namespace only unless this one is for the whole fleet (else it waits); Reject fails this one. Default: Queue.',
      { default: 'Queue' },
    ),
    rollout,
    rollback: Type.Optional(rollback),
    distribution: Type.Optional(distribution),
    historyLimit: count('How many FirmwareWaves of ended releases are to be kept. All are, until their release is deleted. Default: 10.', {
      max: 100,
      default: 10,
    }),
  },
  {
    rules: [
      rule(
        'HR-API-016',
        'self.component == oldSelf.component',
        'spec.component is immutable: make a new FirmwareRelease for another component',
        '.component',
      ),
      rule(
        'HR-API-017',
        "self.rollout.mode != 'Forced' || self.rollout.waves.size() > 1",
        'mode: Forced needs at least two waves, so that a bad image meets few devices first',
        '.rollout.mode',
      ),
    ],
  },
);

export const counters = object('How many devices are where. Counters only, never a list of devices.', {
  matched: Type.Optional(count('Devices that the selector matches.')),
  incompatible: Type.Optional(count('Of these, devices without a fitting artifact.')),
  blocked: Type.Optional(count('Devices whose requirements are not met.')),
  waiting: Type.Optional(count('Devices that wait to be offered it.')),
  offered: Type.Optional(count('Devices that got the offer.')),
  reached: Type.Optional(count('Devices that answered the offer: what the gates count over.')),
  inFlight: Type.Optional(count('Devices that are downloading or installing.')),
  confirmed: Type.Optional(count('Devices that booted it and reported its digest.')),
  unproven: Type.Optional(count('Of these, devices without a boot key: nothing but the word of the image says so.')),
  failed: Type.Optional(count('Devices that failed.')),
  rolledBack: Type.Optional(count('Devices that went back by themselves.')),
  timedOut: Type.Optional(count('Devices that took too long.')),
  lost: Type.Optional(count('Devices not heard of since they began.')),
  straggler: Type.Optional(count('Devices that were away and keep the offer.')),
});

const waveStatus = object('One wave.', {
  name: text('Name of the wave.', { max: 63 }),
  phase: Type.Optional(text('Where it is.', { max: 32 })),
  target: Type.Optional(count('How many devices it is for.')),
  counts: Type.Optional(counters),
  startedAt: Type.Optional(time('When it started, RFC 3339.')),
  soakUntil: Type.Optional(time('Until when its result is watched, RFC 3339.')),
  gate: Type.Optional(
    object('What the gate says.', {
      result: Type.Optional(text('Pass, Fail or Inconclusive.', { max: 32 })),
      reason: Type.Optional(text('Why, with the numbers.', { max: 1024 })),
    }),
  ),
  approvedBy: Type.Optional(text('Who approved it.', { max: 256 })),
  approvedDigest: Type.Optional(digest('Artifact digest that was approved.')),
});

const status = object('What came of it so far. At most 50 samples, never a list of devices.', {
  observedGeneration: Type.Optional(observedGeneration),
  phase: Type.Optional(
    choice(
      [
        'Verifying',
        'Prefetching',
        'Waiting',
        'RollingOut',
        'Soaking',
        'Paused',
        'Completed',
        'Aborting',
        'RollingBack',
        'RolledBack',
        'Failed',
        'Superseded',
      ],
      'Where the release is.',
    ),
  ),
  currentWave: Type.Optional(text('Wave that is running.', { max: 63 })),
  artifact: Type.Optional(
    object('What was verified.', {
      resolvedDigest: Type.Optional(digest('Digest of the artifact.')),
      manifestDigest: Type.Optional(digest('Digest of the signed manifest.')),
      signers: Type.Optional(list('Keys that signed it.', text('Id of a key.', { max: 128 }), { max: 16, set: true })),
      verifiedAt: Type.Optional(time('When it was verified, RFC 3339.')),
      trustRootVersion: Type.Optional(count('Version of the trust root that it was verified with.')),
    }),
  ),
  counts: Type.Optional(counters),
  failureEstimate: Type.Optional(
    object('Estimated failure ratio of the devices reached.', {
      point: Type.Optional(text('Share observed, for example 0.7%.', { max: 16 })),
      lower95: Type.Optional(text('Lower bound at 95 % confidence.', { max: 16 })),
      upper95: Type.Optional(text('Upper bound at 95 % confidence.', { max: 16 })),
    }),
  ),
  waves: Type.Optional(list('The waves.', waveStatus, { max: 16, keys: ['name'] })),
  clusters: Type.Optional(
    object('The sites.', {
      total: Type.Optional(count('Sites with devices of the release.')),
      ready: Type.Optional(count('Sites that answer.')),
      unreachable: Type.Optional(count('Sites that do not.')),
    }),
  ),
  failureSamples: Type.Optional(
    list(
      'A sample of failures.',
      object('One failure.', {
        device: text('Name of the Device.', { max: 128 }),
        code: text('Error code that the device gave.', { max: 64 }),
        wave: Type.Optional(text('Its wave.', { max: 63 })),
        time: Type.Optional(time('When, RFC 3339.')),
      }),
      { max: 50 },
    ),
  ),
  rollback: Type.Optional(
    object('Whether there is a way back.', {
      possible: flag('Whether the devices can go back to the version before.'),
      reason: Type.Optional(text('Why not.', { max: 1024 })),
    }),
  ),
  conditions: Type.Optional(conditions),
});

export const firmwareReleaseKind: KindDefinition = {
  resource: FIRMWARE_RELEASES,
  singular: 'firmwarerelease',
  shortNames: ['fw'],
  description:
    'A FirmwareRelease is one version of one firmware component: signed artifacts, the Devices it is for, waves with gates and the way back.',
  spec,
  status,
  columns: [
    { name: 'Component', type: 'string', description: 'What it is firmware of.', jsonPath: '.spec.component' },
    { name: 'Version', type: 'string', description: 'Version of the firmware.', jsonPath: '.spec.version' },
    { name: 'Phase', type: 'string', description: 'Where the release is.', jsonPath: '.status.phase' },
    { name: 'Wave', type: 'string', description: 'Wave that is running.', jsonPath: '.status.currentWave' },
    { name: 'Confirmed', type: 'integer', description: 'Devices that booted it.', jsonPath: '.status.counts.confirmed' },
    { name: 'Matched', type: 'integer', description: 'Devices that it is for.', jsonPath: '.status.counts.matched' },
    { name: 'Failed', type: 'integer', description: 'Devices that failed.', jsonPath: '.status.counts.failed' },
    conditionColumn('Ready', 'Ready', 'status', 'Whether it is done.'),
    AGE,
    { name: 'Paused', type: 'string', description: 'Whether it is paused.', jsonPath: '.spec.rollout.paused', wide: true },
  ],
};

export type FirmwareReleaseSpec = Static<typeof spec>;
export type FirmwareReleaseStatus = Static<typeof status>;
