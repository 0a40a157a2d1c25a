// A cluster in memory around FakeApi: watches, cert-manager, the garbage collector. One client for each process; a dead one's calls never arrive.
import type { ObjectMeta, ResourceType } from '../../api/meta.ts';
import { CERTIFICATE_REQUESTS } from '../../api/resources.ts';
import type { KubeClient, WatchQuery } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { CertificateRequest } from '../request-facts.ts';
import { FakeApi } from './fake-api.ts';
import { iso, SELF } from './scene.ts';

export type Life = { alive: boolean };
type Event = { type: 'ADDED' | 'MODIFIED' | 'DELETED'; plural: string; object: KubeObject };

export class FakeCluster {
  readonly api = new FakeApi();
  /** What cert-manager signed, in order. */
  readonly signed: { owner: string; csr: string }[] = [];
  /** How long an event is on its way to a watch, ms. */
  lagMs = 0;
  readonly #clock: Clock;
  readonly #sign: (csrPem: string, times: number) => string;
  readonly #watchers = new Set<(event: Event) => void>();

  /** `sign` gives the certificate for a request that is signed for the n-th time. */
  constructor(clock: Clock, sign: (csrPem: string, times: number) => string) {
    this.#clock = clock;
    this.#sign = sign;
    const seen = new Set<string>();
    this.api.onChange = (plural, object, deleted) => {
      const id = `${plural}/${object.metadata.uid}`;
      const event = { type: deleted ? 'DELETED' : seen.has(id) ? 'MODIFIED' : 'ADDED', plural, object: structuredClone(object) } as const;
      deleted ? seen.delete(id) : seen.add(id);
      for (const watcher of this.#watchers) watcher(event);
      if (deleted) this.#collect(object.metadata);
      else if (plural === CERTIFICATE_REQUESTS.plural) {
        this.#certManager(object as unknown as CertificateRequest);
        this.#collectOrphan(object.metadata);
      }
    };
  }

  /** `user`: under which name cert-manager's webhook writes down that it created a request. */
  client(life: Life, user = SELF): KubeClient {
    const { api } = this;
    const guard = async <T>(call: () => Promise<T>): Promise<T> => (life.alive ? await call() : await new Promise<never>(() => undefined));
    return {
      get: (type, ref) => guard(() => api.get(type, ref)),
      list: (type, options) => guard(() => api.list(type, options)),
      create: (type, object) => guard(() => api.create(type, admitted(type, object, user))),
      mergePatch: (type, ref, patch, options) => guard(() => api.mergePatch(type, ref, patch, options)),
      apply: (type, object) => guard(() => api.apply(type, object)),
      update: (type, object) => guard(() => api.update(type, object)),
      delete: (type, ref, options) => guard(() => api.delete(type, ref, options)),
      raw: () => guard(async () => ({ status: { userInfo: { username: user } } })),
      listPage: () => Promise.reject(new Error('this cluster has WatchList')),
      watch: (type, query, signal) => guard(async () => this.#watch(type, query, signal, life)),
    };
  }

  #watch(type: ResourceType, query: WatchQuery, signal: AbortSignal | undefined, life: Life): AsyncIterable<Buffer> {
    const queue: { at: number; text: string }[] = [];
    let wake: () => void = () => undefined;
    const push = (at: number, kind: string, object: object): void => {
      queue.push({ at, text: `${JSON.stringify({ type: kind, object })}\n` });
      wake();
    };
    for (const [id, object] of this.api.objects)
      if (id.startsWith(`${type.plural}/`) && selects(query, object.metadata)) push(0, 'ADDED', object);
    push(0, 'BOOKMARK', { metadata: { resourceVersion: '1', annotations: { 'k8s.io/initial-events-end': 'true' } } });
    const watcher = (event: Event): void => {
      if (event.plural !== type.plural || !selects(query, event.object.metadata)) return;
      push(this.#clock.elapsed() + this.lagMs, event.type, event.object);
    };
    this.#watchers.add(watcher);
    signal?.addEventListener('abort', () => {
      this.#watchers.delete(watcher);
      wake();
    });
    const clock = this.#clock;
    return (async function* () {
      while (life.alive) {
        if (signal?.aborted) throw signal.reason;
        const next = queue.shift();
        if (next === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        if (next.at > clock.elapsed()) await clock.sleep(next.at - clock.elapsed());
        yield Buffer.from(next.text);
      }
      await new Promise(() => undefined);
    })();
  }

  /** Signs what is approved a moment later, if it is still there and nobody wrote to it in between: cert-manager's update is a compare-and-swap. */
  #certManager(request: CertificateRequest): void {
    const approved = request.status?.conditions?.find((condition) => condition.type === 'Approved');
    if (approved?.status !== 'True' || request.status?.certificate !== undefined) return;
    const { name = '', namespace = '', resourceVersion = '' } = request.metadata;
    this.#clock.setTimer(50, () => {
      const live = this.api.objects.get(`${CERTIFICATE_REQUESTS.plural}/${namespace}/${name}`);
      if (live?.metadata.resourceVersion !== resourceVersion) return;
      const csr = Buffer.from(request.spec.request, 'base64').toString();
      this.signed.push({ owner: request.metadata.ownerReferences?.[0]?.uid ?? '', csr });
      const certificate = Buffer.from(this.#sign(csr, this.signed.filter((other) => other.csr === csr).length)).toString('base64');
      const ready = { type: 'Ready', status: 'True', reason: 'Issued', message: '', lastTransitionTime: iso(this.#clock.now()) };
      const patch = { metadata: { resourceVersion }, status: { certificate, conditions: [approved, ready] } };
      this.api.asOthers(() => this.api.mergePatch(CERTIFICATE_REQUESTS, { name, namespace }, patch, { subresource: 'status' }));
    });
  }

  /** The garbage collector: what belonged to a Device goes after it. */
  #collect(gone: ObjectMeta): void {
    for (const { kind, metadata } of [...this.api.objects.values()])
      if (kind === CERTIFICATE_REQUESTS.kind && metadata.ownerReferences?.some((owner) => owner.uid === gone.uid)) this.#delete(metadata);
  }

  /** Made for a Device that was gone already: the collector finds it a while later. */
  #collectOrphan({ uid, ownerReferences = [], ...metadata }: ObjectMeta): void {
    if (ownerReferences.length === 0) return;
    this.#clock.setTimer(400, () => {
      const living = new Set([...this.api.objects.values()].map((object) => object.metadata.uid));
      if (living.has(uid) && !ownerReferences.some((owner) => living.has(owner.uid))) this.#delete(metadata);
    });
  }

  #delete({ name = '', namespace = '' }: ObjectMeta): void {
    this.api.asOthers(() => this.api.delete(CERTIFICATE_REQUESTS, { name, namespace }));
  }
}

/** cert-manager's webhook writes down who created a request. */
function admitted<T extends KubeObject>(type: ResourceType, object: T, user: string): T {
  if (type.plural !== CERTIFICATE_REQUESTS.plural) return object;
  const request = structuredClone(object) as unknown as CertificateRequest;
  request.spec.username = user;
  return request as unknown as T;
}

function selects(query: WatchQuery, metadata: ObjectMeta): boolean {
  return (query.labelSelector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [label = '', value] = term.split('=');
      return value === undefined ? metadata.labels?.[label] !== undefined : metadata.labels?.[label] === value;
    });
}
