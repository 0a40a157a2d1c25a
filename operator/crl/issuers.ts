// cert-manager's issuers as far as a CRL is concerned: of which kind, in which Secret the CA lies, where certificates say that the list is.
import { CLUSTER_ISSUERS, ISSUERS } from '../api/resources.ts';
import { type KubeObject, keyOf } from '../kube/object.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';

/** The namespace of a ClusterIssuer is empty. */
export type IssuerName = { kind: 'Issuer' | 'ClusterIssuer'; namespace: string; name: string };

export type IssuerFacts = Projected & { secretName: string | undefined; distributionPoints: readonly string[] };

type IssuerObject = KubeObject & { spec?: { ca?: { secretName?: unknown; crlDistributionPoints?: unknown } } };
type Shared = Pick<ReflectorOptions<KubeObject, Projected>, 'client' | 'clock' | 'random' | 'log' | 'metrics'>;

/** `<kind>/<namespace>/<name>` as the ledger spells it. */
export function parseIssuer(text: string): IssuerName | undefined {
  const [kind, namespace, name, ...more] = text.split('/');
  if ((kind !== 'Issuer' && kind !== 'ClusterIssuer') || namespace === undefined || !name || more.length > 0) return undefined;
  return (kind === 'Issuer') === (namespace !== '') ? { kind, namespace, name } : undefined;
}

/** `onChange` gets `<kind>/<namespace>/<name>`. */
export function createIssuers(shared: Shared, onChange: (issuer: string) => void) {
  const watch = (kind: IssuerName['kind']): Reflector<IssuerFacts> =>
    createReflector<IssuerObject, IssuerFacts>({
      ...shared,
      type: kind === 'Issuer' ? ISSUERS : CLUSTER_ISSUERS,
      project: issuerFacts,
      onChange: ({ key }) => onChange(kind === 'Issuer' ? `Issuer/${key}` : `ClusterIssuer//${key}`),
    });
  const reflectors = { Issuer: watch('Issuer'), ClusterIssuer: watch('ClusterIssuer') };
  return {
    reflectors: Object.values(reflectors),
    get({ kind, namespace, name }: IssuerName): IssuerFacts | undefined {
      return reflectors[kind].store.get(kind === 'Issuer' ? `${namespace}/${name}` : name);
    },
  };
}

export function issuerFacts(object: IssuerObject): IssuerFacts {
  const ca = object.spec?.ca;
  const points = Array.isArray(ca?.crlDistributionPoints) ? ca.crlDistributionPoints : [];
  return {
    key: keyOf(object),
    uid: object.metadata.uid ?? '',
    resourceVersion: object.metadata.resourceVersion ?? '',
    secretName: typeof ca?.secretName === 'string' && ca.secretName !== '' ? ca.secretName : undefined,
    distributionPoints: points.filter((point): point is string => typeof point === 'string'),
  };
}
