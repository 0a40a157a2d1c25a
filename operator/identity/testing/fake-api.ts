// An API server in memory for unit tests: objects, resource versions, preconditions, merge patches, and faults before or after a write took effect.
import type { ObjectMeta, ResourceType } from '../../api/meta.ts';
import type { KubeClient } from '../../kube/client.ts';
import { KubeError } from '../../kube/errors.ts';
import type { KubeObject, ObjectRef } from '../../kube/object.ts';

export type Write = { verb: 'create' | 'patch' | 'apply' | 'update' | 'delete'; plural: string; name: string; subresource?: string };
/** `before`: the call fails and nothing happened. `after`: it happened and the answer was lost. */
export type Fault = { when: 'before' | 'after'; status?: number };

type Stored = KubeObject & Record<string, unknown>;
type Client = Pick<KubeClient, 'get' | 'list' | 'create' | 'mergePatch' | 'apply' | 'update' | 'delete'>;

export class FakeApi implements Client {
  readonly objects = new Map<string, Stored>();
  readonly writes: Write[] = [];
  reads = 0;
  #version = 0;
  #others = 0;
  /** Asked once for every write; return a fault to inject it. */
  faults: (write: Write) => Fault | undefined = () => undefined;
  /** creationTimestamp of what is made now. */
  timestamp: () => string = () => '2026-01-01T00:00:00Z';
  /** Called after every change, as a watch would be. */
  onChange: (plural: string, object: Stored, deleted: boolean) => void = () => undefined;

  async get<T extends KubeObject>(type: ResourceType, ref: ObjectRef): Promise<T | undefined> {
    this.reads += 1;
    const object = this.objects.get(idOf(type, ref));
    return object === undefined ? undefined : (structuredClone(object) as unknown as T);
  }

  async list<T extends KubeObject>(type: ResourceType, options?: { namespace?: string }): Promise<T[]> {
    const prefix = `${type.plural}/${options?.namespace === undefined ? '' : `${options.namespace}/`}`;
    return [...this.objects].filter(([id]) => id.startsWith(prefix)).map(([, object]) => structuredClone(object) as unknown as T);
  }

  async create<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const ref = refOfMeta(object.metadata);
    return this.#write({ verb: 'create', plural: type.plural, name: ref.name }, () => {
      const id = idOf(type, ref);
      if (this.objects.has(id)) throw new KubeError({ status: 409, reason: 'AlreadyExists', message: `${id} already exists` });
      const metadata = { creationTimestamp: this.timestamp(), uid: `uid-${this.#version}`, generation: 1, ...object.metadata };
      return this.#store(type, { ...structuredClone(object), metadata } as unknown as Stored) as unknown as T;
    });
  }

  async mergePatch<T extends KubeObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: object,
    options?: { subresource?: string },
  ): Promise<T> {
    const write: Write = {
      verb: 'patch',
      plural: type.plural,
      name: ref.name,
      ...(options?.subresource === undefined ? {} : { subresource: options.subresource }),
    };
    return this.#write(write, () => {
      const current = this.#existing(type, ref, (patch as { metadata?: ObjectMeta }).metadata?.resourceVersion);
      return this.#store(type, merge(current, patch) as Stored) as unknown as T;
    });
  }

  async apply<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const ref = refOfMeta(object.metadata);
    return this.#write({ verb: 'apply', plural: type.plural, name: ref.name }, () => {
      const current = this.objects.get(idOf(type, ref)) ?? {
        metadata: { uid: `uid-${this.#version}`, creationTimestamp: this.timestamp() },
      };
      return this.#store(type, merge(current, object) as Stored) as unknown as T;
    });
  }

  /** PUT: what is not in it is gone; the resourceVersion in it is a precondition. */
  async update<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const ref = refOfMeta(object.metadata);
    return this.#write({ verb: 'update', plural: type.plural, name: ref.name }, () => {
      const current = this.#existing(type, ref, object.metadata.resourceVersion);
      return this.#store(type, {
        ...structuredClone(object),
        metadata: { ...current.metadata, ...object.metadata },
      } as unknown as Stored) as unknown as T;
    });
  }

  async delete(type: ResourceType, ref: ObjectRef, options?: { uid?: string; resourceVersion?: string }): Promise<boolean> {
    return this.#write({ verb: 'delete', plural: type.plural, name: ref.name }, () => {
      const id = idOf(type, ref);
      if (!this.objects.has(id)) return false;
      const object = this.#existing(type, ref, options?.resourceVersion);
      if (options?.uid !== undefined && options.uid !== object.metadata.uid) throw conflict(id);
      this.objects.delete(id);
      this.onChange(type.plural, object, true);
      return true;
    });
  }

  /** A write of somebody whom no fault meets and nobody counts. */
  asOthers(write: () => Promise<unknown>): void {
    this.#others += 1;
    write().catch(() => undefined);
    this.#others -= 1;
  }

  async #write<T>(write: Write, run: () => T): Promise<T> {
    if (this.#others > 0) return structuredClone(run());
    await Promise.resolve();
    const fault = this.faults(write);
    const lost = () => new KubeError({ status: fault?.status ?? 0, reason: 'NetworkError', message: 'injected' });
    if (fault?.when === 'before') throw lost();
    const result = run();
    this.writes.push(write);
    if (fault?.when === 'after') throw lost();
    return structuredClone(result);
  }

  #existing(type: ResourceType, ref: ObjectRef, resourceVersion: string | undefined): Stored {
    const id = idOf(type, ref);
    const object = this.objects.get(id);
    if (object === undefined) throw new KubeError({ status: 404, reason: 'NotFound', message: `${id} not found` });
    if (resourceVersion !== undefined && resourceVersion !== object.metadata.resourceVersion) throw conflict(id);
    return object;
  }

  #store(type: ResourceType, object: Stored): Stored {
    this.#version += 1;
    object.metadata = { ...object.metadata, resourceVersion: String(this.#version) };
    this.objects.set(idOf(type, refOfMeta(object.metadata)), object);
    this.onChange(type.plural, object, false);
    return object;
  }
}

function idOf(type: ResourceType, ref: ObjectRef): string {
  return `${type.plural}/${ref.namespace ?? ''}/${ref.name}`;
}

function refOfMeta(metadata: ObjectMeta): ObjectRef {
  return { name: metadata.name ?? '', ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }) };
}

function conflict(id: string): KubeError {
  return new KubeError({ status: 409, reason: 'Conflict', message: `${id} has been modified` });
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return structuredClone(patch);
  const result: Record<string, unknown> = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}
