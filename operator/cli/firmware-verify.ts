// `kubectl hedgerow firmware verify`: whether a release may run, by the roots and nothing else.
import { advance, artifactOf, MAX_ENVELOPE_BYTES, type Remembered, type Root, verifyRelease } from '../firmware/firmware.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Command } from './command.ts';
import { CliError } from './errors.ts';
import { bytesIfThere, bytesOf, digestOfFile, good, refusal, rootsIn } from './firmware-files.ts';
import { releaseText } from './firmware-release-text.ts';
import { OUTPUT_FLAG, required, TEXT, TEXTS, text, texts, wantsJson } from './flags.ts';
import { writeWhole } from './import-files.ts';
import { type Values, WrongUse } from './parse.ts';

const MAX_REMEMBERED_BYTES = 1024;

export const firmwareVerify: Command = {
  words: ['firmware', 'verify'],
  operand: 'ENVELOPE',
  summary: 'whether a firmware release is signed by whom the roots trust, and is these files',
  help: `usage: kubectl hedgerow firmware verify ENVELOPE --root DIR --pin DIGEST [FLAG…]

Walks the roots of DIR from the pinned first one to the newest, counts the signatures of ENVELOPE by its release keys, and only then reads what it says.
ENVELOPE is a DSSE envelope or a Sigstore bundle with one.

  --root DIR                   the folder with 1.root.json … N.root.json (required)
  --pin DIGEST                 SHA-256 of 1.root.json, from where you trust it: not from that folder (required)
  --remember FILE              the newest root ever accepted, kept where who writes DIR cannot: older roots are then refused. Made where it is not there
  --artifact FILE              a file that must be one of the artifacts; again for each
  --output, -o json            the same for scripts

Exit codes: 0 it may run; 1 it may not, the line on stderr has code and cure, or it could not be done; 2 wrong use.
`,
  flags: {
    root: TEXT,
    pin: TEXT,
    remember: TEXT,
    artifact: TEXTS,
    ...OUTPUT_FLAG,
    help: { type: 'boolean', short: 'h' },
  },
  async run(values, { out }) {
    const json = wantsJson(values);
    const file = required(values, 'ENVELOPE');
    const root = await trustedRoot(values, systemClock);
    const release = good(verifyRelease(await bytesOf(file, MAX_ENVELOPE_BYTES), root), file);
    const files = [];
    for (const path of texts(values, 'artifact'))
      files.push({ path, artifact: good(artifactOf(release.facts, await digestOfFile(path)), path).name });
    const threshold = root.targets.threshold;
    if (json)
      out(
        `${JSON.stringify({ ...release.facts, signers: release.signers, threshold, digest: release.digest, root: root.version, files }, undefined, 2)}\n`,
      );
    else
      out(
        releaseText(release.facts, [
          ['statement', release.digest],
          ...release.signers.map((id) => ['signed by', id] as const),
          ['needed', `${threshold} of ${root.targets.keys.length}`],
          ['root', `${root.version}, good until ${new Date(root.expiresAt).toISOString().slice(0, 10)}`],
          ...files.map(({ path, artifact }) => [`is ${artifact}`, path] as const),
        ]),
      );
    return 0;
  },
};

async function trustedRoot(values: Values, clock: Pick<Clock, 'now'>): Promise<Root> {
  const dir = required(values, 'root');
  const pin = required(values, 'pin').replace(/^sha256:/, '');
  if (!/^[0-9a-f]{64}$/.test(pin)) throw new WrongUse('--pin is no SHA-256: 64 hexadecimal digits in lower case');
  const file = text(values, 'remember');
  const before = file === undefined ? undefined : await rememberedIn(file);
  const chain = advance(pin, before, await rootsIn(dir), clock.now());
  const { remembered } = chain;
  if (file !== undefined && remembered !== undefined && remembered.version !== before?.version)
    await writeWhole(file, `${JSON.stringify(remembered)}\n`);
  if (!chain.ok) throw refusal(chain.problem, dir);
  return chain.root;
}

async function rememberedIn(file: string): Promise<Remembered | undefined> {
  const bytes = await bytesIfThere(file, MAX_REMEMBERED_BYTES);
  if (bytes === undefined) return undefined;
  try {
    const { version, digest } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    if (Number.isSafeInteger(version) && Number(version) > 0 && typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest))
      return { version: Number(version), digest };
  } catch {
    // Said below.
  }
  throw new CliError('HR-CLI-086', file);
}
