// The server anchors as files: a ConfigMap that an administrator, cert-manager's trust-manager or Git keeps, mounted as a folder. No right at the API server is needed to read it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnchorTexts } from './anchors.ts';

/** A file that is not there is undefined; one that cannot be read rejects. A kubelet swaps the whole folder at once, so two reads in a row may be of two versions. */
export async function readAnchorFiles(dir: string): Promise<AnchorTexts> {
  for (;;) {
    const [first, second] = [await readOnce(dir), await readOnce(dir)];
    if (JSON.stringify(first) === JSON.stringify(second)) return second;
  }
}

async function readOnce(dir: string): Promise<AnchorTexts> {
  const [current, next, previous, nextIssuer, nextKeys] = await Promise.all(
    ['current.pem', 'next.pem', 'previous.pem', 'next-issuer', 'next-keys.pem'].map((name) => textOf(join(dir, name))),
  );
  return { current, next, previous, nextIssuer, nextKeys };
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
