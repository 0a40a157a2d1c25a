// What identity watches of other people's objects: issuers, our Certificates, and who may approve.
import type { Condition } from '../api/meta.ts';
import { CERTIFICATES, CLUSTER_ISSUERS, CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ISSUERS } from '../api/resources.ts';
import { type KubeObject, keyOf } from '../kube/object.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';
import {
  type ApprovingRole,
  approvingRole,
  openApprovers,
  type RbacRule,
  type RbacSubject,
  type RoleBinding,
  signerNames,
} from './approvers.ts';
import type { IssuerFacts } from './decide.ts';
import type { IssuerKind, IssuerRef } from './device-facts.ts';
import { type Certificate, type ManagedFacts, managedFacts } from './managed-facts.ts';
import { issuerKey } from './request-facts.ts';
import { OUR_SELECTOR } from './requests.ts';

export type Shared = Pick<ReflectorOptions<KubeObject, Projected>, 'client' | 'clock' | 'random' | 'log' | 'metrics'>;

type IssuerState = Projected & { ready: boolean; message: string };
type IssuerObject = KubeObject & { status?: { conditions?: Condition[] } };

/** Issuers of both kinds; `onChange` gets the key `<kind>/<namespace>/<name>`. */
export function createIssuers(shared: Shared, onChange: (issuer: string) => void) {
  const watch = (kind: IssuerKind): Reflector<IssuerState> =>
    createReflector<IssuerObject, IssuerState>({
      ...shared,
      type: kind === 'Issuer' ? ISSUERS : CLUSTER_ISSUERS,
      project: (object) => {
        const ready = object.status?.conditions?.find((condition) => condition.type === 'Ready');
        return {
          ...identityOf(object),
          ready: ready?.status === 'True',
          message: (ready?.message ?? 'it has no Ready condition').slice(0, 300),
        };
      },
      onChange: ({ key, before, after }) => {
        if (before?.ready === after?.ready && before?.message === after?.message) return;
        const [namespace, name] = key.includes('/') ? key.split('/') : ['', key];
        onChange(issuerKey({ kind, name: name ?? '' }, namespace ?? ''));
      },
    });
  const reflectors = { Issuer: watch('Issuer'), ClusterIssuer: watch('ClusterIssuer') };
  return {
    reflectors: Object.values(reflectors),
    state(ref: IssuerRef, namespace: string): IssuerFacts {
      const found = reflectors[ref.kind].store.get(ref.kind === 'Issuer' ? `${namespace}/${ref.name}` : ref.name);
      const state = found === undefined ? 'missing' : found.ready ? 'ready' : 'notReady';
      return { ref, key: issuerKey(ref, namespace), state, message: found?.message ?? '' };
    },
  };
}

/** Our own Certificates. Each is named after its Device. */
export function createCertificates(shared: Shared, onChange: (key: string) => void): Reflector<ManagedFacts> {
  return createReflector<Certificate, ManagedFacts>({
    ...shared,
    type: CERTIFICATES,
    labelSelector: OUR_SELECTOR,
    project: managedFacts,
    onChange: ({ key }) => onChange(key),
  });
}

type RoleState = Projected & { approving: ApprovingRole | undefined };
type BindingState = Projected & RoleBinding;

/** Watches ClusterRoles and their bindings: a few hundred small objects, and a wrong one is seen within a second. */
export function createApprovers(shared: Shared, accepted: () => ReadonlySet<string>, onChange: () => void) {
  let remembered = new Map<string, string[]>();
  const changed = (): void => {
    remembered = new Map();
    onChange();
  };
  const roles = createReflector<KubeObject & { rules?: RbacRule[] }, RoleState>({
    ...shared,
    type: CLUSTER_ROLES,
    project: (object) => ({ ...identityOf(object), approving: approvingRole(object.metadata.name ?? '', object.rules) }),
    onChange: ({ before, after }) => {
      if (before?.approving !== undefined || after?.approving !== undefined) changed();
    },
  });
  const bindings = createReflector<KubeObject & { roleRef: { name: string }; subjects?: RbacSubject[] }, BindingState>({
    ...shared,
    type: CLUSTER_ROLE_BINDINGS,
    project: (object) => ({ ...identityOf(object), role: object.roleRef.name, subjects: object.subjects ?? [] }),
    onChange: changed,
  });
  return {
    reflectors: [roles, bindings] as const,
    open(issuer: string): string[] {
      const known = remembered.get(issuer);
      if (known !== undefined) return known;
      const approving = [...roles.store.values()].flatMap((role) => role.approving ?? []);
      const found = openApprovers(approving, bindings.store.values(), signerNames(issuer), accepted());
      remembered.set(issuer, found);
      return found;
    },
  };
}

function identityOf(object: KubeObject): Projected {
  return { key: keyOf(object), uid: object.metadata.uid ?? '', resourceVersion: object.metadata.resourceVersion ?? '' };
}
