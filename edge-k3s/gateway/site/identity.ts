// Who the gateway is at a broker: certificate and key as files, with the CAs by which it knows the broker. A kubelet replaces them in place when they are renewed.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../../operator/runtime/clock.ts';
import { followFiles } from '../../../operator/runtime/follow-files.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import { Refused } from '../errors.ts';

export type IdentityPaths = { certFile: string; keyFile: string; caFile: string };

export type Identity = {
  /** PEM. */
  cert: string;
  key: string;
  ca: string;
  /** The CN: the broker takes it as the client id, whatever the client says. */
  name: string;
  /** The OU: its segment, as in topics. Empty in a certificate of another form. */
  segment: string;
  notAfterMs: number;
};

/** Rejects with `Refused` HR-GW-313. */
export async function readIdentity({ certFile, keyFile, caFile }: IdentityPaths): Promise<Identity> {
  const [cert, key, ca] = await Promise.all([text(certFile), text(keyFile), text(caFile)]);
  const certificate = read(() => new X509Certificate(cert)) ?? unfit(`${certFile} holds no certificate in PEM`);
  if (read(() => new X509Certificate(ca)) === undefined) unfit(`${caFile} holds no certificate in PEM`);
  if (read(() => certificate.checkPrivateKey(createPrivateKey(key))) !== true)
    unfit(`${keyFile} is not the private key of the certificate`);
  const name = /(?:^|\n)CN=([^\n]+)$/.exec(certificate.subject)?.[1] ?? unfit(`the certificate of ${certFile} has no CN`);
  const segment = /(?:^|\n)OU=([a-z0-9.-]+)(?:\n|$)/.exec(certificate.subject)?.[1] ?? '';
  return { cert, key, ca, name, segment, notAfterMs: Date.parse(certificate.validTo) };
}

/** Looks until the signal aborts. What does not read leaves the last good in force. */
export async function followIdentity(
  paths: IdentityPaths,
  first: Identity,
  onNew: (identity: Identity) => void,
  o: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  const followed = {
    read: () => readIdentity(paths),
    isSame: (one: Identity, other: Identity) => one.cert === other.cert && one.key === other.key && one.ca === other.ca,
    onNew,
    onTrouble(error: unknown): void {
      if (!(error instanceof Refused)) throw error;
      o.log.warn({ code: error.code, problem: error.message }, 'the certificate files do not read; the last good ones stay in force');
    },
  };
  await followFiles(first, followed, o.clock, o.signal);
}

const text = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => unfit(`${file} cannot be read`));

/** Nothing of a key is repeated. */
function read<T>(of: () => T): T | undefined {
  try {
    return of();
  } catch {
    return undefined;
  }
}

function unfit(found: string): never {
  throw new Refused('HR-GW-313', undefined, found);
}
