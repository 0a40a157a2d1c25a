// One Lease in memory with the API server's compare-and-swap, and for each process a link to it that can be cut, hang or lose an answer.
import type { KubeClient } from '../../kube/client.ts';
import { KubeError } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';

type Spec = {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
};
type Lease = KubeObject & { spec?: Spec };
type Client = Pick<KubeClient, 'get' | 'create' | 'update'>;

/** `hang`: no answer until the caller gives up. `deaf`: not even then. */
export type Link = Client & { cut: boolean; hang: boolean; deaf: boolean; losesNextAnswer: boolean; error: KubeError | undefined };

export class LeaseServer {
  #lease: Lease | undefined;
  #version = 0;

  get spec(): Spec | undefined {
    return this.#lease?.spec;
  }

  write(spec: Spec): void {
    const metadata = { ...(this.#lease?.metadata ?? { namespace: 'ns', name: 'op' }), resourceVersion: String(++this.#version) };
    this.#lease = { metadata, spec };
  }

  /** Somebody writes a label: another version, the same content. */
  touch(): void {
    this.write(this.#lease?.spec ?? {});
  }

  remove(): void {
    this.#lease = undefined;
  }

  client(): Link {
    const call = async <T>(signal: AbortSignal | undefined, run: () => T): Promise<T> => {
      await Promise.resolve();
      if (link.error !== undefined) throw link.error;
      if (link.cut) throw unreachable();
      if (link.deaf) return await new Promise<never>(() => undefined);
      if (link.hang) return await hanging(signal);
      const answer = run();
      if (link.losesNextAnswer) {
        link.losesNextAnswer = false;
        throw unreachable();
      }
      return structuredClone(answer);
    };
    const link: Link = {
      cut: false,
      hang: false,
      deaf: false,
      losesNextAnswer: false,
      error: undefined,
      get: (_type, _ref, signal) => call(signal, () => this.#lease as never),
      create: (_type, object, signal) => call(signal, () => this.#create(object as Lease) as never),
      update: (_type, object, _options, signal) => call(signal, () => this.#update(object as Lease) as never),
    };
    return link;
  }

  #create(lease: Lease): Lease {
    if (this.#lease !== undefined) throw new KubeError({ status: 409, reason: 'AlreadyExists', message: 'leases "op" already exists' });
    this.write(lease.spec ?? {});
    return this.#lease as unknown as Lease;
  }

  #update(lease: Lease): Lease {
    if (this.#lease === undefined) throw new KubeError({ status: 404, reason: 'NotFound', message: 'leases "op" not found' });
    if (lease.metadata.resourceVersion !== this.#lease.metadata.resourceVersion)
      throw new KubeError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
    this.write(lease.spec ?? {});
    return this.#lease;
  }
}

function hanging(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

const unreachable = (): KubeError => new KubeError({ status: 0, reason: 'NetworkError', message: 'connect ECONNREFUSED' });
