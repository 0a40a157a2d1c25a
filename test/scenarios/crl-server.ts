// A CRL server beside a scene, under an account of the chart that may read the CA of the scene's site and no other.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type OperatorProcess, startCrl } from '../harness/operator-process.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { type Rendered, render } from './chart.ts';
import { type Scene, startScene } from './scene.ts';

export type CrlScene = Scene & {
  /** Of the list of the site's default issuer, PEM: what its certificates name. */
  readonly listUrl: string;
  startCrl(): Promise<OperatorProcess>;
};

/** The operator follows the lists; the CRL server is not started yet. */
export async function startCrlScene(name: string): Promise<CrlScene> {
  const account = `${name}-${process.pid}`;
  const [port, dir] = [await freePort(), mkdtempSync(join(tmpdir(), 'hedgerow-crl-'))];
  const caFile = join(dir, 'ca.pem');
  const url = `http://127.0.0.1:${port}`;
  const scene = await startScene(name, { operatorArgs: ['--crl-url', url, '--crl-ca-file', caFile] });
  const { site, system, cluster } = scene;
  const encoded = await system.kubectl('get', 'secret', 'hedgerow-devices-ca', '-n', site, '-o', 'jsonpath={.data.tls\\.crt}');
  writeFileSync(caFile, Buffer.from(encoded, 'base64'));

  const listed = { namespace: site, name: 'hedgerow-devices', secret: 'hedgerow-devices-ca' };
  const rendered = await render(cluster, { fullnameOverride: account, crl: { enabled: true, issuers: [listed] } }, OPERATOR_NAMESPACE);
  const rights = rendered.filter(
    ({ kind, metadata }) => metadata.name.startsWith(`${account}-crl`) && /^(ServiceAccount|(Cluster)?Role(Binding)?)$/.test(kind),
  );
  await system.apply(rights);
  const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${account}-crl` });
  const options = { kubeconfig, namespace: OPERATOR_NAMESPACE, port, logFile: join(scene.dir, 'crl.log') };
  return {
    ...scene,
    listUrl: `${url}/crl/${site}/hedgerow-devices.pem`,
    startCrl: () => startCrl({ ...options, issuers: [`Issuer/${site}/hedgerow-devices`] }),
    async stop() {
      for (const object of rights) await remove(scene, object);
      await scene.stop();
    },
  };
}

const remove = (scene: Scene, { kind, metadata: { name, namespace } }: Rendered): Promise<unknown> =>
  scene.cluster.kubectl(['delete', '--ignore-not-found', ...(namespace === undefined ? [] : ['-n', namespace]), `${kind}/${name}`]);
