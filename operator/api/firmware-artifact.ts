// The parts of a FirmwareRelease that say what the bytes are and who vouches for them.
import { Type } from 'typebox';
import { label, objectName } from './fields.ts';
import { count, flag, list, object, type Rule, rule, text } from './schema.ts';

export function digest(description: string) {
  return text(description, {
    max: 71,
    pattern: '^sha256:[0-9a-f]{64}$',
    code: 'HR-API-015',
    cure: 'a digest is sha256: and 64 hexadecimal digits in lower case',
  });
}

export function version(description: string, options: { rules?: Rule[] } = {}) {
  return text(description, {
    max: 64,
    min: 1,
    pattern: '^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?([+][0-9A-Za-z.-]+)?$',
    code: 'HR-API-015',
    cure: 'a version is MAJOR.MINOR.PATCH as in semver.org, for example 2.4.0',
    ...options,
  });
}

function versionRange(description: string) {
  return text(description, {
    max: 128,
    min: 1,
    pattern: '^(>=|<=|>|<|=)?[0-9][0-9A-Za-z.+-]*( (>=|<=|>|<|=)?[0-9][0-9A-Za-z.+-]*)*$',
    code: 'HR-API-015',
    cure: 'a range is a list of comparisons separated by one space, for example ">=2.1.0 <2.4.0"',
  });
}

const uuid = (description: string) =>
  text(description, {
    max: 36,
    pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    code: 'HR-API-015',
    cure: 'a UUID in lower case, for example 6b1d2c7e-8f0a-4b3c-9d5e-0123456789ab',
  });

const hardware = object('The hardware that the artifact is for. Default: all.', {
  vendorId: Type.Optional(uuid('UUID of the vendor (RFC 9124).')),
  classIds: Type.Optional(list('UUIDs of the device classes (RFC 9124). Default: all.', uuid('One class.'), { max: 16, set: true })),
  models: Type.Optional(
    list('Values of spec.hardware.model of Devices. Default: all.', text('One model.', { max: 64, min: 1 }), { max: 32, set: true }),
  ),
  revisions: Type.Optional(
    list('Values of spec.hardware.revision of Devices. Default: all.', text('One revision.', { max: 64, min: 1 }), { max: 32, set: true }),
  ),
});

export const artifact = object(
  'One file that devices may download.',
  {
    name: label('Name of the artifact, unique in the release.'),
    oci: Type.Optional(
      text('Where it lies in an OCI registry: <registry>/<repository>@sha256:<digest>; a tag is refused. Either this or url.', {
        max: 512,
        pattern: '^[a-z0-9.:-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$',
        code: 'HR-API-015',
        cure: 'name the artifact by digest, registry.example.com/fw/cam@sha256:<64 hex digits>: a tag may point elsewhere tomorrow',
      }),
    ),
    url: Type.Optional(
      text(
        'Where it lies as a file: https://<host>/<path>, without user, password, query and fragment. What comes from there counts by digest only. Either this or oci.',
        {
          max: 512,
          pattern: '^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/[A-Za-z0-9._~:%+/-]+$',
          code: 'HR-API-015',
          cure: 'write https://<host>/<path>; credentials do not belong into it: the artifacts server has them in a file',
        },
      ),
    ),
    format: Type.Unsafe<'mcuboot' | 'suit' | 'rauc' | 'swupdate' | 'raw'>({
      type: 'string',
      enum: ['mcuboot', 'suit', 'rauc', 'swupdate', 'raw'],
      description: 'Format of the image: mcuboot, suit, rauc, swupdate or raw.',
    }),
    size: count('Size in bytes.', { min: 1, max: 0x10_0000_0000 }),
    digest: digest('SHA-256 of the payload, repeated inside the signed manifest.'),
    hardware: Type.Optional(hardware),
    baseDigest: Type.Optional(digest('For a delta: digest of the image it applies to. Devices that run another get a full artifact.')),
  },
  {
    rules: [
      rule(
        'HR-API-017',
        '!has(self.baseDigest) || self.baseDigest != self.digest',
        'a delta from an image to itself: correct digest or baseDigest',
      ),
      rule('HR-API-017', 'has(self.oci) != has(self.url)', 'an artifact lies in one place: write oci or url, not both and not neither'),
    ],
  },
);

export const compatibility = object('What a device must have to be offered the release.', {
  fromVersions: Type.Optional(versionRange('Range of running versions that may be updated, for example ">=2.1.0 <2.4.0". Default: all.')),
  minVersionFloor: Type.Optional(version('Afterwards the device never runs a version below this. Default: none.')),
  secureBoot: Type.Optional(
    flag(
      'Whether only devices with a registered boot key (spec.firmware.bootKey) are offered it: their success is proven by the bootloader, not by the word of the image. Default: false.',
    ),
  ),
  minBattery: Type.Optional(count('Least battery charge in percent. Default: none.', { max: 100 })),
  minFreeBytes: Type.Optional(
    text('Least free storage, for example 4Mi. Default: none.', {
      max: 16,
      pattern: '^[0-9]{1,12}(Ki|Mi|Gi)?$',
      code: 'HR-API-015',
      cure: 'write bytes with Ki, Mi or Gi, for example 4Mi',
    }),
  ),
});

export const requirement = object('Something that must run on the same device first.', {
  component: label('Its component.'),
  version: versionRange('Range of its version, for example ">=1.4.0".'),
  release: Type.Optional(
    objectName('FirmwareRelease of the same namespace that brings it: this one does not begin before that is Completed. Default: none.'),
  ),
});

export const trust = object('Who must have signed the artifacts.', {
  policyRef: object('The trust policy: keys, threshold, root versions.', {
    name: objectName('Name of the ConfigMap with the TUF root metadata.'),
  }),
  envelope: text(
    'The signed release statement: the DSSE envelope as kubectl hedgerow firmware sign wrote it (JSON text, at most 64 KiB). It is verified before anything in it is believed; the artifacts, version, component and security counter of this manifest have to be those of the statement. Signatures may be added later.',
    { max: 65_536, min: 2 },
  ),
  provenance: Type.Optional(
    object('Whether and by whom the build must be attested (SLSA provenance).', {
      required: flag('Whether an attestation is required. Default: false.', { default: false }),
      builders: Type.Optional(list('Builders that count. Default: any.', text('URI of a builder.', { max: 512 }), { max: 16, set: true })),
      sources: Type.Optional(
        list('Source repositories that count. Default: any.', text('URI of a repository.', { max: 512 }), { max: 16, set: true }),
      ),
    }),
  ),
});
