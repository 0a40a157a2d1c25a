// What rollouts need beside the system: trust in files, a registry, a directive CA, the artifacts server, and a node on which the Jobs' pods run.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StandIn } from '../../broker/stand-in.ts';
import { startArtifacts } from '../artifacts-process.ts';
import { makeServerCertificate, type ServerCertificate } from '../certificates.ts';
import { ROOT } from '../manifests.ts';
import { type NodeAgent, type NodeAgentOptions, startNodeAgent } from '../node-agent.ts';
import { type Origin, startOrigin } from '../oci-origin.ts';
import { freePort, type OperatorProcess } from '../operator-process.ts';
import { OPERATOR_NAMESPACE, type System, type SystemOptions } from '../system.ts';
import { COMPONENT } from './cameras.ts';
import { makeTrustFiles, type SignedRelease, type TrustFiles } from './trust-files.ts';

const IMAGE = 'registry.example.com/hedgerow/operator:test';
const POLICY = 'firmware-root';
const MQTT_ISSUER = 'rollout-devices';
const DIRECTIVE_ISSUER = 'rollout-directives';
const BROKER_CA = 'hedgerow-broker-ca';
const ARTIFACTS_ACCOUNT = 'hedgerow-artifacts';
const ROLLOUT_ACCOUNT = 'hedgerow-rollout';

/** There before the operator: it is told of all of it by flags. */
export type Prepared = {
  readonly trust: TrustFiles;
  readonly origin: Origin;
  readonly artifacts: { port: number; tls: ServerCertificate };
  /** For startSystem. */
  readonly system: Pick<SystemOptions, 'sites' | 'chartValues'> & { operatorArgs(broker: Pick<StandIn, 'mqttPort'>): string[] };
};

export type Rollouts = Prepared & {
  readonly directiveCaPem: string;
  readonly node: NodeAgent | undefined;
  readonly server: OperatorProcess;
  readonly artifactsLog: string;
  /** The manifest of a signed release; its artifact is pushed into the registry. */
  release(signed: SignedRelease, about: ReleaseAbout): object;
  /** The trust policy of a site: the roots that there are. */
  policy(site: string, roots?: Record<string, string>): object;
  stop(): Promise<void>;
};

/** `rollout`: waves, gates and the rest of spec.rollout. */
export type ReleaseAbout = { name: string; site: string; author: string; rollout: object; spec?: object };

export async function prepareRollouts(dir: string, sites: readonly string[]): Promise<Prepared> {
  const trust = await makeTrustFiles(join(dir, 'trust'));
  const artifacts = { port: await freePort(), tls: await makeServerCertificate() };
  const origin = await startOrigin();
  const artifactsUrl = `https://localhost:${artifacts.port}`;
  const issuers = { mqttIssuer: `Issuer/${MQTT_ISSUER}`, directiveIssuer: `Issuer/${DIRECTIVE_ISSUER}` };
  return {
    ...{ trust, origin, artifacts },
    system: {
      sites,
      operatorArgs: ({ mqttPort }) => [
        ...['--firmware-root', trust.pin, '--rollout-image', IMAGE, '--rollout-account', ROLLOUT_ACCOUNT, '--artifacts-url', artifactsUrl],
        ...['--broker-mqtt', `127.0.0.1:${mqttPort}`, '--probe-issuer', `Issuer/${sites[0]}/hedgerow-devices`],
        ...['--rollout-broker-ca', `ConfigMap/${BROKER_CA}/ca.crt`, '--rollout-metrics-port', '0'],
        ...['--mqtt-issuer', issuers.mqttIssuer, '--directive-issuer', issuers.directiveIssuer],
      ],
      // The accounts and their rights are wanted, no pods.
      chartValues: {
        broker: { url: 'https://127.0.0.1:18083', mqtt: { address: 'broker:8883', issuer: `Issuer/${sites[0]}/hedgerow-devices` } },
        rollout: { enabled: true, ...issuers, roots: [trust.pin], artifactsUrl },
        artifacts: { enabled: true, tlsSecret: 'artifacts', deviceCa: { configMap: 'hedgerow-ca-bundle' } },
      },
    },
  };
}

type StartOptions = {
  dir: string;
  system: System;
  prepared: Prepared;
  kubeconfigFor(identity: { serviceAccount: string }): Promise<string>;
  /** undefined: no Job runs. */
  cluster: NodeAgentOptions['cluster'] | undefined;
};

export async function startRollouts(options: StartOptions): Promise<Rollouts> {
  const { dir, system, prepared, cluster } = options;
  const { origin, trust } = prepared;
  const artifactsLog = join(dir, 'artifacts.log');
  const images = { [IMAGE]: { operator: [process.execPath, join(ROOT, 'operator', 'main.ts')] } } as const;
  await system.apply([...directiveIssuer(), ...(await mqttIssuer(system)), configMap(BROKER_CA, { 'ca.crt': system.brokerCaPem })]);
  const [directiveCaPem, server, node] = await Promise.all([
    directiveCa(system),
    serveArtifacts(options, artifactsLog),
    cluster === undefined ? undefined : startNodeAgent({ cluster, dir: join(dir, 'node'), namespace: OPERATOR_NAMESPACE, images }),
  ]);
  return {
    ...{ ...prepared, directiveCaPem, node, server, artifactsLog },
    release: (signed, about) => releaseManifest(signed, about, origin),
    policy: (site, roots = trust.roots()) => ({ ...configMap(POLICY, roots), metadata: { name: POLICY, namespace: site } }),
    async stop() {
      await node?.stop();
      await server.stop();
      await origin.close();
    },
  };
}

async function directiveCa(system: System): Promise<string> {
  await system.kubectl('wait', '--for=condition=Ready', `issuer/${DIRECTIVE_ISSUER}`, '-n', OPERATOR_NAMESPACE, '--timeout=60s');
  return secretCertificate(system, OPERATOR_NAMESPACE, DIRECTIVE_ISSUER);
}

async function serveArtifacts({ dir, system, prepared, kubeconfigFor }: StartOptions, logFile: string): Promise<OperatorProcess> {
  const files = artifactsFiles(dir, prepared);
  const roots = await Promise.all(system.sites.map((site) => secretCertificate(system, site, 'hedgerow-devices-ca')));
  writeFileSync(files.deviceCa, roots.join('\n'));
  const kubeconfig = await kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${ARTIFACTS_ACCOUNT}` });
  return await startArtifacts({
    catalogs: { kubeconfig, namespace: OPERATOR_NAMESPACE },
    ...{ cacheDir: files.cache, tls: { certFile: files.cert, keyFile: files.key }, deviceCaFile: files.deviceCa },
    ...{ registryCaFile: files.registryCa, port: prepared.artifacts.port, logFile },
  });
}

function releaseManifest(signed: SignedRelease, about: ReleaseAbout, origin: Origin): object {
  const { version, securityCounter, image, digest, envelope, classId, models } = signed;
  const { oci, size } = origin.push('firmware/camera', image);
  const artifact = { name: 'full', oci, format: 'raw', size, digest, hardware: { classIds: [classId], models } };
  return {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'FirmwareRelease',
    metadata: { name: about.name, namespace: about.site },
    spec: {
      ...{ version, component: COMPONENT, securityCounter, artifacts: [artifact] },
      trust: { policyRef: { name: POLICY }, envelope },
      author: about.author,
      selector: { matchLabels: { product: 'cam' } },
      distribution: { jitter: '0s' },
      rollout: about.rollout,
      ...about.spec,
    },
  };
}

/** Drivers ask in the operator's namespace, and the broker trusts CAs of devices: one of them has its key there too. */
async function mqttIssuer({ sites, get }: System): Promise<object[]> {
  const metadata = { name: MQTT_ISSUER, namespace: OPERATOR_NAMESPACE };
  const { data } = await get<{ data: object }>('secret', 'hedgerow-devices-ca', '-n', sites.at(-1) ?? '');
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/tls', data },
    { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata, spec: { ca: { secretName: MQTT_ISSUER } } },
  ];
}

/** A CA for nothing else: whoever has a certificate of it tells devices what to do. */
function directiveIssuer(): object[] {
  const metadata = { name: DIRECTIVE_ISSUER, namespace: OPERATOR_NAMESPACE };
  const issuerRef = { name: 'hedgerow-root', kind: 'ClusterIssuer' };
  return [
    {
      ...{ apiVersion: 'cert-manager.io/v1', kind: 'Certificate', metadata },
      spec: {
        ...{ isCA: true, commonName: 'firmware directives', secretName: DIRECTIVE_ISSUER, issuerRef },
        privateKey: { algorithm: 'ECDSA', size: 256 },
        duration: '87600h',
      },
    },
    { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata, spec: { ca: { secretName: DIRECTIVE_ISSUER } } },
  ];
}

const configMap = (name: string, data: Record<string, string>): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: OPERATOR_NAMESPACE },
  data,
});

async function secretCertificate(system: System, namespace: string, name: string): Promise<string> {
  const encoded = await system.kubectl('get', 'secret', name, '-n', namespace, '-o', 'jsonpath={.data.tls\\.crt}');
  return Buffer.from(encoded, 'base64').toString('utf8');
}

function artifactsFiles(dir: string, { artifacts, origin }: Prepared) {
  const folder = join(dir, 'artifacts');
  const files = { cert: 'tls.crt', key: 'tls.key', deviceCa: 'devices.pem', registryCa: 'registry.pem', cache: 'cache' };
  const at = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, file)])) as typeof files;
  mkdirSync(at.cache, { recursive: true });
  writeFileSync(at.cert, artifacts.tls.certPem);
  writeFileSync(at.key, artifacts.tls.keyPem, { mode: 0o600 });
  writeFileSync(at.registryCa, origin.caPem);
  return at;
}
