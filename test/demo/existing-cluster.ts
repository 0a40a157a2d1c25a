// A cluster that exists, for `--kubeconfig`: asked first whether the demo may be a guest there, and left as it was found.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Say } from '../controlplane/compile.ts';
import { type Ran, runHelm, runProcess } from '../controlplane/helm.ts';
import { writeKubeconfig } from '../controlplane/kubeconfig.ts';
import { clusterDir } from '../controlplane/layout.ts';
import { program } from '../controlplane/programs.ts';
import { ROOT } from '../harness/manifests.ts';
import { type ClusterAccess, OPERATOR_NAMESPACE } from '../harness/system.ts';
import type { Cleanup } from './cleanup.ts';
import type { Place } from './place.ts';
import { Trouble } from './trouble.ts';

type Kubectl = ClusterAccess['kubectl'];
type ViewedConfig = { clusters: { name: string; cluster: { server: string; 'certificate-authority-data'?: string } }[] };

/** The signers that Hedgerow approves for; whoever else may approve for all of them is told to the operator. */
const DEVICE_SIGNERS = 'issuers.cert-manager.io/*';
const TOKEN_LIFETIME = '24h';

export async function existingPlace(
  file: string,
  options: { name: string; sites: readonly string[]; cleanup: Cleanup; say: Say },
): Promise<Place> {
  const { cleanup, say } = options;
  const kubeconfig = resolve(file);
  if (!existsSync(kubeconfig))
    throw new Trouble(`there is no file ${kubeconfig}`, { cure: 'give --kubeconfig the path of a kubeconfig file' });
  const command = await kubectlCommand(say);
  const kubectl: Kubectl = (args, stdin) =>
    runProcess([...command, `--kubeconfig=${kubeconfig}`, ...args], stdin === undefined ? {} : { stdin });
  const server = await mayBeGuest(kubectl, options.sites);
  const dir = clusterDir(options.name);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const hadIssuer = (await kubectl(['get', 'clusterissuer', 'hedgerow-root'])).code === 0;
  cleanup.add('working folder', async () => rmSync(dir, { recursive: true, force: true }));
  cleanup.add('what the demo made in the cluster', () => leave(kubectl, options.sites, hadIssuer));
  const approver = await openApprover(kubectl);
  return {
    access: {
      dir,
      kubectl,
      helmTemplate: (chart, values, namespace) => helmTemplate(dir, chart, values, namespace),
      kubeconfigFor: ({ serviceAccount }) => tokenKubeconfig(kubectl, dir, serviceAccount),
    },
    cluster: undefined,
    kubeconfig,
    server,
    binDir: undefined,
    operatorArgs: approver === undefined ? [] : ['--accept-approver', approver],
    remarks:
      approver === undefined
        ? []
        : [
            `cert-manager of this cluster (${approver}) approves every request by itself, so it may mint devices too. The demo accepts that (--accept-approver); in earnest narrow it: docs/guides/install.md, 2.`,
          ],
  };
}

/** The person's own kubectl; where there is none, the one that is compiled with the control plane. */
async function kubectlCommand(say: Say): Promise<[string, ...string[]]> {
  const own = await runProcess(['kubectl', 'version', '--client']).catch(() => undefined);
  return own?.code === 0 ? ['kubectl'] : [(await program('cp', say)).bin, 'kubectl'];
}

/** Refuses where the demo would disturb somebody, or could not work. Gives the address of the API server. */
async function mayBeGuest(kubectl: Kubectl, sites: readonly string[]): Promise<string> {
  const ready = await kubectl(['get', '--raw', '/readyz', '--request-timeout=10s']);
  if (ready.code !== 0)
    throw new Trouble(`the cluster of --kubeconfig does not answer: ${firstLine(ready.stderr)}`, {
      cure: 'check that kubectl reaches it with this file',
    });
  const admin = await kubectl(['auth', 'can-i', '*', '*', '--all-namespaces']);
  if (admin.stdout.trim() !== 'yes')
    throw new Trouble('the user of --kubeconfig is no administrator of that cluster', {
      cure: 'the demo installs kinds, roles and admission policies: use a kubeconfig of an administrator, best of a throw-away cluster',
    });
  if ((await kubectl(['get', 'crd', 'certificaterequests.cert-manager.io'])).code !== 0)
    throw new Trouble('that cluster has no cert-manager', {
      cure: 'helm upgrade --install cert-manager cert-manager --repo https://charts.jetstack.io -n cert-manager --create-namespace --set crds.enabled=true --wait',
    });
  if ((await kubectl(['get', 'crd', 'devices.hedgerow.dev'])).code === 0)
    throw new Trouble("Hedgerow's kinds are in that cluster already: the demo's operator would take over Devices that are not its own", {
      cure: `use another cluster. If they are left from a demo that was killed: kubectl delete namespace ${[...sites, OPERATOR_NAMESPACE].join(' ')}; kubectl delete -f crds -f crds/admission`,
    });
  for (const namespace of [...sites, OPERATOR_NAMESPACE])
    if ((await kubectl(['get', 'namespace', namespace])).code === 0)
      throw new Trouble(`namespace ${namespace} is in that cluster already, and the demo would delete it at its end`, {
        cure: `use another cluster, or delete the namespace first: kubectl delete namespace ${namespace}`,
      });
  return (await clusterEntry(kubectl)).cluster.server;
}

/** cert-manager's own approver, when it may approve for every issuer, as it may by default. */
async function openApprover(kubectl: Kubectl): Promise<string | undefined> {
  const found = await kubectl([
    'get',
    'deployment',
    '-A',
    '-l',
    'app.kubernetes.io/component=controller,app.kubernetes.io/name=cert-manager',
    '-o',
    'json',
  ]);
  const items = found.code === 0 ? (JSON.parse(found.stdout) as { items: Deployment[] }).items : [];
  const [namespace, account] = [
    items[0]?.metadata.namespace ?? 'cert-manager',
    items[0]?.spec.template.spec.serviceAccountName ?? 'cert-manager',
  ];
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: `system:serviceaccount:${namespace}:${account}`,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
      resourceAttributes: { group: 'cert-manager.io', resource: 'signers', name: DEVICE_SIGNERS, verb: 'approve' },
    },
  };
  const answer = await kubectl(['create', '-f', '-', '-o', 'json'], JSON.stringify(review));
  if (answer.code !== 0) throw new Trouble(`asking who may approve failed: ${firstLine(answer.stderr)}`);
  const { status } = JSON.parse(answer.stdout) as { status?: { allowed?: boolean } };
  return status?.allowed === true ? `${namespace}/${account}` : undefined;
}

type Deployment = { metadata: { namespace: string }; spec: { template: { spec: { serviceAccountName?: string } } } };

/** The person's own helm; where there is none, ours is compiled. */
async function helmTemplate(dir: string, chart: string, values: Record<string, unknown>, namespace: string): Promise<string> {
  const args = ['template', 'hedgerow', chart, '--namespace', namespace, '--values', '-'];
  const stdin = JSON.stringify(values);
  const own = await runProcess(['helm', ...args], { stdin }).catch(() => undefined);
  return own?.code === 0 ? own.stdout : (await runHelm(args, { workDir: dir, stdin })).stdout;
}

/** A kubeconfig of this ServiceAccount, by TokenRequest: the operator never runs as administrator. */
async function tokenKubeconfig(kubectl: Kubectl, dir: string, serviceAccount: string): Promise<string> {
  const [namespace = '', account = ''] = serviceAccount.split('/');
  const token = await answered(kubectl(['create', 'token', account, '-n', namespace, `--duration=${TOKEN_LIFETIME}`]));
  const { name, cluster } = await clusterEntry(kubectl);
  const caPem = Buffer.from(cluster['certificate-authority-data'] ?? '', 'base64').toString('utf8');
  const file = join(dir, 'kubeconfigs', `${account}.kubeconfig`);
  return writeKubeconfig(file, { name, server: cluster.server, caPem }, account, { token: token.trim() });
}

async function clusterEntry(kubectl: Kubectl): Promise<ViewedConfig['clusters'][number]> {
  // Without --raw kubectl leaves credentials out, and certificates too: --flatten puts the CA in, from wherever it lies.
  const text = await answered(kubectl(['config', 'view', '--raw', '--minify', '--flatten', '-o', 'jsonpath-as-json={.clusters[0]}']));
  const [entry] = JSON.parse(text) as ViewedConfig['clusters'];
  if (entry === undefined) throw new Trouble('the kubeconfig has no current context', { cure: 'kubectl config use-context NAME' });
  return entry;
}

/** Everything that installing made, and the namespaces; they finish going by themselves. */
async function leave(kubectl: Kubectl, sites: readonly string[], hadIssuer: boolean): Promise<void> {
  const gone = ['--ignore-not-found', '--wait=false'];
  await kubectl(['delete', 'namespace', ...sites, OPERATOR_NAMESPACE, ...gone]);
  await kubectl(['delete', '-f', join(ROOT, 'crds'), '-f', join(ROOT, 'crds', 'admission'), ...gone]);
  await kubectl([
    'delete',
    'clusterrole,clusterrolebinding',
    '-l',
    'app.kubernetes.io/name=hedgerow,app.kubernetes.io/instance=hedgerow',
    ...gone,
  ]);
  if (!hadIssuer) await kubectl(['delete', 'clusterissuer', 'hedgerow-root', ...gone]);
}

async function answered(ran: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await ran;
  if (code !== 0) throw new Trouble(`kubectl: ${firstLine(stderr)}`);
  return stdout;
}

const firstLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
