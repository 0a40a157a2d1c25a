// An API server in memory for the commands that act: what is there, who asks, what that person may not do, and an operator that answers in its own time.
import type { Device } from '../../api/device.ts';
import type { Intervention } from '../../api/intervention.ts';
import type { Condition, ResourceType } from '../../api/meta.ts';
import type { KubeClient, ListQuery } from '../../kube/client.ts';
import { KubeError } from '../../kube/errors.ts';
import type { KubeObject, ObjectRef } from '../../kube/object.ts';

export const ALICE = 'alice@example.org';

export class FakeApi {
  readonly devices = new Map<string, Device>();
  readonly interventions = new Map<string, Intervention>();
  /** Such as `get devices`. */
  readonly forbidden = new Set<string>();
  /** Called before each answer: the operator's turn. Throws to be away. */
  turn: () => void = () => undefined;

  readonly client = {
    get: async (type: ResourceType, { name }: ObjectRef) => {
      this.turn();
      this.#judge('get', type);
      return structuredClone(this.#of(type).get(name));
    },
    list: async (type: ResourceType, { fieldSelector }: ListQuery = {}) => {
      this.#judge('list', type);
      const name = /^spec[.]target[.]name=(.*)$/.exec(fieldSelector ?? '')?.[1];
      return [...this.#of(type).values()].filter((one) => name === undefined || (one as Intervention).spec.target.name === name);
    },
    create: async (type: ResourceType, object: KubeObject) => {
      this.#judge('create', type);
      const name = `${object.metadata.generateName}${this.interventions.size + 1}`;
      const made = { ...object, metadata: { ...object.metadata, name, uid: `uid-${name}` } } as Intervention;
      this.interventions.set(name, made);
      return structuredClone(made);
    },
    delete: async (type: ResourceType, { name }: ObjectRef) => {
      this.#judge('delete', type);
      return this.#of(type).delete(name);
    },
    raw: async (_method: string, path: string) =>
      path === '/apis/authentication.k8s.io/v1/selfsubjectreviews' ? { status: { userInfo: { username: ALICE } } } : {},
  } as unknown as KubeClient;

  device(name: string, lifecycle: Device['spec']['lifecycle'] = 'Active', conditions: Condition[] = []): void {
    const metadata = { name, namespace: 'berlin' };
    const spec = { segment: 'office', lifecycle } as Device['spec'];
    this.devices.set(name, { apiVersion: '', kind: 'Device', metadata, spec, status: { conditions } });
  }

  intervention(name: string, spec: Partial<Intervention['spec']> = {}): void {
    this.interventions.set(name, {
      ...{ apiVersion: '', kind: 'Intervention', metadata: { name, namespace: 'berlin', uid: `uid-${name}` } },
      spec: { target: { kind: 'Device', name: 'thermo' }, action: 'Quarantine', requestedBy: ALICE, reason: 'beaconing', ...spec },
    });
  }

  #of(type: ResourceType): Map<string, KubeObject> {
    return (type.plural === 'devices' ? this.devices : this.interventions) as Map<string, KubeObject>;
  }

  #judge(verb: string, type: ResourceType): void {
    if (!this.forbidden.has(`${verb} ${type.plural}`)) return;
    throw new KubeError({ status: 403, reason: 'Forbidden', message: `User "${ALICE}" cannot ${verb} resource "${type.plural}"` });
  }
}

export function condition(type: string, status: Condition['status'], reason: string, message = ''): Condition {
  return { type, status, reason, message, lastTransitionTime: '2026-11-25T10:00:00Z' };
}
