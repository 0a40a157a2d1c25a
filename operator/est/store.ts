// The two kinds of Secret that this server may read, each under a name that its role names: hashes of tokens, and CAs of manufacturers.
import type { X509Certificate } from 'node:crypto';
import { SECRETS, SEGMENT_POLICIES } from '../api/resources.ts';
import type { SegmentPolicy } from '../api/segment-policy.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isForbidden } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { readPem } from './chain.ts';
import { decode, forgettable, judgeToken, readTokenRecord, TOKENS_SECRET, type TokenVerdict, usedRecord } from './token.ts';

type Secret = KubeObject & { data?: Record<string, string> };
type Ref = { name: string; namespace: string };

/** So many devices of a namespace may use their tokens in one moment; each conflict means that another one got through. */
const MOST_TRIES = 64;

export function createSecrets(client: Pick<KubeClient, 'get' | 'mergePatch'>, now: () => number) {
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

    /** The CAs of the manufacturer that the segment names; undefined when it names none, or none that can be read. */
    async manufacturer(
      { segment, namespace }: { segment: string; namespace: string },
      signal: AbortSignal,
    ): Promise<X509Certificate[] | undefined> {
      const policy = await client.get<SegmentPolicy & KubeObject>(SEGMENT_POLICIES, { name: segment, namespace }, signal);
      const ref = policy?.spec.enrollment?.manufacturerCA?.secretRef;
      if (ref === undefined) return undefined;
      try {
        const secret = await client.get<Secret>(SECRETS, { name: ref.name, namespace }, signal);
        return readPem(decode(secret?.data?.[ref.key]));
      } catch (error) {
        if (isForbidden(error)) return undefined;
        throw error;
      }
    },
  };
}
export type Secrets = ReturnType<typeof createSecrets>;
