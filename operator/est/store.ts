// The two kinds of Secret that this server may read, each under a name that its role names: hashes of tokens, and CAs of manufacturers.
import type { X509Certificate } from 'node:crypto';
import { SECRETS } from '../api/resources.ts';
import { type EnrollmentPolicy, factoryCertificates } from '../identity/identity.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isForbidden } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import { decode, forgettable, judgeToken, readTokenRecord, TOKENS_SECRET, type TokenVerdict, usedRecord } from './token.ts';

type Secret = KubeObject & { data?: Record<string, string> };
type Ref = { name: string; namespace: string };

/** So many devices of a namespace may use their tokens in one moment; each conflict means that another one got through. */
const MOST_TRIES = 64;

type Anchors = X509Certificate[] | undefined;
/** A fleet that is switched on asks a thousand times within a minute. */
const MAKER_FRESH_MS = 10_000;
const MOST_MAKERS = 256;

export function createSecrets(client: Pick<KubeClient, 'get' | 'mergePatch'>, clock: Pick<Clock, 'now' | 'elapsed'>) {
  const now = (): number => clock.now();
  const makers = new Map<string, { at: number; read: Promise<Anchors> }>();
  const readAnchors = async (ref: Ref, key: string, signal: AbortSignal): Promise<Anchors> => {
    try {
      const secret = await client.get<Secret>(SECRETS, ref, signal);
      return factoryCertificates.readPem(decode(secret?.data?.[key]));
    } catch (error) {
      if (isForbidden(error)) return undefined;
      throw error;
    }
  };
  const read = async ({ namespace }: Ref, signal: AbortSignal): Promise<Secret | undefined> =>
    await client.get<Secret>(SECRETS, { name: TOKENS_SECRET, namespace }, signal);
  const verdictOf = (secret: Secret | undefined, device: Ref, token: string, csrHash: string): TokenVerdict =>
    judgeToken(readTokenRecord(decode(secret?.data?.[device.name])), token, csrHash, now());

  return {
    /** Looks, and changes nothing. */
    async judgeToken(device: Ref, token: string, csrHash: string, signal: AbortSignal): Promise<TokenVerdict> {
      return verdictOf(await read(device, signal), device, token, csrHash);
    },

    /** Burns the token: from now on it is good for this request only. Of several uses at once, at several replicas, the API server lets one through. */
    async useToken(device: Ref, token: string, csrHash: string, signal: AbortSignal): Promise<TokenVerdict> {
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const secret = await read(device, signal);
        const verdict = verdictOf(secret, device, token, csrHash);
        const record = readTokenRecord(decode(secret?.data?.[device.name]));
        if (verdict !== 'fresh' || secret === undefined || record === undefined) return verdict;
        const data: Record<string, string | null> = {
          ...Object.fromEntries(forgettable(secret.data ?? {}, now()).map((name) => [name, null])),
          [device.name]: Buffer.from(usedRecord(record, csrHash)).toString('base64'),
        };
        const { uid, resourceVersion } = secret.metadata;
        try {
          await client.mergePatch(
            SECRETS,
            { name: TOKENS_SECRET, namespace: device.namespace },
            { metadata: { uid, resourceVersion }, data },
            {},
            signal,
          );
          return 'fresh';
        } catch (error) {
          if (!isConflict(error)) throw error;
        }
      }
      throw new Error(`the Secret ${TOKENS_SECRET} of namespace ${device.namespace} changed ${MOST_TRIES} times while a token was used`);
    },

    /** The CAs of the manufacturer that the policy names, as they were at most ten seconds ago; undefined when it names none, or none that can be read. */
    async manufacturer({ namespace, secretRef }: Pick<EnrollmentPolicy, 'namespace' | 'secretRef'>, signal: AbortSignal): Promise<Anchors> {
      if (secretRef === undefined) return undefined;
      const id = `${namespace}/${secretRef.name}/${secretRef.key}`;
      const known = makers.get(id);
      if (known !== undefined && clock.elapsed() - known.at < MAKER_FRESH_MS) return await known.read;
      if (makers.size >= MOST_MAKERS) makers.clear();
      const entry = { at: clock.elapsed(), read: readAnchors({ name: secretRef.name, namespace }, secretRef.key, signal) };
      makers.set(id, entry);
      try {
        return await entry.read;
      } catch (error) {
        if (makers.get(id) === entry) makers.delete(id);
        throw error;
      }
    },
  };
}
export type Secrets = ReturnType<typeof createSecrets>;
