// What is signed about a release: an in-toto Statement v1 (https://github.com/in-toto/attestation) with a predicate of our own. docs/reference/firmware-statement.md. Pure.
import type { Static } from 'typebox';
import { label } from '../api/fields.ts';
import { artifact, compatibility, version } from '../api/firmware-artifact.ts';
import { choice, count, list, object, text } from '../api/schema.ts';
import { schemaProblems } from '../api/validate.ts';
import { Refused } from './errors.ts';
import { isObject, jsonOr } from './strict-json.ts';
import { isBelow } from './version-order.ts';

const STATEMENT = 'https://in-toto.io/Statement/v1';
const PREDICATE = 'https://hedgerow.dev/firmware-release/v1';
const MAX_ARTIFACTS = 16;
/** Base64 of it and 32 signatures stay below 64 KiB. */
const MAX_STATEMENT_BYTES = 40 * 1024;

const { name, format, size, hardware, baseDigest } = artifact.properties;

const predicate = object('What the artifacts are.', {
  component: label('What it is firmware of: app, bootloader, modem, rootfs.'),
  version: version('Version of the firmware, semantic versioning (semver.org).'),
  securityCounter: count('Anti-rollback counter; equal to the one inside the image.', { max: 0x7fff_ffff }),
  minVersionFloor: compatibility.properties.minVersionFloor,
  artifacts: list('One for each subject, with its name.', object('One artifact.', { name, format, size, hardware, baseDigest }), {
    max: MAX_ARTIFACTS,
    min: 1,
  }),
});

const subject = object('One file.', {
  name,
  digest: object('Its digest.', {
    sha256: text('SHA-256 of the file, hex.', {
      max: 64,
      pattern: '^[0-9a-f]{64}$',
      code: 'HR-API-015',
      cure: 'a SHA-256 is 64 hexadecimal digits in lower case',
    }),
  }),
});

/** The whole statement. */
export const statementSchema = object('A release of firmware, as it is signed.', {
  _type: choice([STATEMENT], 'Always this.'),
  subject: list('The files that are released.', subject, { max: MAX_ARTIFACTS, min: 1 }),
  predicateType: choice([PREDICATE], 'Always this.'),
  predicate,
});

/** Plain names are the person's who makes one; digests come from the files. */
export type ReleaseFacts = Omit<Static<typeof predicate>, 'artifacts'> & { artifacts: readonly SignedArtifact[] };
export type SignedArtifact = Static<typeof predicate>['artifacts'][number] & { /** Of the file, hex. */ sha256: string };

/** Throws `Refused`: HR-FW-025 or 026. Only for bytes whose signatures hold. */
export function readStatement(bytes: Uint8Array): ReleaseFacts {
  const json = jsonOr(bytes, wrong);
  if (!isObject(json)) return wrong('it is no object');
  if (json._type !== STATEMENT || json.predicateType !== PREDICATE) throw new Refused('HR-FW-025');
  const [problem] = schemaProblems(statementSchema, json, 'statement');
  if (problem !== undefined) return wrong(problem);
  return joined(json as unknown as Static<typeof statementSchema>);
}

/** The bytes to sign. Throws `Refused`: HR-FW-020, or 026 where they could not be read again. */
export function statementOf({ artifacts, ...facts }: ReleaseFacts): Buffer {
  const bytes = Buffer.from(
    JSON.stringify({
      _type: STATEMENT,
      subject: artifacts.map((one) => ({ name: one.name, digest: { sha256: one.sha256 } })),
      predicateType: PREDICATE,
      predicate: { ...facts, artifacts: artifacts.map(({ sha256: _, ...rest }) => rest) },
    }),
  );
  if (bytes.length > MAX_STATEMENT_BYTES)
    throw new Refused('HR-FW-020', `its statement has ${bytes.length} bytes, more than ${MAX_STATEMENT_BYTES}`);
  readStatement(bytes);
  return bytes;
}

function wrong(found: string): never {
  throw new Refused('HR-FW-026', found);
}

/** Subjects and artifacts are the same files, by name. */
function joined({ subject: subjects, predicate: { artifacts, ...facts } }: Static<typeof statementSchema>): ReleaseFacts {
  const digests = new Map(subjects.map((one) => [one.name, one.digest.sha256]));
  const names = new Set(artifacts.map((one) => one.name));
  if (digests.size < subjects.length || names.size < artifacts.length) wrong('a name stands twice');
  const known = artifacts.map((one): SignedArtifact => {
    const sha256 = digests.get(one.name);
    if (sha256 === undefined) return wrong(`artifact ${one.name} is no subject`);
    return { ...one, sha256 };
  });
  if (known.length < subjects.length) wrong('a subject has no artifact of its name');
  if (facts.minVersionFloor !== undefined && isBelow(facts.version, facts.minVersionFloor))
    wrong(`version ${facts.version} is below its own minVersionFloor ${facts.minVersionFloor}`);
  return { ...facts, artifacts: known };
}
