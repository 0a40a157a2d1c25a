// The cert-manager Certificate of the broker's server certificate. Its issuer is changed, never its Secret: the operator sees no key.
import { CERTIFICATES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { IssuerName } from './anchors.ts';

export type ServerCertificate = {
  issuer: IssuerName;
  /** cert-manager has signed what the spec says now. */
  ready: boolean;
  resourceVersion: string;
};

type Certificate = KubeObject & {
  spec?: { issuerRef?: { kind?: string; name?: string } };
  status?: { conditions?: { type: string; status: string; observedGeneration?: number }[] };
};

export function createServerCertificate(client: Pick<KubeClient, 'get' | 'mergePatch'>, ref: { namespace: string; name: string }) {
  return {
    async read(signal: AbortSignal): Promise<ServerCertificate | undefined> {
      const object = await client.get<Certificate>(CERTIFICATES, ref, signal);
      if (object === undefined) return undefined;
      const { kind, name = '' } = object.spec?.issuerRef ?? {};
      const { generation, resourceVersion = '' } = object.metadata;
      const ready = object.status?.conditions?.some(
        (one) => one.type === 'Ready' && one.status === 'True' && one.observedGeneration === generation,
      );
      // cert-manager's own default for the kind.
      return { issuer: { kind: kind === 'ClusterIssuer' ? kind : 'Issuer', name }, ready: ready === true, resourceVersion };
    },
    /** Rejects with Conflict when somebody has changed it since it was read. */
    async switchTo(issuer: IssuerName, { resourceVersion }: ServerCertificate, signal: AbortSignal): Promise<void> {
      const patch = { metadata: { resourceVersion }, spec: { issuerRef: { group: 'cert-manager.io', ...issuer } } };
      await client.mergePatch(CERTIFICATES, ref, patch, { fieldManager: 'hedgerow-trust' }, signal);
    },
  };
}
