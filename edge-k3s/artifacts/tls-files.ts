// Certificate, key, CAs and revocation lists as files: a kubelet replaces them in place when the Secret or ConfigMap behind them changes.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isSignedBy, type ReadList } from '../../operator/crl/read-list.ts';
import type { Clock } from '../../operator/runtime/clock.ts';
import { followFiles } from '../../operator/runtime/follow-files.ts';
import type { Log } from '../../operator/runtime/log.ts';
import { readLists } from './client-certificate.ts';
import { type Problem, Refused } from './errors.ts';

export type TlsFiles = {
  key: string;
  cert: string;
  ca: string;
  lists: readonly ReadList[];
  /** Changes with any of them. */
  hash: string;
};

export type TlsPaths = { certFile: string; keyFile: string; caFile: string; crlFiles: readonly string[] };

/** Rejects with `Refused` HR-FW-431. */
export async function readTlsFiles({ certFile, keyFile, caFile, crlFiles }: TlsPaths): Promise<TlsFiles> {
  const all = [certFile, keyFile, caFile, ...crlFiles];
  const bytes = await Promise.all(all.map(async (file) => await readFile(file).catch(() => wrong(`${file} cannot be read`))));
  const [cert = '', key = '', ca = ''] = bytes.slice(0, 3).map((one) => one.toString('utf8'));
  if (certificatesIn(cert, certFile).length === 0) wrong(`${certFile} holds no certificate in PEM`);
  const authorities = certificatesIn(ca, caFile);
  if (authorities.length === 0 || !authorities.every((one) => one.ca)) wrong(`${caFile} holds something else than CA certificates in PEM`);
  privateKey(key, certificatesIn(cert, certFile)[0], keyFile);
  const lists = crlFiles.flatMap((file, at) => readLists(bytes[at + 3] ?? Buffer.alloc(0), file));
  const hash = createHash('sha256');
  for (const one of bytes) hash.update(`${one.length} `).update(one);
  return { key, cert, ca, lists, hash: hash.digest('hex') };
}

/** What is the matter with the lists, though they count. */
export function listProblems({ ca, lists }: TlsFiles, nowMs: number): Problem[] {
  const authorities = certificatesIn(ca, '');
  return lists.flatMap((list): Problem[] => [
    ...(list.nextUpdateMs < nowMs
      ? [{ code: 'HR-FW-432', found: `a list has been old since ${new Date(list.nextUpdateMs).toISOString()}` } as const]
      : []),
    ...(authorities.some((authority) => isSignedBy(list, authority)) ? [] : [{ code: 'HR-FW-433' } as const]),
  ]);
}

/** Looks until the signal aborts, and tells of what is new. What does not read leaves the last good in force. */
export async function watchTlsFiles(
  paths: TlsPaths,
  first: TlsFiles,
  onNew: (files: TlsFiles) => void,
  o: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  const { log } = o;
  const followed = {
    read: () => readTlsFiles(paths),
    isSame: (one: TlsFiles, other: TlsFiles) => one.hash === other.hash,
    onNew(files: TlsFiles): void {
      onNew(files);
      log.info({ lists: files.lists.length }, 'new TLS files are in force');
    },
    onTrouble(error: unknown): void {
      if (!(error instanceof Refused)) throw error;
      log.warn({ ...error.problem }, 'the TLS files do not read; the last good ones stay in force');
    },
  };
  await followFiles(first, followed, o.clock, o.signal);
}

function certificatesIn(pem: string, file: string): X509Certificate[] {
  try {
    return (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map((one) => new X509Certificate(one));
  } catch {
    return wrong(`${file} holds a certificate that does not read`);
  }
}

function privateKey(pem: string, certificate: X509Certificate | undefined, file: string): void {
  let fits = false;
  try {
    fits = certificate?.checkPrivateKey(createPrivateKey(pem)) === true;
  } catch {
    // Nothing of a key is repeated.
  }
  if (!fits) wrong(`${file} is not the private key of the certificate`);
}

function wrong(found: string): never {
  throw new Refused('HR-FW-431', found);
}
