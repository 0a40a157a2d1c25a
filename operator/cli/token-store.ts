// The hashes of new tokens into the one Secret of the namespace, beside those that others write at the same moment.
import { LABEL_MANAGED_BY, MANAGED_BY } from '../api/names.ts';
import { SECRETS } from '../api/resources.ts';
import { decodeToken, forgettableTokens, readTokenRecord, tokensSecret } from '../est/est.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isForbidden, isNotFound, KubeError } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import { CliError } from './errors.ts';

type Secret = KubeObject & { type?: string; data?: Record<string, string | null> };
export type TokenStoreDeps = { client: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>; clock: Clock };

/** Each conflict means that somebody else got through: a device that used its token, or another person. */
const MOST_TRIES = 32;
const PAUSE_MS = 50;
/** A Secret holds 1 MiB, an entry about 200 bytes. */
const MOST_AT_ONCE = 2_000;

/**
 * `records`: by the Device's name, as `freshTokenRecord` makes them. Durable when it resolves. An entry that holds the same token is left alone, also when the token was
 * used meanwhile, so repeating it changes nothing. `mustRead`: never without having seen what is there.
 */
export async function storeTokens(
  deps: TokenStoreDeps,
  namespace: string,
  records: ReadonlyMap<string, string>,
  mustRead = false,
): Promise<void> {
  const entries = [...records].map(([name, record]) => [name, Buffer.from(record).toString('base64')] as const);
  for (let from = 0; from < entries.length; from += MOST_AT_ONCE)
    await storeSome(deps, namespace, Object.fromEntries(entries.slice(from, from + MOST_AT_ONCE)), mustRead);
}

async function storeSome(
  { client, clock }: TokenStoreDeps,
  namespace: string,
  data: Record<string, string>,
  mustRead: boolean,
): Promise<void> {
  const ref = { name: tokensSecret, namespace };
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    try {
      const patch = await patchOf(client, ref, data, { now: clock.now(), mustRead });
      if (patch !== undefined) await client.mergePatch<Secret>(SECRETS, ref, patch);
      return;
    } catch (error) {
      if (isNotFound(error)) {
        if (await created(client, ref, data)) return;
      } else if (!isConflict(error)) throw explained(error);
    }
    await clock.sleep(PAUSE_MS);
  }
  throw new CliError('HR-CLI-042', `${namespace}/${tokensSecret} changed ${MOST_TRIES} times`);
}

/** Undefined when everything is there. Who may read the Secret also takes out what expired a day ago; then the patch holds only for the Secret that was read. Who may only patch adds entries and touches no other. */
async function patchOf(
  client: TokenStoreDeps['client'],
  ref: { name: string; namespace: string },
  data: Record<string, string>,
  { now, mustRead }: { now: number; mustRead: boolean },
): Promise<object | undefined> {
  const labels = { [LABEL_MANAGED_BY]: MANAGED_BY };
  const secret = await client.get<Secret>(SECRETS, ref).catch((error: unknown) => {
    if (isForbidden(error) && !mustRead) return undefined;
    throw error;
  });
  if (secret === undefined) return { metadata: { labels }, data };
  const { uid, resourceVersion } = secret.metadata;
  const held = (secret.data ?? {}) as Record<string, string>;
  const hash = (entry: string | undefined): string | undefined => readTokenRecord(decodeToken(entry))?.sha256;
  const fresh = Object.entries(data).filter(([name, entry]) => hash(held[name]) !== hash(entry) || hash(entry) === undefined);
  if (fresh.length === 0) return undefined;
  const old = forgettableTokens(held, now).map((name) => [name, null]);
  return { metadata: { uid, resourceVersion, labels }, data: Object.fromEntries([...old, ...fresh]) };
}

/** False: somebody else has made it meanwhile. */
async function created(client: TokenStoreDeps['client'], ref: { name: string; namespace: string }, data: Record<string, string>) {
  const metadata = { ...ref, labels: { [LABEL_MANAGED_BY]: MANAGED_BY } };
  try {
    await client.create<Secret>(SECRETS, { metadata, type: 'Opaque', data });
    return true;
  } catch (error) {
    if (isAlreadyExists(error)) return false;
    throw explained(error);
  }
}

/** The API server's words about a Secret that is too large, without its content. */
function explained(error: unknown): unknown {
  const full = error instanceof KubeError && (error.status === 413 || error.status === 422);
  return full ? new CliError('HR-CLI-042', `the API server refuses the Secret ${tokensSecret} (${error.reason})`) : error;
}
