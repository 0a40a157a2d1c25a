// The identity room of the operator alone, on real cert-manager, under the ServiceAccount and the roles that the chart makes.
import { X509Certificate } from 'node:crypto';
import { admissionOf } from '../../operator/api/admission.ts';
import type { CertificateLedger } from '../../operator/api/certificate-ledger.ts';
import { crdOf } from '../../operator/api/crd.ts';
import type { Device } from '../../operator/api/device.ts';
import { KINDS } from '../../operator/api/kinds.ts';
import { CERTIFICATE_LEDGERS, DEVICES } from '../../operator/api/resources.ts';
import { deviceProjection } from '../../operator/identity/identity.ts';
import { requestName } from '../../operator/identity/request-facts.ts';
import { type Room, startRoom } from '../../operator/identity/testing/room.ts';
import { connect } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import { type Key, type KubeObject, keyOf } from '../../operator/kube/object.ts';
import { createReflector } from '../../operator/kube/reflector.ts';
import type { Change } from '../../operator/kube/store.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { createLog } from '../../operator/runtime/log.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace } from '../controlplane/shared.ts';
import { makeDeviceIssuer } from '../controlplane/testing.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { render } from './chart.ts';

const ACCOUNT = 'identity-room';
const RBAC_KINDS = new Set(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']);

export type IdentityScene = {
  cluster: Cluster;
  /** The operator's own namespace: the ledger lives there. */
  own: string;
  /** The namespace of the devices, with the Issuer `devices`. */
  site: string;
  /** The operator's user name at the API server. */
  user: string;
  run: ReturnType<typeof runner>;
  /** Starts the room again after `stopRoom`. */
  startRoom(): Promise<Room>;
  stopRoom(): Promise<void>;
  apply(...devices: object[]): Promise<void>;
  device(name: string): Promise<Device>;
  /** Waits until the condition has the status (and the reason), and gives its message. */
  until(name: string, type: string, status: 'True' | 'False' | 'Unknown', reason?: string): Promise<string>;
  ledger(): Promise<Record<string, Record<string, unknown>>>;
  /** The root that signs the site's devices. */
  root(): Promise<X509Certificate>;
  /** Another Issuer of the same root. */
  issuer(name: string): object;
  /** The name that the operator gives to the first request of a Device to this Issuer. */
  requestName(device: Device, issuer: string): string;
  /** A ServiceAccount of the site that may approve requests to the Issuer `devices`. */
  approver(name: string): object[];
  /** From now on: the version at which each certificate came into the ledger, and at which each Device first showed its own. */
  watchOrder(): Promise<Order>;
  end(): Promise<void>;
};

export type Order = {
  /** sha256 of the certificate → resourceVersion. */
  recorded: Map<string, number>;
  /** Key of the Device. */
  handedOut: Map<Key, { sha256: string; version: number }>;
  stop(): void;
};

/** `est`: with the account of an EST server, whose requests the room judges. */
export async function setTheScene(cluster: Cluster, options: { est?: boolean } = {}): Promise<IdentityScene> {
  const run = runner(cluster);
  await run.apply(KINDS.map(crdOf));
  await run.kubectl(
    'wait',
    '--for=condition=Established',
    ...KINDS.map(({ resource }) => `crd/${resource.plural}.${resource.group}`),
    '--timeout=60s',
  );
  const [own, site] = [await ownNamespace(cluster, 'identity-own'), await ownNamespace(cluster, 'identity-site')];
  await makeDeviceIssuer(cluster, site);
  const signers = ['devices', 'later', 'taken'].map((name) => `issuers.cert-manager.io/${site}.${name}`);
  const est = options.est === true ? { est: { enabled: true, tlsSecret: 'est-tls', deviceCa: { configMap: 'device-ca' } } } : {};
  const rendered = await render(cluster, { fullnameOverride: ACCOUNT, identity: { signers }, ...est }, own);
  // With the policy on what the EST server may do to tokens: it has to work under it.
  const roles = rendered.filter(({ kind, metadata }) => RBAC_KINDS.has(kind) || metadata.name.endsWith('-est-tokens'));
  await run.apply(roles);
  // Only the operator may write the ledger, and here this account is the operator; whoever installs the whole system later names its own.
  await run.apply([...admissionOf(`system:serviceaccount:${own}:${ACCOUNT}`).values()].flat());
  const connection = await kubeconfigConnection(await cluster.kubeconfigFor({ serviceAccount: `${own}/${ACCOUNT}` }));
  let room: { close(): Promise<void> } | undefined;

  const scene: IdentityScene = {
    cluster,
    own,
    site,
    user: `system:serviceaccount:${own}:${ACCOUNT}`,
    run,
    async startRoom() {
      const [clock, random, metrics, log] = [systemClock, systemRandom, createMetrics(), createLog({ level: 'error' })];
      const client = connect(connection, { clock, random, log, metrics });
      const started = startRoom({
        client,
        namespace: own,
        clock,
        random,
        log,
        metrics,
        defaultIssuer: { name: 'devices', kind: 'Issuer' },
        // Other test files leave the whole operator's roles in the shared cluster.
        acceptedApprovers: [`system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_ACCOUNT}`],
        ...(options.est === true ? { estUser: `system:serviceaccount:${own}:${ACCOUNT}-est` } : {}),
      });
      room = { close: () => started.stop().then(() => client.close()) };
      await started.whenSynced();
      return started;
    },
    stopRoom: async () => await room?.close(),
    apply: async (...devices) => run.apply(devices),
    device: (name) => run.get<Device>('device', name, '-n', site),
    async until(name, type, status, reason) {
      let seen = '';
      const condition = await waitFor(
        `${name} to be ${type}=${status}${reason === undefined ? '' : `/${reason}`}`,
        async () => {
          const conditions = (await scene.device(name)).status?.conditions ?? [];
          seen = conditions.map((c) => `${c.type}=${c.status}/${c.reason}: ${c.message}`).join('; ');
          return conditions.find((c) => c.type === type && c.status === status && (reason === undefined || c.reason === reason));
        },
        { timeoutMs: 90_000, describe: () => `seen last: ${seen}` },
      );
      return condition.message;
    },
    async ledger() {
      const { items } = await run.get<{ items: { spec: { entries: Record<string, string> } }[] }>('certificateledgers', '-n', own);
      const texts = items.flatMap((page) => Object.entries(page.spec.entries));
      return Object.fromEntries(texts.map(([id, text]) => [id, JSON.parse(text) as Record<string, unknown>]));
    },
    async root() {
      const encoded = await run.kubectl('get', 'secret', 'site-root', '-n', site, '-o', 'jsonpath={.data.tls\\.crt}');
      return new X509Certificate(Buffer.from(encoded, 'base64'));
    },
    issuer: (name) => ({
      apiVersion: 'cert-manager.io/v1',
      kind: 'Issuer',
      metadata: { name, namespace: site },
      spec: { ca: { secretName: 'site-root' } },
    }),
    requestName(device, issuer) {
      const facts = deviceProjection()(device);
      if (!facts.csr?.ok) throw new Error(`the request of ${facts.key} is not good`);
      return requestName(facts, facts.csr.hash, `Issuer/${site}/${issuer}`, 1);
    },
    approver(name) {
      const role = `${site}-${name}`;
      const rbac = 'rbac.authorization.k8s.io';
      const rules = [
        {
          apiGroups: ['cert-manager.io'],
          resources: ['signers'],
          resourceNames: [`issuers.cert-manager.io/${site}.devices`],
          verbs: ['approve'],
        },
      ];
      return [
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: site } },
        { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name: role }, rules },
        {
          apiVersion: `${rbac}/v1`,
          kind: 'ClusterRoleBinding',
          metadata: { name: role },
          roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
          subjects: [{ kind: 'ServiceAccount', name, namespace: site }],
        },
      ];
    },
    watchOrder: () => watchOrder(cluster, own, site),
    async end() {
      await room?.close();
      const clusterWide = roles
        .filter(({ metadata }) => metadata.namespace === undefined)
        .map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      await cluster.kubectl(['delete', '--ignore-not-found', ...clusterWide]);
      await cluster.kubectl(['delete', 'namespace', own, site, '--wait=false']);
    },
  };
  await scene.startRoom();
  return scene;
}

/** `hardware` and `identity` of the spec; lifecycle Active. */
export function deviceManifest(namespace: string, name: string, spec: object): object {
  return { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name, namespace }, spec: { segment: 'office', ...spec } };
}

async function watchOrder(cluster: Cluster, own: string, site: string): Promise<Order> {
  const [clock, random, metrics, log] = [systemClock, systemRandom, createMetrics(), createLog({ level: 'error' })];
  const client = connect(await kubeconfigConnection(cluster.adminKubeconfig), { clock, random, log, metrics });
  const shared = { client, clock, random, log, metrics };
  const order: Pick<Order, 'recorded' | 'handedOut'> = { recorded: new Map(), handedOut: new Map() };
  const view = (object: KubeObject) => ({
    key: keyOf(object),
    uid: object.metadata.uid ?? '',
    resourceVersion: object.metadata.resourceVersion ?? '',
    object,
  });
  const onLedger = ({ after }: Change<ReturnType<typeof view>>): void => {
    const page = after?.object as CertificateLedger | undefined;
    for (const text of Object.values(page?.spec.entries ?? {})) {
      const { sha256 } = JSON.parse(text) as { sha256?: string };
      if (sha256 !== undefined && !order.recorded.has(sha256)) order.recorded.set(sha256, Number(after?.resourceVersion));
    }
  };
  const onDevice = ({ key, after }: Change<ReturnType<typeof view>>): void => {
    const certificate = (after?.object as Device | undefined)?.status?.certificate;
    if (certificate === undefined || order.handedOut.has(key)) return;
    const sha256 = new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase();
    order.handedOut.set(key, { sha256, version: Number(after?.resourceVersion) });
  };
  const reflectors = [
    createReflector({ ...shared, type: CERTIFICATE_LEDGERS, namespace: own, project: view, onChange: onLedger }),
    createReflector({ ...shared, type: DEVICES, namespace: site, project: view, onChange: onDevice }),
  ];
  const stop = new AbortController();
  for (const reflector of reflectors) void reflector.run(stop.signal);
  await Promise.all(reflectors.map((reflector) => reflector.whenSynced(stop.signal)));
  // Only what comes from here on: what the first list showed came in an order that it does not tell.
  order.recorded.clear();
  order.handedOut.clear();
  return {
    ...order,
    stop() {
      stop.abort(new Error('the order was seen'));
      void client.close();
    },
  };
}
