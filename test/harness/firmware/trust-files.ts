// Keys, trust roots and releases in a folder, made by the commands that people type. Private keys are files here and nowhere else.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../../operator/cli/cli.ts';
import { firmwareKeygen } from '../../../operator/cli/firmware-keygen.ts';
import { rootChange, rootInit, rootSign } from '../../../operator/cli/firmware-root.ts';
import { firmwareSign } from '../../../operator/cli/firmware-sign.ts';
import { readRoot } from '../../../operator/firmware/root.ts';
import { draftRoot, signRoot } from '../../../operator/firmware/root-draft.ts';
import { type SigningKey, signingKey } from '../../../operator/firmware/signing-key.ts';
import { toYaml } from '../manifests.ts';

const DAY_MS = 86_400_000;

const COMMANDS = [firmwareKeygen, rootInit, rootChange, rootSign, firmwareSign];
/** Two of the first three sign roots, both of the others sign releases. */
const ROOT_KEYS = ['anna', 'ben', 'dora'] as const;
const RELEASE_KEYS = ['ci', 'cleo'] as const;
export type ReleaseKey = (typeof RELEASE_KEYS)[number];

export type ReleaseWish = {
  /** Names its files. */
  name: string;
  component: string;
  version: string;
  securityCounter: number;
  image: Buffer;
  classId: string;
  models: readonly string[];
  by?: readonly ReleaseKey[];
};

export type SignedRelease = ReleaseWish & { digest: string; envelope: string; manifestDigest: string };

export type TrustFiles = {
  readonly dir: string;
  /** SHA-256 of 1.root.json in hex. */
  readonly pin: string;
  /** N.root.json by name, all that there are. */
  roots(): Record<string, string>;
  firstRoot(): Buffer;
  /** The next root, with nothing new but its expiry; enough sign it. */
  nextRoot(): Promise<void>;
  /** The next root, as it is when its time is over. The command makes none that has run out already. */
  expiredRoot(): void;
  sign(wish: ReleaseWish): Promise<SignedRelease>;
};

export async function makeTrustFiles(dir: string): Promise<TrustFiles> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const at = (name: string): string => join(dir, name);
  const roots = at('roots');
  for (const name of [...ROOT_KEYS, ...RELEASE_KEYS]) await say('firmware', 'keygen', at(name));
  await say(
    ...['firmware', 'root', 'init', roots, '--root-threshold', '2', '--release-threshold', '2'],
    ...ROOT_KEYS.flatMap((name) => ['--root-key', at(`${name}.pub`)]),
    ...RELEASE_KEYS.flatMap((name) => ['--release-key', at(`${name}.pub`)]),
  );
  const signRoot = async (): Promise<void> => {
    for (const name of ROOT_KEYS.slice(0, 2)) await say('firmware', 'root', 'sign', roots, '--key', at(name));
  };
  await signRoot();
  const firstRoot = (): Buffer => readFileSync(join(roots, '1.root.json'));
  return {
    dir,
    pin: createHash('sha256').update(firstRoot()).digest('hex'),
    firstRoot,
    roots: () =>
      Object.fromEntries(
        readdirSync(roots)
          .filter((file) => /^\d+\.root\.json$/.test(file))
          .map((file) => [file, readFileSync(join(roots, file), 'utf8')]),
      ),
    async nextRoot() {
      await say('firmware', 'root', 'change', roots);
      await signRoot();
    },
    expiredRoot: () =>
      writeExpired(
        roots,
        ROOT_KEYS.slice(0, 2).map((name) => signingKey(readFileSync(at(name), 'utf8'))),
      ),
    sign: (wish) => signRelease(dir, wish),
  };
}

function writeExpired(roots: string, keys: readonly SigningKey[]): void {
  const newest = readdirSync(roots).filter((file) => /^\d+\.root\.json$/.test(file)).length;
  const before = readRoot(readFileSync(join(roots, `${newest}.root.json`)));
  const same = { add: [], remove: [], threshold: undefined };
  let bytes: Uint8Array = draftRoot(before, { root: same, targets: same, expiresAt: Date.now() - DAY_MS });
  for (const key of keys) bytes = signRoot(bytes, before, key) ?? bytes;
  writeFileSync(join(roots, `${newest + 1}.root.json`), bytes);
}

async function signRelease(dir: string, wish: ReleaseWish): Promise<SignedRelease> {
  const { name, component, version, securityCounter, image, classId, models, by = RELEASE_KEYS } = wish;
  const [file, description] = [join(dir, `${name}.dsse.json`), join(dir, `${name}.yaml`)];
  writeFileSync(join(dir, `${name}.bin`), image);
  const artifacts = [{ name: 'full', file: `${name}.bin`, format: 'raw', hardware: { classIds: [classId], models } }];
  writeFileSync(description, toYaml([{ component, version, securityCounter, artifacts }]));
  await say('firmware', 'sign', file, '--release', description, ...by.flatMap((key) => ['--key', join(dir, key)]));
  const envelope = readFileSync(file, 'utf8');
  const { payload } = JSON.parse(envelope) as { payload: string };
  const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { ...wish, digest: sha256(image), envelope, manifestDigest: sha256(Buffer.from(payload, 'base64')) };
}

/** `kubectl hedgerow` with these words; throws with what it complained about. */
async function say(...words: string[]): Promise<void> {
  let complaint = '';
  const code = await runCli(COMMANDS, words, {
    out: () => undefined,
    err: (text) => {
      complaint += text;
    },
  });
  if (code !== 0) throw new Error(complaint);
}
