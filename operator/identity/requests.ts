// CertificateRequests of ours as the watch shows them, and as our own last write left them where the watch is behind.
import { CERTIFICATE_REQUESTS } from '../api/resources.ts';
import type { Key } from '../kube/object.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../kube/reflector.ts';
import { type CertificateRequest, deviceKeyOf, holderOf, OUR_LABELS, type RequestFacts, requestFacts } from './request-facts.ts';

export const OUR_SELECTOR = Object.entries(OUR_LABELS)
  .map(([label, value]) => `${label}=${value}`)
  .join(',');

export type Requests = {
  /** Requests whose controller is the Device or Certificate of this uid; or the request of this uid that a Device was to be made for. */
  ownedBy(uid: string): RequestFacts[];
  /** Requests that are to make this Device, `<namespace>/<name>`. */
  registering(device: Key): RequestFacts[];
  get(key: Key): RequestFacts | undefined;
  /** Requests of EST servers for this key, of any Device. */
  withKey(spki: string): RequestFacts[];
  /** What a write or a live read returned. */
  note(request: RequestFacts): void;
  forget(request: RequestFacts): void;
  readonly reflector: Reflector<RequestFacts>;
};

type Shared = Omit<ReflectorOptions<CertificateRequest, RequestFacts>, 'type' | 'project' | 'labelSelector' | 'indexes' | 'onChange'>;

export function createRequests(shared: Shared, onNews: (request: RequestFacts, gone: boolean) => void): Requests {
  /** By owner, then by uid: only what the watch has not shown yet, so a handful. */
  const ahead = new Map<string, Map<string, RequestFacts>>();
  /** uids that we deleted and the watch still shows. */
  const deleted = new Set<string>();
  const reflector = createReflector<CertificateRequest, RequestFacts>({
    ...shared,
    type: CERTIFICATE_REQUESTS,
    labelSelector: OUR_SELECTOR,
    project: requestFacts,
    indexes: {
      owner: (request) => (holderOf(request) === '' ? [] : [holderOf(request)]),
      registers: (request) => (request.registers === undefined ? [] : [deviceKeyOf(request)]),
      estKey: (request) => (request.spki === undefined ? [] : [request.spki]),
    },
    onChange: ({ before, after }) => {
      const request = after ?? before;
      if (request === undefined) return;
      const byUs = after === undefined && deleted.delete(request.uid);
      const mine = ahead.get(holderOf(request));
      const known = mine?.get(request.uid);
      if (known !== undefined && (after === undefined || !isOlder(after, known))) {
        mine?.delete(request.uid);
        if (mine?.size === 0) ahead.delete(holderOf(request));
      }
      if (!byUs) onNews(request, after === undefined);
    },
  });
  /** As our own last write left them, without those that we deleted. */
  const newestOf = (shown: RequestFacts[]): RequestFacts[] =>
    shown
      .filter((request) => !deleted.has(request.uid))
      .map((request) => {
        const known = ahead.get(holderOf(request))?.get(request.uid);
        return known !== undefined && isOlder(request, known) ? known : request;
      });

  return {
    reflector,
    ownedBy(uid) {
      const newest = new Map(reflector.store.by('owner', uid).map((request) => [request.uid, request]));
      for (const request of ahead.get(uid)?.values() ?? []) {
        const shown = newest.get(request.uid);
        if (shown === undefined || isOlder(shown, request)) newest.set(request.uid, request);
      }
      return [...newest.values()].filter((request) => !deleted.has(request.uid));
    },
    registering: (device) => newestOf(reflector.store.by('registers', device)),
    get(key) {
      const shown = reflector.store.get(key);
      return shown === undefined ? undefined : newestOf([shown])[0];
    },
    withKey: (spki) => reflector.store.by('estKey', spki),
    note(request) {
      const owner = holderOf(request);
      const shown = reflector.store.get(request.key);
      if (shown?.uid === request.uid && !isOlder(shown, request)) return;
      const mine = ahead.get(owner) ?? new Map<string, RequestFacts>();
      ahead.set(owner, mine.set(request.uid, request));
    },
    forget(request) {
      ahead.get(holderOf(request))?.delete(request.uid);
      if (reflector.store.get(request.key)?.uid === request.uid) deleted.add(request.uid);
    },
  };
}

/** Another Device (`<namespace>/<name>`) for which a request with this key is under way or was granted, and came before `than`. Two that are new: the older, then by uid. */
export function keyInFlight(
  withKey: RequestFacts[],
  own: { est: string | undefined; uid: string; request?: string | undefined },
  than?: RequestFacts,
): string | undefined {
  const rank = (request: RequestFacts): string => request.createdAt + request.uid;
  const before = (request: RequestFacts): boolean =>
    request.state === 'approved' ||
    request.state === 'issued' ||
    (request.state === 'new' && (than === undefined || rank(request) < rank(than)));
  const other = withKey.find(
    (request) =>
      own.est !== undefined &&
      request.username === own.est &&
      request.owner?.uid !== own.uid &&
      request.uid !== own.request &&
      request.uid !== than?.uid &&
      before(request),
  );
  return other === undefined ? undefined : deviceKeyOf(other);
}

/** Resource versions of one kind may be compared as numbers (KEP-5504). */
function isOlder(a: RequestFacts, b: RequestFacts): boolean {
  return a.uid === b.uid && Number(a.resourceVersion) < Number(b.resourceVersion);
}
