// `kubectl hedgerow firmware root init | change | sign | show`: which keys people trust for firmware, as TUF root metadata in a folder.
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_ROOT_BYTES, newestRoot, progressOf, type Root, rootDraft, rootFrom, withRootSignature } from '../firmware/firmware.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import type { Command } from './command.ts';
import { CliError } from './errors.ts';
import { bytesIfThere, DRAFT, good, privateKeyIn, rootsIn } from './firmware-files.ts';
import { rootJson, rootText } from './firmware-root-text.ts';
import { readWishes, WISH_FLAGS } from './firmware-wishes.ts';
import { OUTPUT_FLAG, required, TEXT, wantsJson } from './flags.ts';
import { makeFolder, writeWhole } from './import-files.ts';
import type { Values } from './parse.ts';

const HELP_FLAG = { help: { type: 'boolean', short: 'h' } } as const;
const EXPIRY_HELP = `  --expires DATE               until when it is good, YYYY-MM-DD, UTC (default: in 365 days)
`;
const EXITS = 'Exit codes: 0 done; 1 it could not be done; 2 wrong use.\n';

export const rootInit: Command = {
  words: ['firmware', 'root', 'init'],
  operand: 'DIR',
  summary: 'the first trust root for firmware, to be signed',
  help: `usage: kubectl hedgerow firmware root init DIR --root-key FILE… --release-key FILE… [FLAG…]

Writes DIR/${DRAFT}: which keys sign the next root (the more guarded ones), which sign releases, and how many of each it takes. It becomes 1.root.json when
as many have signed it as it says: "kubectl hedgerow firmware root sign DIR --key FILE", one after the other. Again with other flags replaces the draft.

  --root-key FILE              a public key that signs roots; again for each
  --root-threshold N           how many of them it takes (default: 1)
  --release-key FILE           a public key that signs releases; again for each
  --release-threshold N        how many of them it takes (default: 1)
${EXPIRY_HELP}
${EXITS}`,
  flags: { ...WISH_FLAGS.init, ...HELP_FLAG },
  async run(values, { out }) {
    const dir = required(values, 'DIR');
    await makeFolder(dir);
    const { before } = await shelf(dir);
    if (before !== undefined) throw new CliError('HR-CLI-080', `${dir} has ${before.version}.root.json`);
    out(await writeDraft(dir, undefined, values, systemClock));
    return 0;
  },
};

export const rootChange: Command = {
  words: ['firmware', 'root', 'change'],
  operand: 'DIR',
  summary: 'the next trust root: other keys, thresholds or expiry, to be signed',
  help: `usage: kubectl hedgerow firmware root change DIR [FLAG…]

Writes DIR/${DRAFT}: the newest root with the next version and what the flags change; without any only its expiry is new. It becomes N.root.json when as
many keys have signed it as the newest root says, and as it says itself. Again with other flags replaces the draft, and its signatures are void.

  --root-key FILE              a public key that signs roots from then on; again for each
  --remove-root-key ID         the id of one that does not any more, or its beginning; again for each
  --root-threshold N           how many of them it takes
  --release-key FILE           a public key that signs releases from then on; again for each
  --remove-release-key ID      the id of one that does not any more, or its beginning; again for each
  --release-threshold N        how many of them it takes
${EXPIRY_HELP}
${EXITS}`,
  flags: { ...WISH_FLAGS.change, ...HELP_FLAG },
  async run(values, { out }) {
    const dir = required(values, 'DIR');
    const { before } = await shelf(dir);
    if (before === undefined) throw new CliError('HR-CLI-081', `${dir} has no 1.root.json yet`);
    out(await writeDraft(dir, before, values, systemClock));
    return 0;
  },
};

export const rootSign: Command = {
  words: ['firmware', 'root', 'sign'],
  operand: 'DIR',
  summary: 'sign the next trust root; it is published in DIR when enough have',
  help: `usage: kubectl hedgerow firmware root sign DIR --key FILE

Prints DIR/${DRAFT} and signs it. When it has the signatures that it needs, it becomes N.root.json and is never changed again. To sign it on another machine
move the whole folder there and back.

  --key FILE                   your private key (required)

${EXITS}`,
  flags: { key: TEXT, ...HELP_FLAG },
  async run(values, { out }) {
    const dir = required(values, 'DIR');
    const key = await privateKeyIn(required(values, 'key'));
    const { before, draft } = await shelf(dir);
    if (draft === undefined) {
      if (before?.signatures.some(({ keyid }) => keyid === key.public.keyid) !== true)
        throw new CliError('HR-CLI-081', `${dir} has no ${DRAFT}`);
      out(`${before.version}.root.json is published and has your signature\n`);
      return 0;
    }
    const bytes = good(withRootSignature(draft.bytes, before, key), DRAFT);
    if (bytes === undefined) throw new CliError('HR-CLI-082', `key ${key.public.keyid}`);
    out(await keep(dir, before, bytes));
    return 0;
  },
};

export const rootShow: Command = {
  words: ['firmware', 'root', 'show'],
  operand: 'DIR',
  summary: 'who is trusted for firmware, until when, and who has yet to sign the next root',
  help: `usage: kubectl hedgerow firmware root show DIR [-o json]

Checks the roots of DIR from the first to the newest and prints the newest: its keys, thresholds and expiry, the digest to pin, and what ${DRAFT} waits for.

  --output, -o json            the same for scripts

${EXITS}`,
  flags: { ...OUTPUT_FLAG, ...HELP_FLAG },
  async run(values, { out }) {
    const json = wantsJson(values);
    const dir = required(values, 'DIR');
    const { before, draft, pin } = await shelf(dir);
    if (before === undefined && draft === undefined) throw new CliError('HR-CLI-081', `${dir} has neither a root nor a draft of one`);
    const view = { newest: before, draft: draft?.root, pin, now: systemClock.now() };
    out(json ? `${JSON.stringify(rootJson(view), undefined, 2)}\n` : rootText(view));
    return 0;
  },
};

type Draft = { root: Root; bytes: Buffer };
type Shelf = { before: Root | undefined; draft: Draft | undefined; pin: string | undefined };

/** The newest published root, and the draft after it. */
async function shelf(dir: string): Promise<Shelf> {
  const files = await rootsIn(dir);
  const before = good(newestRoot(files), dir);
  const first = files.get('1.root.json');
  const pin = first === undefined ? undefined : good(rootFrom(first), '1.root.json').digest;
  const bytes = await bytesIfThere(join(dir, DRAFT), MAX_ROOT_BYTES);
  if (bytes === undefined) return { before, draft: undefined, pin };
  const root = good(rootFrom(bytes), DRAFT);
  const wanted = (before?.version ?? 0) + 1;
  if (root.version !== wanted) throw new CliError('HR-CLI-083', `${DRAFT} holds version ${root.version}, and the next one is ${wanted}`);
  return { before, draft: { root, bytes }, pin };
}

async function writeDraft(dir: string, before: Root | undefined, values: Values, clock: Pick<Clock, 'now'>): Promise<string> {
  const bytes = good(rootDraft(before, await readWishes(values, before, clock)), 'the root that you ask for');
  const root = good(rootFrom(bytes), DRAFT);
  const { draft } = await shelf(dir);
  const view = { newest: before, draft: root, pin: undefined, now: clock.now() };
  if (draft !== undefined && JSON.stringify(draft.root.signed) === JSON.stringify(root.signed))
    return `${rootText({ ...view, draft: draft.root })}\nThis is what ${DRAFT} says already; its signatures stay.\n`;
  await writeWhole(join(dir, DRAFT), bytes.toString());
  const lost = draft?.root.signatures.length ?? 0;
  return `${rootText(view)}${lost === 0 ? '' : `\nThe ${lost} signatures of the draft before are void: it said something else.\n`}`;
}

/** Complete, it gets its name; until then it stays the draft. */
async function keep(dir: string, before: Root | undefined, bytes: Uint8Array): Promise<string> {
  const root = good(rootFrom(bytes), DRAFT);
  await writeWhole(join(dir, DRAFT), Buffer.from(bytes).toString());
  if (!progressOf(root, before).isComplete) return rootText({ newest: before, draft: root, pin: undefined, now: 0 });
  const name = `${root.version}.root.json`;
  const path = join(dir, name);
  await rename(join(dir, DRAFT), path).catch((error: NodeJS.ErrnoException) => {
    throw new CliError('HR-CLI-044', `${path} (${error.code ?? 'unknown'})`);
  });
  const digest = root.version === 1 ? `\nPin it: its SHA-256 is ${root.digest}\n` : '';
  return `${rootText({ newest: root, draft: undefined, pin: undefined, now: 0 })}\nEnough have signed: ${name} is published.\n${digest}`;
}
