// EST servers beside a system: processes `operator est` under the account of the chart, and the operator's rights as the chart gives them with est.enabled.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EstServerAddress } from '../simulator/est.ts';
import { makeServerCertificate } from './certificates.ts';
import { parseObjects, ROOT } from './manifests.ts';
import { type OperatorProcess, startEst } from './operator-process.ts';
import { type ClusterAccess, installHedgerow, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, type System } from './system.ts';

export const EST_ACCOUNT = `${OPERATOR_ACCOUNT}-est`;
/** For the operator. */
export const EST_ARGS: string[] = ['--est-account', `${OPERATOR_NAMESPACE}/${EST_ACCOUNT}`];

export type EstProcess = OperatorProcess & EstServerAddress;
export type EstSystem = {
  start(): Promise<EstProcess>;
  /** Ends every server, and takes back what the chart gave for them. */
  stop(): Promise<void>;
};

const RIGHTS = /^(ServiceAccount|ClusterRole|ClusterRoleBinding|Role|RoleBinding)$/;

export async function prepareEst(o: { cluster: ClusterAccess; system: System; sites: readonly string[]; dir: string }): Promise<EstSystem> {
  const { cluster, system, dir } = o;
  const values = {
    fullnameOverride: OPERATOR_ACCOUNT,
    broker: { url: 'https://127.0.0.1:18083' },
    est: { enabled: true, tlsSecret: 'est-tls', deviceCa: { configMap: 'device-ca' } },
  };
  const rendered = parseObjects(await cluster.helmTemplate(join(ROOT, 'charts', 'hedgerow'), values, OPERATOR_NAMESPACE));
  const rights = rendered.filter(({ kind }) => RIGHTS.test(kind ?? ''));
  await system.apply(rights);

  const server = await makeServerCertificate();
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  const tls = { certFile: file('est.crt', server.certPem), keyFile: file('est.key', server.keyPem) };
  const roots = await Promise.all(o.sites.map((site) => rootOf(system, site)));
  const deviceCaFile = file('device-ca.crt', roots.join('\n'));
  const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${EST_ACCOUNT}` });
  const running: EstProcess[] = [];
  return {
    async start() {
      const options = { kubeconfig, namespace: OPERATOR_NAMESPACE, defaultIssuer: 'Issuer/hedgerow-devices', tls, deviceCaFile };
      // All devices of a test come from one address.
      const started = await startEst({ ...options, logFile: join(dir, 'est.log'), extraArgs: ['--address-burst', '1000000'] });
      const process = { ...started, caPem: server.caPem };
      running.push(process);
      return process;
    },
    async stop() {
      await Promise.all(running.map((one) => one.stop()));
      const own = rights.filter(({ metadata }) => metadata?.name === EST_ACCOUNT && metadata.namespace === undefined);
      await cluster.kubectl(['delete', '--ignore-not-found', ...own.map(({ kind }) => `${kind}/${EST_ACCOUNT}`)]);
      await installHedgerow(cluster);
    },
  };
}

async function rootOf(system: System, site: string): Promise<string> {
  const encoded = await system.kubectl('get', 'secret', 'hedgerow-devices-ca', '-n', site, '-o', 'jsonpath={.data.tls\\.crt}');
  return Buffer.from(encoded, 'base64').toString('utf8');
}
