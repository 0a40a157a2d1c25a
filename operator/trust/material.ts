// What there is to tell devices, from files and from the last message; or what is wrong with it.
import { readFile } from 'node:fs/promises';
import { type Anchors, readAnchors } from './anchors.ts';
import type { Problem } from './errors.ts';
import { readAnchorFiles } from './files.ts';
import { decode, encode, type Message, nextMessage } from './message.ts';
import { readSigner, type Signer } from './signer.ts';

type Material = { anchors: Anchors; signer: Signer };
export type Announcement = { message: Message; text: string; anchors: Anchors };
type Paths = { anchorsDir: string; keyFile: string };

/** What devices should be told now; `lastText` as it is while it says the same. */
export async function announcement(paths: Paths, lastText: string, now: number): Promise<Announcement | { problem: Problem }> {
  const material = await readMaterial(paths, now);
  return 'problem' in material ? material : announce(material, lastText, now);
}

async function readMaterial(paths: Paths, now: number): Promise<Material | { problem: Problem }> {
  const texts = await readAnchorFiles(paths.anchorsDir).catch(() => undefined);
  if (texts === undefined) return { problem: { code: 'HR-TRU-001', found: `the files in ${paths.anchorsDir} cannot be read` } };
  const read = readAnchors(texts, now);
  if (!read.ok) return read;
  const signer = readSigner(await readFile(paths.keyFile, 'utf8').catch(() => ''));
  return signer.ok ? { anchors: read.anchors, signer: signer.signer } : signer;
}

/** Pure but for the signature, which is another one each time. */
export function announce({ anchors, signer }: Material, lastText: string, now: number): Announcement | { problem: Problem } {
  const last = decode(lastText);
  if (last !== undefined && !last.keys.some((key) => key.equals(signer.spki))) return { problem: { code: 'HR-TRU-012' } };
  const message = nextMessage(anchors, signer, last, now);
  return { anchors, message, text: message === last ? lastText : encode(message, signer) };
}
