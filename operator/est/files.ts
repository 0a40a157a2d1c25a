// Certificates and CAs as files: a kubelet replaces them in place when the Secret or ConfigMap behind them changes.
import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { factoryCertificates } from '../identity/identity.ts';
import type { Clock } from '../runtime/clock.ts';
import { followFiles } from '../runtime/follow-files.ts';
import type { Log } from '../runtime/log.ts';

export type Material = { key: string; cert: string; authorities: readonly X509Certificate[] };
type Paths = { certFile: string; keyFile: string; caFile: string; moreCasFile?: string | undefined };

/** Rejects with a sentence for a person. */
export async function readMaterial({ certFile, keyFile, caFile, moreCasFile }: Paths): Promise<Material> {
  const [cert, key, ca] = await Promise.all([certFile, keyFile, caFile].map((file) => readFile(file, 'utf8')));
  const authorities = factoryCertificates.readPem(ca ?? '');
  if (authorities === undefined) throw new Error(`${caFile} holds no CA certificates in PEM that can be read`);
  if (factoryCertificates.readPem(cert ?? '') === undefined) throw new Error(`${certFile} holds no certificate in PEM that can be read`);
  return { key: key ?? '', cert: cert ?? '', authorities: withoutDoubles([...authorities, ...(await readMore(moreCasFile))]) };
}

/** Those that the operator has seen: its ConfigMap is not there before the first certificate. */
async function readMore(file: string | undefined): Promise<readonly X509Certificate[]> {
  const text = file === undefined ? '' : await readFile(file, 'utf8').catch(() => '');
  if (text === '') return [];
  const authorities = factoryCertificates.readPem(text);
  if (authorities === undefined) throw new Error(`${file} holds no CA certificates in PEM that can be read`);
  return authorities;
}

const withoutDoubles = (all: readonly X509Certificate[]): X509Certificate[] => [
  ...new Map(all.map((authority) => [authority.fingerprint256, authority])).values(),
];

/** Looks until the signal aborts, and tells of what is new. What does not read leaves the last good in force. */
export async function watchMaterial(
  paths: Paths,
  first: Material,
  onNew: (material: Material) => void,
  o: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  const { log } = o;
  const followed = {
    read: () => readMaterial(paths),
    isSame: (one: Material, other: Material) => textOf(one) === textOf(other),
    onNew(material: Material): void {
      onNew(material);
      log.info({ authorities: material.authorities.length }, 'new certificates are in force');
    },
    onTrouble: (err: unknown) => log.warn({ err }, 'the certificate files do not read; the last good ones stay in force'),
  };
  await followFiles(first, followed, o.clock, o.signal);
}

function textOf({ key, cert, authorities }: Material): string {
  return [key, cert, ...authorities.map((authority) => authority.fingerprint256)].join('\n');
}
