// cert-manager as its chart installs it, rendered by real helm: CRDs, roles, webhook configurations. Only the pods are replaced by processes.
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type AdminApi, type Manifest, pathOf } from './api.ts';
import { runHelm } from './helm.ts';

/**
 * What cert-manager's own approver may approve: requests for these ClusterIssuers and nothing else, so that nobody but Hedgerow approves for an issuer of devices.
 * RBAC has no patterns here: a signer is named in full, or `issuers.cert-manager.io/*` means all of them.
 */
export const AUTO_APPROVED_SIGNERS = ['clusterissuers.cert-manager.io/hedgerow-root', 'clusterissuers.cert-manager.io/platform'];

/** Self-signed: roots of sites are made with this one, as a Certificate with isCA whose request the built-in approver may approve. */
export const ROOT_ISSUER = 'hedgerow-root';

const NAMESPACE = 'cert-manager';
// A process cannot have these: they are for pods.
const LEFT_OUT = new Set(['Deployment', 'Service', 'Job', 'PodDisruptionBudget', 'NetworkPolicy']);

type WebhookConfiguration = Manifest & { webhooks: { clientConfig: { url?: string; caBundle?: string } }[] };

/** Applies the chart. Its webhook must be up before anything of cert-manager's kinds is written. */
export async function installCertManager(
  api: AdminApi,
  options: { chart: string; webhookPort: number; caPem: string; workDir: string },
): Promise<void> {
  const values = {
    crds: { enabled: true },
    approveSignerNames: AUTO_APPROVED_SIGNERS,
    webhook: { url: { host: `127.0.0.1:${options.webhookPort}` } },
    cainjector: { enabled: false },
    startupapicheck: { enabled: false },
    // The controller runs without election: it is one process.
    global: { leaderElection: { namespace: NAMESPACE } },
  };
  const { stdout } = await runHelm(['template', 'cert-manager', options.chart, '--namespace', NAMESPACE, '--values', '-'], {
    workDir: options.workDir,
    stdin: JSON.stringify(values),
  });
  const rendered = parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object !== null)
    .filter((object) => !LEFT_OUT.has(object.kind));
  await api.apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    ...rendered.map((object) => withCa(object, options.caPem)),
  ]);
  await established(
    api,
    rendered.filter((object) => object.kind === 'CustomResourceDefinition'),
  );
}

export function certManagerChart(addonsAssets: string): string {
  return join(addonsAssets, 'cert-manager');
}

const ROOT_ISSUER_MANIFEST = {
  apiVersion: 'cert-manager.io/v1',
  kind: 'ClusterIssuer',
  metadata: { name: ROOT_ISSUER },
  spec: { selfSigned: {} },
};

/** The first object through the webhook. Throws until the API server reaches the webhook and the controller has seen the issuer: then both work. */
export async function proveCertManager(api: AdminApi): Promise<void> {
  await api.apply([ROOT_ISSUER_MANIFEST]);
  if (!hasCondition(await api.call<WithConditions>('GET', pathOf(ROOT_ISSUER_MANIFEST)), 'Ready'))
    throw new Error(`ClusterIssuer ${ROOT_ISSUER} is not Ready`);
}

function withCa(object: Manifest, caPem: string): Manifest {
  if (!object.kind.endsWith('WebhookConfiguration')) return object;
  const configuration = object as WebhookConfiguration;
  const caBundle = Buffer.from(caPem).toString('base64');
  return {
    ...configuration,
    webhooks: configuration.webhooks.map((webhook) => ({ ...webhook, clientConfig: { ...webhook.clientConfig, caBundle } })),
  } as Manifest;
}

type WithConditions = { status?: { conditions?: { type: string; status: string }[] } };

function hasCondition(object: WithConditions, type: string): boolean {
  return object.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;
}

async function established(api: AdminApi, crds: readonly Manifest[]): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (const crd of crds) {
    for (;;) {
      const seen = await api.call<WithConditions>('GET', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`);
      if (hasCondition(seen, 'Established')) break;
      if (performance.now() > deadline) throw new Error(`${crd.metadata.name} was not established within 30 s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
