// `kubectl hedgerow firmware sign`: says what a release is, and who answers for it.
import { promises as fs } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import {
  type Envelope,
  envelopeFrom,
  envelopeText,
  hasSigned,
  MAX_ENVELOPE_BYTES,
  newEnvelope,
  type ReleaseFacts,
  statementIn,
  withSignature,
  withSignaturesOf,
} from '../firmware/firmware.ts';
import type { Command } from './command.ts';
import { CliError } from './errors.ts';
import { bytesIfThere, bytesOf, digestOfFile, good, privateKeyIn } from './firmware-files.ts';
import { releaseText } from './firmware-release-text.ts';
import { required, TEXT, TEXTS, text, texts } from './flags.ts';
import { writeWhole } from './import-files.ts';
import { WrongUse } from './parse.ts';
import { isRecord } from './record.ts';

const MAX_RELEASE_BYTES = 256 * 1024;

export const firmwareSign: Command = {
  words: ['firmware', 'sign'],
  operand: 'ENVELOPE',
  summary: 'sign a firmware release, or add a signature to one',
  help: `usage: kubectl hedgerow firmware sign ENVELOPE --release FILE [--key FILE]…
       kubectl hedgerow firmware sign ENVELOPE --key FILE… | --from FILE…

Makes ENVELOPE (DSSE with an in-toto statement) from the description of a release and the files that it names, and signs it; or adds a signature to one that
is there, after printing what it says. Several people sign one after the other. Again with the same key changes nothing.

  --release FILE               the release, YAML: component, version, securityCounter, minVersionFloor, and artifacts with name, file (beside FILE), format,
                               hardware and baseDigest; digests and sizes come from the files
  --key FILE                   your private key; again for each. Without any, ENVELOPE is left for others to sign
  --from FILE                  take over the signatures of another envelope of the same statement, or of a Sigstore bundle (cosign attest-blob); again for each

Exit codes: 0 done; 1 it could not be done; 2 wrong use.
`,
  flags: { release: TEXT, key: TEXTS, from: TEXTS, help: { type: 'boolean', short: 'h' } },
  async run(values, { out }) {
    const file = required(values, 'ENVELOPE');
    const keys = await Promise.all(texts(values, 'key').map(privateKeyIn));
    const { envelope, isNew } = await started(file, text(values, 'release'));
    if (!isNew && keys.length === 0 && texts(values, 'from').length === 0 && text(values, 'release') === undefined)
      throw new WrongUse('--key or --from is required');
    const release = good(statementIn(envelope), file);
    let next = envelope;
    for (const from of texts(values, 'from')) next = withSignaturesOf(next, await sameStatement(from, envelope));
    for (const key of keys) next = withSignature(next, key);
    if (isNew || envelopeText(next) !== envelopeText(envelope)) await writeWhole(file, envelopeText(next));
    const yours = keys.map((key) => [hasSigned(envelope, key.public) ? 'had signed' : 'signed by', key.public.keyid] as const);
    out(releaseText(release, [['signatures', String(next.signatures.length)], ...yours]));
    return 0;
  },
};

async function started(file: string, releaseFile: string | undefined): Promise<{ envelope: Envelope; isNew: boolean }> {
  const bytes = await bytesIfThere(file, MAX_ENVELOPE_BYTES);
  const there = bytes === undefined ? undefined : good(envelopeFrom(bytes), file);
  if (releaseFile === undefined) {
    if (there === undefined) throw new WrongUse(`there is no ${file}; --release makes one`);
    return { envelope: there, isNew: false };
  }
  const made = good(newEnvelope(await releaseIn(releaseFile)), releaseFile);
  if (there === undefined) return { envelope: made, isNew: true };
  if (!there.payload.equals(made.payload)) throw new CliError('HR-CLI-085', `${file} and ${releaseFile}`);
  return { envelope: there, isNew: false };
}

async function sameStatement(from: string, envelope: Envelope): Promise<Envelope> {
  const other = good(envelopeFrom(await bytesOf(from, MAX_ENVELOPE_BYTES)), from);
  if (!other.payload.equals(envelope.payload)) throw new CliError('HR-CLI-085', from);
  return other;
}

/** What the file says, with digests and sizes of the files that it names. What is missing or too much the schema of the statement says. */
async function releaseIn(path: string): Promise<ReleaseFacts> {
  const bytes = await bytesOf(path, MAX_RELEASE_BYTES);
  if (bytes.length > MAX_RELEASE_BYTES) throw new CliError('HR-CLI-084', `${path} has more than ${MAX_RELEASE_BYTES / 1024} KiB`);
  const described = yamlOf(bytes.toString(), path);
  const artifacts = isRecord(described) ? described.artifacts : undefined;
  if (!isRecord(described) || !Array.isArray(artifacts)) throw new CliError('HR-CLI-084', `${path} has no list of artifacts`);
  const known = [];
  for (const one of artifacts as unknown[]) {
    const { file, ...rest } = isRecord(one) ? one : {};
    if (typeof file !== 'string') throw new CliError('HR-CLI-084', `${path}: an artifact names no file`);
    known.push({ ...rest, ...(await digestOfFile(await real(resolve(dirname(path), file)))) });
  }
  return { ...described, artifacts: known } as unknown as ReleaseFacts;
}

/** An empty file is a mistake of a build, never a release. */
async function real(file: string): Promise<string> {
  const about = await fs.stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new CliError('HR-CLI-004', `${file} (${error.code ?? 'unknown'})`);
  });
  if (!about.isFile() || about.size === 0) throw new CliError('HR-CLI-084', `${file} is empty, or no file`);
  return file;
}

function yamlOf(source: string, path: string): unknown {
  const document = parseDocument(source);
  const [problem] = document.errors;
  if (problem !== undefined) throw new CliError('HR-CLI-084', `${path}: ${problem.message.split('\n')[0] ?? ''}`);
  try {
    return document.toJS();
  } catch {
    throw new CliError('HR-CLI-084', `${path} has too many aliases`);
  }
}
