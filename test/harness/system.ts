// The whole system on real parts: control plane with cert-manager, broker stand-in, operator under the chart's identity. Used by the demo, the scenarios, the faults and the bench.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type StandIn, startStandIn } from '../broker/stand-in.ts';
import { makeServerCertificate, type ServerCertificate } from './certificates.ts';
import { objectsIn, parseObjects, ROOT, siteManifests, toYaml } from './manifests.ts';
import { type OperatorProcess, startOperator } from './operator-process.ts';
import { waitFor } from './wait.ts';

/** The part of a cluster that the system needs; a cluster of the test control plane and one that exists both have it. */
export type ClusterAccess = {
  dir: string;
  kubectl(args: string[], stdin?: string): Promise<{ stdout: string; stderr: string; code: number }>;
  helmTemplate(chart: string, values: Record<string, unknown>, namespace: string): Promise<string>;
  kubeconfigFor(identity: { serviceAccount: string }): Promise<string>;
};

export type System = {
  readonly namespace: string;
  readonly sites: readonly string[];
  readonly brokerCaPem: string;
  standIn(): StandIn;
  operator(): OperatorProcess;
  startOperator(): Promise<OperatorProcess>;
  /** Applies objects as the administrator; throws with kubectl's words when the server refuses. */
  apply(objects: readonly object[]): Promise<void>;
  kubectl(...args: string[]): Promise<string>;
  get<T>(...args: string[]): Promise<T>;
  stop(): Promise<void>;
};

export type SystemOptions = {
  cluster: ClusterAccess;
  /** Namespaces whose devices get a root of their own; the broker trusts all of them. */
  sites: readonly string[];
  operatorArgs?: string[] | ((broker: StandIn) => string[]);
  startOperator?: boolean;
  /** The operator tries what the broker enforces; the first site's issuer signs its client. */
  probe?: boolean;
  /** Of the broker, for MQTT and REST; `caPem` is all that the operator is to know its REST API by. Default: one of a CA whose key is thrown away. */
  serverCertificate?: ServerCertificate;
  /** More values of the chart, as far as they give rights. */
  chartValues?: Record<string, unknown>;
  say?: (line: string) => void;
};

export const OPERATOR_NAMESPACE = 'hedgerow-system';
export const OPERATOR_ACCOUNT = 'hedgerow';
/** A ConfigMap of the chart is one that the operator may write and not make. */
const RBAC_KINDS = new Set(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding', 'ConfigMap']);

export async function startSystem(options: SystemOptions): Promise<System> {
  const { cluster } = options;
  const say = options.say ?? (() => undefined);
  const run = runner(cluster);

  say("installing the CRDs, the admission policies and the operator's roles from the chart");
  await installHedgerow(cluster, options.chartValues);
  say('waiting for the roots of the sites');
  for (const site of options.sites) await run.apply(siteManifests(site));
  const roots = await Promise.all(options.sites.map((site) => siteRoot(run, site)));

  const server = options.serverCertificate ?? (await makeServerCertificate());
  const dir = join(cluster.dir, 'broker');
  mkdirSync(dir, { recursive: true });
  say('starting the broker stand-in');
  const standIn = await startStandIn({ dir, tls: { ca: roots.join('\n'), cert: server.certPem, key: server.keyPem } });
  const files = { restCaFile: join(dir, 'rest-ca.pem'), apiKeyFile: join(dir, 'operator.key') };
  writeFileSync(files.restCaFile, server.caPem);
  writeFileSync(files.apiKeyFile, `${standIn.apiKey.key}:${standIn.apiKey.secret}`, { mode: 0o600 });

  const { operatorArgs = [] } = options;
  const extraArgs = typeof operatorArgs === 'function' ? operatorArgs(standIn) : operatorArgs;
  const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${OPERATOR_ACCOUNT}` });
  let operator: OperatorProcess | undefined;
  const system: System = {
    namespace: OPERATOR_NAMESPACE,
    sites: options.sites,
    brokerCaPem: server.caPem,
    standIn: () => standIn,
    operator: () => {
      if (operator === undefined) throw new Error('the operator was not started');
      return operator;
    },
    async startOperator() {
      operator = await startOperator({
        kubeconfig,
        namespace: OPERATOR_NAMESPACE,
        broker: { restUrl: standIn.restUrl, ...files },
        defaultIssuer: 'Issuer/hedgerow-devices',
        logFile: join(cluster.dir, 'operator.log'),
        extraArgs: [...extraArgs, ...(options.probe === true ? probeArgs(standIn, options.sites) : [])],
      });
      return operator;
    },
    apply: run.apply,
    kubectl: run.kubectl,
    get: run.get,
    async stop() {
      await operator?.stop();
      await standIn.stop();
    },
  };
  if (options.startOperator !== false) {
    say('starting the operator');
    await system.startOperator();
  }
  return system;
}

function probeArgs({ mqttPort }: StandIn, [site]: readonly string[]): string[] {
  return ['--broker-mqtt', `127.0.0.1:${mqttPort}`, '--probe-issuer', `Issuer/${site}/hedgerow-devices`];
}

/** CRDs, admission policies, and from the chart the ServiceAccount with its roles: what a process outside the cluster needs. */
export async function installHedgerow(cluster: ClusterAccess, values: Record<string, unknown> = {}): Promise<void> {
  const run = runner(cluster);
  await run.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: OPERATOR_NAMESPACE } }]);
  await run.apply(objectsIn(join(ROOT, 'crds')));
  await run.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');
  await run.apply(objectsIn(join(ROOT, 'crds', 'admission')));
  const rendered = parseObjects(
    await cluster.helmTemplate(
      join(ROOT, 'charts', 'hedgerow'),
      { fullnameOverride: OPERATOR_ACCOUNT, broker: { url: 'https://127.0.0.1:18083' }, ...values },
      OPERATOR_NAMESPACE,
    ),
  );
  await run.apply(rendered.filter((object) => RBAC_KINDS.has(object.kind ?? '')));
}

type Runner = Pick<System, 'apply' | 'kubectl' | 'get'>;

export function runner(cluster: Pick<ClusterAccess, 'kubectl'>): Runner {
  const kubectl = async (args: string[], stdin?: string): Promise<string> => {
    const { stdout, stderr, code } = await cluster.kubectl(args, stdin);
    if (code !== 0) throw new Error(`kubectl ${args.slice(0, 3).join(' ')}: ${stderr.trim()}`);
    return stdout;
  };
  return {
    apply: async (objects) => {
      if (objects.length > 0) await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], toYaml(objects));
    },
    kubectl: (...args) => kubectl(args),
    get: async <T>(...args: string[]) => JSON.parse(await kubectl(['get', ...args, '-o', 'json'])) as T,
  };
}

/** The certificate that signs the devices of a site; the Secret also holds its key, which is not looked at. */
async function siteRoot(run: Runner, site: string): Promise<string> {
  await run.kubectl('wait', '--for=condition=Ready', 'issuer/hedgerow-devices', '-n', site, '--timeout=60s');
  const encoded = await waitFor(
    'the root of the site',
    async () => (await run.kubectl('get', 'secret', 'hedgerow-devices-ca', '-n', site, '-o', 'jsonpath={.data.tls\\.crt}')) || undefined,
  );
  return Buffer.from(encoded, 'base64').toString('utf8');
}
