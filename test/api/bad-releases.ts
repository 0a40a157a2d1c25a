// FirmwareReleases that are wrong in one place each.
import type { BadManifest } from './bad-manifest.ts';
import { artifact, DIGEST, release } from './manifests.ts';

const waves = (...list: object[]): object => ({ rollout: { waves: list } });
const rollout = (fields: object): object => ({ rollout: { waves: [{ name: 'canary' }, { name: 'rest' }], ...fields } });
const OCI =
  'HR-API-015: name the artifact by digest, registry.example.com/fw/cam@sha256:<64 hex digits>: a tag may point elsewhere tomorrow';
const FILE_URL = 'HR-API-015: write https://<host>/<path>; credentials do not belong into it: the artifacts server has them in a file';
const HEX = 'HR-API-015: a digest is sha256: and 64 hexadecimal digits in lower case';
const SEMVER = 'HR-API-015: a version is MAJOR.MINOR.PATCH as in semver.org, for example 2.4.0';
const SPAN = 'HR-API-007: write days, hours, minutes and seconds, for example 7d, 24h or 10m';
const RANGE = 'HR-API-015: a range is a list of comparisons separated by one space, for example ">=2.1.0 <2.4.0"';
const PERCENT = 'HR-API-015: write a share of 0% to 100%, for example 98%';

export const BAD_RELEASES: readonly BadManifest[] = [
  ['a version of two numbers', release({ version: '2.4' }), [`spec.version: ${SEMVER}`]],
  ['a version with a leading zero', release({ version: '2.04.0' }), [`spec.version: ${SEMVER}`]],
  [
    'a negative security counter',
    release({ securityCounter: -1 }),
    ['spec.securityCounter: spec.securityCounter in body should be greater than or equal to 0'],
  ],
  ['no artifact', release({ artifacts: [] }), ['spec.artifacts: spec.artifacts in body should have at least 1 items']],
  [
    'an artifact by tag',
    release({ artifacts: [artifact({ oci: 'registry.example.com/fw/app:2.4.0' })] }),
    [`spec.artifacts[0].oci: ${OCI}`],
  ],
  [
    'an artifact at two places',
    release({ artifacts: [artifact({ url: 'https://files.example.com/fw/app.bin' })] }),
    ['spec.artifacts[0]: HR-API-017: an artifact lies in one place: write oci or url, not both and not neither'],
    'onlyServer',
  ],
  [
    'an artifact nowhere',
    release({ artifacts: [artifact({ oci: undefined })] }),
    ['spec.artifacts[0]: HR-API-017: an artifact lies in one place: write oci or url, not both and not neither'],
    'onlyServer',
  ],
  [
    'an artifact at a URL with a password',
    release({ artifacts: [artifact({ oci: undefined, url: 'https://me:secret@files.example.com/fw/app.bin' })] }),
    [`spec.artifacts[0].url: ${FILE_URL}`],
  ],
  ['a digest in capitals', release({ artifacts: [artifact({ digest: DIGEST.toUpperCase() })] }), [`spec.artifacts[0].digest: ${HEX}`]],
  [
    'a digest by another algorithm',
    release({ artifacts: [artifact({ digest: 'md5:d41d8cd98f00b204e9800998ecf8427e' })] }),
    [`spec.artifacts[0].digest: ${HEX}`],
  ],
  [
    'a delta from an image to itself',
    release({ artifacts: [artifact({ baseDigest: DIGEST })] }),
    ['spec.artifacts[0]: HR-API-017: a delta from an image to itself: correct digest or baseDigest'],
    'onlyServer',
  ],
  [
    'a format that no device knows',
    release({ artifacts: [artifact({ format: 'zip' })] }),
    ['spec.artifacts[0].format: Unsupported value: "zip": supported values: "mcuboot", "suit", "rauc", "swupdate", "raw"'],
  ],
  [
    'an empty image',
    release({ artifacts: [artifact({ size: 0 })] }),
    ['spec.artifacts[0].size: spec.artifacts[0].size in body should be greater than or equal to 1'],
  ],
  [
    'a vendor that is no UUID',
    release({ artifacts: [artifact({ hardware: { vendorId: 'acme' } })] }),
    ['spec.artifacts[0].hardware.vendorId: HR-API-015: a UUID in lower case, for example 6b1d2c7e-8f0a-4b3c-9d5e-0123456789ab'],
  ],
  [
    'two artifacts of one name',
    release({ artifacts: [artifact(), artifact()] }),
    ['spec.artifacts[1]: Duplicate value: {"name":"image"}'],
    'onlyServer',
  ],
  ['a range with a caret', release({ compatibility: { fromVersions: '^2.1.0' } }), [`spec.compatibility.fromVersions: ${RANGE}`]],
  ['a requirement without a version', release({ requires: [{ component: 'bootloader' }] }), ['spec.requires[0].version: Required value']],
  ['nobody who must have signed', release({ trust: { envelope: '{}' } }), ['spec.trust.policyRef: Required value']],
  ['no wave', release(waves()), ['spec.rollout.waves: spec.rollout.waves in body should have at least 1 items']],
  [
    'a wave with a size and a growth',
    release(waves({ name: 'canary', size: '5', growth: { start: '1%', max: '50%' } })),
    ['spec.rollout.waves[0]: HR-API-017: a wave has size or growth, not both: make two waves'],
    'onlyServer',
  ],
  [
    'a wave of no device',
    release(waves({ name: 'canary', size: '0' })),
    ['spec.rollout.waves[0].size: HR-API-015: write a number of devices such as "5", or a share such as 1%'],
  ],
  [
    'a wave of more than all',
    release(waves({ name: 'canary', size: '101%' })),
    ['spec.rollout.waves[0].size: HR-API-015: write a number of devices such as "5", or a share such as 1%'],
  ],
  [
    'a growth beyond all',
    release(waves({ name: 'canary', growth: { start: '1%', max: '150%' } })),
    [`spec.rollout.waves[0].growth.max: ${PERCENT}`],
  ],
  ['a soak in words', release(waves({ name: 'canary', soak: 'a day' })), [`spec.rollout.waves[0].soak: ${SPAN}`]],
  ['a soak in weeks', release(waves({ name: 'canary', soak: '1w' })), [`spec.rollout.waves[0].soak: ${SPAN}`]],
  [
    'all devices at once, and no way to refuse',
    release({ rollout: { mode: 'Forced', waves: [{ name: 'all' }] } }),
    ['spec.rollout.mode: HR-API-017: mode: Forced needs at least two waves, so that a bad image meets few devices first'],
    'onlyServer',
  ],
  ['a gate of 110 %', release(rollout({ gates: { success: { ratio: '110%' } } })), [`spec.rollout.gates.success.ratio: ${PERCENT}`]],
  [
    'a pace of nothing',
    release(rollout({ pace: { perMinute: 0 } })),
    ['spec.rollout.pace.perMinute: spec.rollout.pace.perMinute in body should be greater than or equal to 1'],
  ],
  [
    'a window that never opens by its words',
    release(rollout({ windows: { install: [{ cron: 'every night at one', duration: '4h' }] } })),
    [
      'spec.rollout.windows.install[0].cron: HR-API-015: five fields separated by one space: minute hour day month weekday, for example "0 1 * * *"',
    ],
  ],
  [
    'a bandwidth in bytes',
    release({ distribution: { perSiteBandwidth: '20MB/s' } }),
    ['spec.distribution.perSiteBandwidth: HR-API-015: write a number and Kbit, Mbit or Gbit, for example 20Mbit'],
  ],
  ['a priority of 1001', release({ priority: 1001 }), ['spec.priority: spec.priority in body should be less than or equal to 1000']],
];
