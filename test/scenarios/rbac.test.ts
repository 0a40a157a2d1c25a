// What the chart's ServiceAccount may and may not do, asked of the real API server (SubjectAccessReview), under the names that the chart gives.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { apply } from '../controlplane/testing.ts';
import { type Rendered, render } from './chart.ts';

const RBAC_KINDS = ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];
const OWN = 'OWN';
const SITE = 'SITE';

/** verb, resource[/subresource][.group], where (own namespace, a site, or the whole cluster), name */
type Question = readonly [verb: string, resource: string, where: typeof OWN | typeof SITE | '', name?: string];

let cluster: Cluster;
let own: string;
let site: string;
let objects: Rendered[];
let answers: Map<Question, boolean>;
let estAnswers: Map<Question, boolean>;
let rolloutAnswers: Map<Question, boolean>;

beforeAll(async () => {
  cluster = await sharedCluster();
  own = await ownNamespace(cluster, 'rbac-own');
  site = await ownNamespace(cluster, 'rbac-site');
  // A signer of our own: a role over all issuers would make this account a foreign approver for every other test of this cluster.
  const rendered = await render(
    cluster,
    {
      fullnameOverride: 'hedgerow',
      identity: { signers: [`issuers.cert-manager.io/${site}.devices`] },
      est: { enabled: true, tlsSecret: 'est-tls', deviceCa: { configMap: 'device-ca' } },
      trust: { enabled: true, anchors: 'server-anchors', signerSecret: 'trust-signer' },
      rollout: { enabled: true, mqttIssuer: 'ClusterIssuer/rollout-devices', directiveIssuer: 'Issuer/directives' },
    },
    own,
  );
  objects = rendered.filter(({ kind }) => RBAC_KINDS.includes(kind));
  await apply(cluster, objects);
  answers = await ask([...MAY, ...MAY_NOT], 'hedgerow');
  estAnswers = await ask([...EST_MAY, ...EST_MAY_NOT], 'hedgerow-est');
  rolloutAnswers = await ask([...ROLLOUT_MAY, ...ROLLOUT_MAY_NOT], 'hedgerow-rollout');
});

afterAll(async () => {
  const names = objects.filter(({ metadata }) => metadata.namespace === undefined).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  await cluster.kubectl(['delete', '--ignore-not-found', ...names]);
  await cluster.kubectl(['delete', 'namespace', own, site, '--wait=false']);
});

const MAY: readonly Question[] = [
  ['watch', 'devices.hedgerow.dev', ''],
  ['watch', 'segmentpolicies.hedgerow.dev', ''],
  ['watch', 'interventions.hedgerow.dev', ''],
  ['patch', 'devices/status.hedgerow.dev', SITE],
  ['patch', 'segmentpolicies/status.hedgerow.dev', SITE],
  ['patch', 'interventions/status.hedgerow.dev', SITE],
  // Rollouts: what was verified becomes waves at the sites, and a Job for each
  ['watch', 'firmwarereleases.hedgerow.dev', ''],
  ['patch', 'firmwarereleases/status.hedgerow.dev', SITE],
  ['create', 'firmwarewaves.hedgerow.dev', SITE],
  ['delete', 'firmwarewaves.hedgerow.dev', SITE],
  ['patch', 'firmwarewaves/status.hedgerow.dev', SITE],
  ['get', 'configmaps', SITE, 'firmware-root'],
  ['patch', 'configmaps', OWN, 'hedgerow-firmware-roots'],
  ['create', 'jobs.batch', OWN],
  ['delete', 'jobs.batch', OWN],
  // By name: of all others the admission policy hedgerow-catalogs keeps it (test/scenarios/releases.test.ts).
  ['patch', 'configmaps', OWN, 'hedgerow-release-of-a-uid'],
  ['delete', 'configmaps', OWN, 'hedgerow-release-of-a-uid'],
  ['create', 'certificaterequests.cert-manager.io', SITE],
  ['delete', 'certificaterequests.cert-manager.io', SITE],
  ['patch', 'certificaterequests/status.cert-manager.io', SITE],
  ['approve', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/SITE.devices'],
  // Of drivers of rollouts
  ['approve', 'signers.cert-manager.io', '', 'clusterissuers.cert-manager.io/rollout-devices'],
  ['approve', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/OWN.directives'],
  ['watch', 'firmwarewaves.hedgerow.dev', ''],
  ['patch', 'certificates.cert-manager.io', SITE],
  ['patch', 'certificates/status.cert-manager.io', SITE],
  ['list', 'issuers.cert-manager.io', ''],
  ['list', 'clusterissuers.cert-manager.io', ''],
  ['create', 'networkpolicies.networking.k8s.io', SITE],
  ['delete', 'networkpolicies.networking.k8s.io', SITE],
  ['watch', 'namespaces', ''],
  ['watch', 'pods', ''],
  // Its canaries, which the chart makes.
  ['list', 'pods', OWN],
  ['list', 'clusterroles.rbac.authorization.k8s.io', ''],
  ['list', 'clusterrolebindings.rbac.authorization.k8s.io', ''],
  ['create', 'events.events.k8s.io', SITE],
  // A device above its limits: what the Intervention may say, the admission policy hedgerow-automatic says.
  ['create', 'interventions.hedgerow.dev', SITE],
  // With an EST server: devices on a list become Devices by themselves.
  ['create', 'devices.hedgerow.dev', SITE],
  ['get', 'configmaps', SITE, 'hedgerow-serials'],
  ['create', 'certificateledgers.hedgerow.dev', OWN],
  ['create', 'leases.coordination.k8s.io', OWN],
  ['update', 'leases.coordination.k8s.io', OWN, 'hedgerow-operator'],
  ['get', 'configmaps', OWN, 'hedgerow-out-of-touch-0'],
  ['patch', 'configmaps', OWN, 'hedgerow-out-of-touch-7'],
  ['get', 'configmaps', OWN, 'hedgerow-trust'],
  ['patch', 'configmaps', OWN, 'hedgerow-trust'],
  ['get', 'configmaps', OWN, 'hedgerow-ca-bundle'],
  ['update', 'configmaps', OWN, 'hedgerow-ca-bundle'],
  // What the gateway of a site is told: into the one ConfigMap that whoever installs a gateway makes.
  ['watch', 'configmaps', '', 'hedgerow-gateway'],
  ['patch', 'configmaps', SITE, 'hedgerow-gateway'],
  ['watch', 'configmaps', '', 'hedgerow-gateway-asks'],
];

const MAY_NOT: readonly Question[] = [
  // Over pods of the whole cluster, unless the administrator says so: clusterNetworkPolicy.enabled
  ['create', 'clusternetworkpolicies.policy.networking.k8s.io', ''],
  // By which CAs devices know the broker: said by an administrator, signed with a key that is a file
  ['get', 'secrets', OWN, 'trust-signer'],
  ['update', 'configmaps', OWN, 'hedgerow-trust'],
  ['patch', 'configmaps', SITE, 'hedgerow-trust'],
  // Keys and tokens
  ['get', 'secrets', OWN],
  ['get', 'secrets', OWN, 'hedgerow-broker'],
  ['list', 'secrets', SITE],
  ['watch', 'secrets', ''],
  ['create', 'secrets', SITE],
  ['create', 'serviceaccounts/token', OWN, 'hedgerow'],
  ['get', 'configmaps', OWN],
  ['patch', 'configmaps', SITE, 'hedgerow-out-of-touch-0'],
  ['list', 'configmaps', OWN],
  ['list', 'configmaps', SITE],
  ['watch', 'configmaps', ''],
  ['patch', 'configmaps', SITE, 'hedgerow-serials'],
  ['patch', 'configmaps', SITE, 'hedgerow-gateway-asks'],
  ['create', 'configmaps', SITE, 'hedgerow-gateway'],
  ['delete', 'configmaps', SITE, 'hedgerow-gateway'],
  ['get', 'configmaps', SITE, 'kube-root-ca.crt'],
  ['get', 'secrets', SITE, 'hedgerow-manufacturer-ca'],
  ['get', 'configmaps', SITE, 'hedgerow-ca-bundle'],
  // What people keep in Git or do by hand
  ['update', 'devices.hedgerow.dev', SITE],
  ['patch', 'devices.hedgerow.dev', SITE],
  ['delete', 'devices.hedgerow.dev', SITE],
  ['patch', 'segmentpolicies.hedgerow.dev', SITE],
  ['delete', 'segmentpolicies.hedgerow.dev', SITE],
  ['patch', 'interventions.hedgerow.dev', SITE],
  ['delete', 'interventions.hedgerow.dev', SITE],
  // Certificates beyond the device issuers
  ['approve', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/*'],
  ['approve', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/SITE.another'],
  ['approve', 'signers.cert-manager.io', '', 'clusterissuers.cert-manager.io/platform'],
  ['approve', 'signers.cert-manager.io', '', 'clusterissuers.cert-manager.io/*'],
  ['sign', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/SITE.devices'],
  ['create', 'issuers.cert-manager.io', SITE],
  ['patch', 'clusterissuers.cert-manager.io', ''],
  ['delete', 'certificates.cert-manager.io', SITE],
  ['approve', 'certificatesigningrequests.certificates.k8s.io', ''],
  // Its own records, elsewhere
  ['create', 'certificateledgers.hedgerow.dev', SITE],
  ['list', 'certificateledgers.hedgerow.dev', ''],
  ['update', 'leases.coordination.k8s.io', OWN, 'another'],
  ['create', 'leases.coordination.k8s.io', 'SITE'],
  ['update', 'leases.coordination.k8s.io', ''],
  // More rights for itself or others
  ['create', 'clusterroles.rbac.authorization.k8s.io', ''],
  ['patch', 'clusterroles.rbac.authorization.k8s.io', ''],
  ['escalate', 'clusterroles.rbac.authorization.k8s.io', ''],
  ['bind', 'clusterroles.rbac.authorization.k8s.io', ''],
  ['create', 'clusterrolebindings.rbac.authorization.k8s.io', ''],
  ['create', 'rolebindings.rbac.authorization.k8s.io', SITE],
  ['impersonate', 'users', ''],
  ['impersonate', 'serviceaccounts', ''],
  // Workloads and the cluster itself
  ['create', 'jobs.batch', SITE],
  ['list', 'jobs.batch', ''],
  ['patch', 'firmwarereleases.hedgerow.dev', SITE],
  ['delete', 'firmwarereleases.hedgerow.dev', SITE],
  ['patch', 'configmaps', SITE, 'firmware-root'],
  ['delete', 'configmaps', SITE, 'hedgerow-release-of-a-uid'],
  ['create', 'pods', SITE],
  ['delete', 'pods', SITE],
  ['create', 'pods/exec', SITE],
  ['get', 'pods/log', SITE],
  ['create', 'deployments.apps', SITE],
  ['create', 'pods', OWN],
  ['delete', 'pods', OWN],
  ['create', 'pods/exec', OWN],
  ['patch', 'daemonsets.apps', OWN],
  ['patch', 'namespaces', ''],
  ['delete', 'namespaces', ''],
  ['get', 'nodes', ''],
  ['proxy', 'nodes', ''],
  ['patch', 'customresourcedefinitions.apiextensions.k8s.io', ''],
  ['patch', 'validatingadmissionpolicies.admissionregistration.k8s.io', ''],
  ['create', 'mutatingwebhookconfigurations.admissionregistration.k8s.io', ''],
];

/** It talks with strangers: what it may do, a stranger who takes it over may do. */
const EST_MAY: readonly Question[] = [
  ['watch', 'devices.hedgerow.dev', ''],
  ['watch', 'segmentpolicies.hedgerow.dev', ''],
  ['get', 'configmaps', SITE, 'hedgerow-serials'],
  ['watch', 'certificateledgers.hedgerow.dev', OWN],
  ['create', 'certificaterequests.cert-manager.io', SITE],
  ['watch', 'certificaterequests.cert-manager.io', ''],
  ['get', 'secrets', SITE, 'hedgerow-est-tokens'],
  ['patch', 'secrets', SITE, 'hedgerow-est-tokens'],
  ['get', 'secrets', SITE, 'hedgerow-manufacturer-ca'],
];
const EST_MAY_NOT: readonly Question[] = [
  // What it tells devices of the broker is mounted
  ['get', 'secrets', OWN, 'trust-signer'],
  ['get', 'configmaps', OWN, 'hedgerow-trust'],
  ['patch', 'configmaps', OWN, 'hedgerow-trust'],
  // Keys: of the CA, of devices, of itself
  ['get', 'secrets', SITE],
  ['get', 'secrets', SITE, 'hedgerow-devices-ca'],
  ['get', 'secrets', OWN, 'hedgerow-broker'],
  ['get', 'secrets', OWN, 'est-tls'],
  ['list', 'secrets', SITE],
  ['watch', 'secrets', ''],
  ['create', 'secrets', SITE],
  ['update', 'secrets', SITE, 'hedgerow-est-tokens'],
  ['delete', 'secrets', SITE, 'hedgerow-est-tokens'],
  ['patch', 'secrets', SITE, 'hedgerow-manufacturer-ca'],
  ['create', 'serviceaccounts/token', OWN, 'hedgerow'],
  ['get', 'configmaps', OWN],
  // A certificate by itself
  ['approve', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/SITE.devices'],
  ['sign', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/SITE.devices'],
  ['patch', 'certificaterequests/status.cert-manager.io', SITE],
  ['update', 'certificaterequests/status.cert-manager.io', SITE],
  ['patch', 'certificaterequests.cert-manager.io', SITE],
  ['delete', 'certificaterequests.cert-manager.io', SITE],
  ['create', 'certificates.cert-manager.io', SITE],
  // What is and what was issued
  ['create', 'devices.hedgerow.dev', SITE],
  ['patch', 'devices.hedgerow.dev', SITE],
  ['patch', 'devices/status.hedgerow.dev', SITE],
  ['patch', 'certificateledgers.hedgerow.dev', OWN],
  ['create', 'certificateledgers.hedgerow.dev', OWN],
  ['patch', 'segmentpolicies.hedgerow.dev', SITE],
  ['list', 'configmaps', SITE],
  ['patch', 'configmaps', SITE, 'hedgerow-serials'],
  ['list', 'interventions.hedgerow.dev', SITE],
  ['create', 'interventions.hedgerow.dev', SITE],
  // The operator's place
  ['update', 'leases.coordination.k8s.io', OWN, 'hedgerow-operator'],
  ['create', 'events.events.k8s.io', SITE],
  ['create', 'networkpolicies.networking.k8s.io', SITE],
  ['list', 'pods', ''],
  ['create', 'pods', OWN],
  ['create', 'rolebindings.rbac.authorization.k8s.io', SITE],
  ['impersonate', 'serviceaccounts', ''],
];

/** It talks with devices: what it may do, a device that takes it over may do. */
const ROLLOUT_MAY: readonly Question[] = [
  ['watch', 'devices.hedgerow.dev', ''],
  ['patch', 'devices/status.hedgerow.dev', SITE],
  ['get', 'firmwarewaves.hedgerow.dev', SITE],
  ['get', 'firmwarereleases.hedgerow.dev', SITE],
  ['patch', 'firmwarewaves/status.hedgerow.dev', SITE],
  ['create', 'certificaterequests.cert-manager.io', OWN],
  ['get', 'certificaterequests.cert-manager.io', OWN],
  ['delete', 'certificaterequests.cert-manager.io', OWN],
  ['create', 'leases.coordination.k8s.io', OWN],
  ['update', 'leases.coordination.k8s.io', OWN],
  ['get', 'configmaps', OWN],
];
const ROLLOUT_MAY_NOT: readonly Question[] = [
  // A certificate by itself, or elsewhere
  ['approve', 'signers.cert-manager.io', '', 'clusterissuers.cert-manager.io/rollout-devices'],
  ['approve', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/OWN.directives'],
  ['sign', 'signers.cert-manager.io', '', 'issuers.cert-manager.io/OWN.directives'],
  ['patch', 'certificaterequests/status.cert-manager.io', OWN],
  ['update', 'certificaterequests/status.cert-manager.io', OWN],
  ['patch', 'certificaterequests.cert-manager.io', OWN],
  ['list', 'certificaterequests.cert-manager.io', OWN],
  ['create', 'certificaterequests.cert-manager.io', SITE],
  ['create', 'certificates.cert-manager.io', OWN],
  // What is to be, and what was verified
  ['patch', 'devices.hedgerow.dev', SITE],
  ['create', 'devices.hedgerow.dev', SITE],
  ['patch', 'firmwarewaves.hedgerow.dev', SITE],
  ['create', 'firmwarewaves.hedgerow.dev', SITE],
  ['delete', 'firmwarewaves.hedgerow.dev', SITE],
  ['patch', 'firmwarereleases/status.hedgerow.dev', SITE],
  ['patch', 'firmwarereleases.hedgerow.dev', SITE],
  ['create', 'interventions.hedgerow.dev', SITE],
  ['patch', 'configmaps', OWN],
  ['list', 'configmaps', OWN],
  ['get', 'configmaps', SITE],
  ['delete', 'leases.coordination.k8s.io', OWN],
  ['update', 'leases.coordination.k8s.io', SITE],
  // Keys, workloads, rights
  ['get', 'secrets', OWN],
  ['list', 'secrets', SITE],
  ['create', 'serviceaccounts/token', OWN, 'hedgerow'],
  ['get', 'certificateledgers.hedgerow.dev', OWN],
  ['create', 'jobs.batch', OWN],
  ['patch', 'jobs.batch', OWN],
  ['create', 'pods', OWN],
  ['create', 'rolebindings.rbac.authorization.k8s.io', OWN],
  ['impersonate', 'serviceaccounts', ''],
];

describe('the account of the drivers of rollouts', () => {
  for (const question of ROLLOUT_MAY) it(`may ${say(question)}`, () => expect(rolloutAnswers.get(question)).toBe(true));
  for (const question of ROLLOUT_MAY_NOT) it(`may not ${say(question)}`, () => expect(rolloutAnswers.get(question)).toBe(false));
});

describe('the account of the EST server', () => {
  for (const question of EST_MAY) it(`may ${say(question)}`, () => expect(estAnswers.get(question)).toBe(true));
  for (const question of EST_MAY_NOT) it(`may not ${say(question)}`, () => expect(estAnswers.get(question)).toBe(false));
});

describe("the chart's ServiceAccount", () => {
  for (const question of MAY) it(`may ${say(question)}`, () => expect(answers.get(question)).toBe(true));
  for (const question of MAY_NOT) it(`may not ${say(question)}`, () => expect(answers.get(question)).toBe(false));

  it('may write ClusterNetworkPolicies where the administrator says so, and not list them', async () => {
    const role = (await render(cluster, { fullnameOverride: 'hedgerow', clusterNetworkPolicy: { enabled: true } }, own)).find(
      ({ kind }) => kind === 'ClusterRole',
    );
    const { rules } = role as unknown as { rules: { resources: string[]; verbs: string[] }[] };
    expect(rules.filter(({ resources }) => resources.includes('clusternetworkpolicies')).map(({ verbs }) => verbs)).toEqual([
      ['create', 'get', 'patch', 'delete'],
    ]);
  });

  it('may create Devices and read lists of serial numbers only where there is an EST server', async () => {
    const without = (await render(cluster, { fullnameOverride: 'hedgerow' }, own)).find(({ kind }) => kind === 'ClusterRole');
    const rules = (without as unknown as { rules: { resources: string[]; resourceNames?: string[]; verbs: string[] }[] }).rules;
    const maps = rules.filter(({ resources }) => resources.includes('configmaps'));
    expect(maps.flatMap(({ resourceNames = ['*'] }) => resourceNames)).toEqual(['hedgerow-gateway', 'hedgerow-gateway-asks']);
    expect(rules.filter(({ resources, verbs }) => resources.includes('devices') && verbs.includes('create'))).toEqual([]);
  });

  it('is the account that the API server knows: its own token says so', async () => {
    const kubeconfig = await cluster.kubeconfigFor({ serviceAccount: `${own}/hedgerow` });
    const { stdout } = await cluster.kubectl(['--kubeconfig', kubeconfig, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}']);
    expect(stdout).toBe(`system:serviceaccount:${own}:hedgerow`);
    const secrets = await cluster.kubectl(['--kubeconfig', kubeconfig, 'get', 'secrets', '-A']);
    expect(secrets).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot list resource "secrets"') });
  });
});

function say([verb, resource, where, name]: Question): string {
  const place = { [OWN]: 'in its own namespace', [SITE]: 'in a site', '': 'in the whole cluster' }[where];
  return `${verb} ${resource}${name === undefined ? '' : ` ${name}`} ${place}`;
}

/** All in one call of kubectl: they are many. */
async function ask(questions: readonly Question[], account: string): Promise<Map<Question, boolean>> {
  const reviews = questions.map((question) => JSON.stringify(review(question, account))).join('\n---\n');
  const { stdout, stderr, code } = await cluster.kubectl(['create', '-f', '-', '-o', 'jsonpath={.status.allowed}{"\\n"}'], reviews);
  if (code !== 0) throw new Error(stderr);
  const lines = stdout.trim().split('\n');
  if (lines.length !== questions.length) throw new Error(`${lines.length} answers to ${questions.length} questions`);
  return new Map(questions.map((question, at) => [question, lines[at] === 'true']));
}

function review([verb, resource, where, name]: Question, account: string): object {
  const [path = '', ...group] = resource.split('.');
  const [plural = '', subresource] = path.split('/');
  const namespace = { [OWN]: own, [SITE]: site, '': undefined }[where];
  return {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: `system:serviceaccount:${own}:${account}`,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${own}`, 'system:authenticated'],
      resourceAttributes: {
        verb,
        group: group.join('.'),
        resource: plural,
        ...(subresource === undefined ? {} : { subresource }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(name === undefined ? {} : { name: name.replace(SITE, site).replace(OWN, own) }),
      },
    },
  };
}
