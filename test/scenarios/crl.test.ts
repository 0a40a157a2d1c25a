// CRLs of a real cert-manager CA: `operator crl` under the account of the chart, openssl and the broker as judges.
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCrl } from '../../operator/crl/crl.ts';
import { runProcess } from '../controlplane/helm.ts';
import { freePort, type OperatorProcess, startCrl } from '../harness/operator-process.ts';
import { OPERATOR_NAMESPACE } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { connectWith } from '../simulator/hostile.ts';
import { CHART, type PodSpec, type Rendered, render } from './chart.ts';
import { type Member, type Scene, segment, startScene } from './scene.ts';

const ACCOUNT = `crl-${process.pid}`;
const LISTENER = 'ssl:default';

let scene: Scene;
let site: string;
let objects: Rendered[];
let kubeconfig: string;
let url: string;
let start: () => Promise<OperatorProcess>;
let server: OperatorProcess;
let good: Member;
let bad: Member;

beforeAll(async () => {
  const port = await freePort();
  scene = await startScene('crl');
  ({ site } = scene);
  url = `http://127.0.0.1:${port}/crl/${site}/hedgerow-devices.pem`;
  const issuers = [
    issuer('hedgerow-devices', { ca: { secretName: 'hedgerow-devices-ca', crlDistributionPoints: [url] } }),
    issuer('closed', { ca: { secretName: 'not-ours-to-read' } }),
  ];
  await scene.system.apply([segment('office', site), ...issuers]);
  const listed = { namespace: site, name: 'hedgerow-devices', secret: 'hedgerow-devices-ca' };
  const values = { fullnameOverride: ACCOUNT, crl: { enabled: true, issuers: [listed] } };
  objects = (await render(scene.cluster, values, OPERATOR_NAMESPACE)).filter(({ metadata }) => metadata.name.startsWith(`${ACCOUNT}-crl`));
  await scene.system.apply(objects.filter(({ kind }) => /^(ServiceAccount|(Cluster)?Role(Binding)?)$/.test(kind)));
  kubeconfig = await scene.cluster.kubeconfigFor({ serviceAccount: `${OPERATOR_NAMESPACE}/${ACCOUNT}-crl` });
  const options = { kubeconfig, namespace: OPERATOR_NAMESPACE, port, logFile: join(scene.dir, 'crl.log') };
  start = () => startCrl({ ...options, issuers: [`Issuer/${site}/hedgerow-devices`, `Issuer/${site}/closed`] });
  server = await start();
  [good, bad] = (await scene.enrol(['good', 'bad'])) as [Member, Member];
});
afterAll(async () => {
  await server?.stop();
  if (scene === undefined) return;
  const names = objects.filter(({ kind }) => /^(ServiceAccount|Role|RoleBinding)$/.test(kind));
  for (const { kind, metadata } of names)
    await scene.cluster.kubectl(['delete', '--ignore-not-found', '-n', metadata.namespace ?? '', `${kind}/${metadata.name}`]);
  await scene.cluster.kubectl(['delete', '--ignore-not-found', `clusterrole/${ACCOUNT}-crl`, `clusterrolebinding/${ACCOUNT}-crl`]);
  await scene.cluster.kubectl([
    'delete',
    '--ignore-not-found',
    ...['clusterrole', 'clusterrolebinding'].map((kind) => `${kind}/${clusterName()}`),
  ]);
  await scene.stop();
});

function issuer(name: string, spec: object): object {
  return { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: { name, namespace: site }, spec };
}
const clusterName = (): string => objects.find(({ kind }) => kind === 'ClusterRole')?.metadata.name ?? '';
const list = async (): Promise<string> => (await fetch(url)).text();
const serialOf = (member: Member): string => new X509Certificate(member.certificatePem).serialNumber.toUpperCase();

/** What openssl reads: the number, and the serial numbers. */
async function parsed(pem: string): Promise<{ number: bigint; serials: string[] }> {
  const { stdout, stderr, code } = await runProcess(['openssl', 'crl', '-noout', '-text', '-in', write('read.crl', pem)]);
  if (code !== 0) throw new Error(stderr);
  const number = /CRL Number:\s+(0x[0-9A-F]+|\d+)/.exec(stdout)?.[1] ?? '';
  return { number: BigInt(number), serials: [...stdout.matchAll(/Serial Number: ([0-9A-F]+)/g)].map((match) => match[1] ?? '') };
}

function write(name: string, text: string): string {
  const file = join(scene.dir, name);
  writeFileSync(file, text);
  return file;
}

/** `openssl verify -crl_check`. */
async function verdict(member: Member): Promise<string> {
  const encoded = await scene.system.kubectl('get', 'secret', 'hedgerow-devices-ca', '-n', site, '-o', 'jsonpath={.data.tls\\.crt}');
  const ca = write('ca.pem', Buffer.from(encoded, 'base64').toString());
  const [crl, leaf] = [write('list.pem', await list()), write('leaf.pem', member.certificatePem)];
  const { stdout, stderr } = await runProcess(['openssl', 'verify', '-crl_check', '-CAfile', ca, '-CRLfile', crl, leaf]);
  return /lookup: (.*)/.exec(stderr)?.[1] ?? (stdout.includes(': OK') ? 'OK' : stderr);
}

async function checkAtBroker(): Promise<void> {
  const body = { id: LISTENER, type: 'ssl', ssl_options: { verify: 'verify_peer', enable_crl_check: true } };
  const { status } = await scene.system.standIn().request('PUT', `/listeners/${LISTENER}`, { body });
  if (status !== 200) throw new Error(`the broker answered ${status}`);
}
const attempt = (member: Member) => connectWith(scene.broker, member.device.key, member.certificatePem);
/** The broker may be starting. */
const untilAnswered = (member: Member) =>
  waitFor('the broker to answer', async () => {
    const answer = await attempt(member);
    return answer.refused || answer.how === 'connected' ? answer : undefined;
  });

describe('the CRL of a CA issuer', () => {
  it('is where its certificates say it is, and openssl agrees with all of them', async () => {
    const { stdout } = await runProcess([
      'openssl',
      'x509',
      '-noout',
      '-ext',
      'crlDistributionPoints',
      '-in',
      write('x.pem', good.certificatePem),
    ]);
    expect(stdout).toContain(url);
    expect((await parsed(await list())).serials).toEqual([]);
    expect([await verdict(good), await verdict(bad)]).toEqual(['OK', 'OK']);
  });

  it('names a revoked certificate within seconds, and openssl refuses that one alone', async () => {
    await checkAtBroker();
    expect(await attempt(bad)).toMatchObject({ how: 'connected' });
    await scene.system.kubectl('patch', 'device', 'bad', '-n', site, '--type=merge', '-p', '{"spec":{"lifecycle":"Revoked"}}');
    await waitFor('the list to name it', async () => ((await parsed(await list())).serials.length === 1 ? true : undefined), {
      timeoutMs: 10_000,
    });
    expect((await parsed(await list())).serials).toEqual([serialOf(bad)]);
    expect([await verdict(good), await verdict(bad)]).toEqual(['OK', 'certificate revoked']);
  });

  it('is the same after kill -9, under a higher number, without anything stored', async () => {
    const before = await parsed(await list());
    await server.kill();
    await expect(fetch(url)).rejects.toThrow();
    server = await start();
    const after = await parsed(await list());
    expect(after.serials).toEqual(before.serials);
    expect(after.number > before.number).toBe(true);
  });

  it('lets the broker end the TLS handshake of the revoked one, once it has the new list; the other is let in', async () => {
    // With the list of before in its cache the broker has nothing but the ban, which speaks in CONNACK.
    expect((await attempt(bad)).how).not.toContain('before CONNACK');
    await scene.system.standIn().restart();
    await checkAtBroker();
    expect(await untilAnswered(bad)).toMatchObject({ refused: true, how: expect.stringMatching(/before CONNACK|TLS alert/) });
    expect(await untilAnswered(good)).toEqual({ refused: false, how: 'connected' });
  });

  it('is what a fresh broker needs: without it nobody is let in', async () => {
    await server.stop();
    await scene.system.standIn().restart();
    await checkAtBroker();
    expect(await untilAnswered(good)).toMatchObject({ refused: true, how: expect.stringMatching(/before CONNACK|TLS alert/) });
    server = await start();
    expect(await untilAnswered(good)).toEqual({ refused: false, how: 'connected' });
  });
});

describe('an issuer whose key is out of reach', () => {
  it('is CRLUnavailable by an Event on it, by metric and over HTTP, and harms no other', async () => {
    const event = await waitFor('the event', async () => {
      const { items } = await scene.system.get<{ items: { reason: string; regarding?: object; involvedObject?: object; note?: string }[] }>(
        'events.events.k8s.io',
        ...['-n', site],
      );
      // The same issuer has no distribution point either, which is an Event of its own.
      return items.find(({ reason, note }) => reason === 'CRLUnavailable' && note?.includes('HR-CRL-003'));
    });
    expect(event).toMatchObject({ regarding: { kind: 'Issuer', name: 'closed' }, note: expect.stringContaining('HR-CRL-003') });
    const metrics = await (await fetch(`${server.metricsUrl}/metrics`)).text();
    expect(metrics).toContain(`fleet_crl_unavailable{issuer="Issuer/${site}/closed",reason="SecretForbidden"} 1`);
    expect(metrics).toContain(`fleet_crl_entries{issuer="Issuer/${site}/hedgerow-devices"} 1`);
    const answer = await fetch(url.replace('hedgerow-devices', 'closed'));
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('HR-CRL-003')]);
  });
});

describe('the account of the CRL server', () => {
  /** Everything that the API server says it may do there, without what everybody may. */
  async function mayDo(namespace: string): Promise<string[]> {
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
    const { stdout, stderr, code } = await scene.cluster.kubectl(
      ['--kubeconfig', kubeconfig, 'create', '--validate=false', '-f', '-', '-o', 'json'],
      JSON.stringify(review),
    );
    if (code !== 0) throw new Error(stderr);
    type Rule = { verbs: string[]; resources: string[]; resourceNames?: string[] };
    const { status } = JSON.parse(stdout) as { status: { resourceRules: Rule[]; incomplete: boolean } };
    expect(status.incomplete).toBe(false);
    return status.resourceRules
      .filter(({ resources }) => !resources.some((resource) => resource.startsWith('selfsubject')))
      .map(({ verbs, resources, resourceNames = [] }) => [verbs.join(), resources.join(), ...resourceNames].join(' '))
      .sort();
  }
  const EVERYWHERE = ['create,patch events', 'get,list,watch issuers,clusterissuers'];

  it('reads the ledger in its own namespace, one Secret of one name in a site, and may do nothing else', async () => {
    expect(await mayDo(OPERATOR_NAMESPACE)).toEqual([...EVERYWHERE, 'get,list,watch certificateledgers'].sort());
    expect(await mayDo(site)).toEqual([...EVERYWHERE, 'get secrets hedgerow-devices-ca'].sort());
    expect(await mayDo('default')).toEqual(EVERYWHERE);
  });
});

describe("the chart's CRL server", () => {
  const listed = { namespace: 'berlin', name: 'devices', secret: 'ca' };
  const podOf = (rendered: readonly Rendered[]): PodSpec => {
    const deployment = rendered.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name.endsWith('-crl'));
    if (deployment === undefined) throw new Error('the chart has no such Deployment');
    return (deployment.spec as { template: { spec: PodSpec } }).template.spec;
  };

  it('is off by default', async () => {
    expect((await render(scene.cluster)).filter(({ metadata }) => metadata.name.includes('-crl'))).toEqual([]);
  });

  it('passes flags that the process takes, and helm lint', async () => {
    const crl = { enabled: true, validity: '240h', issuers: [listed, { kind: 'ClusterIssuer', name: 'fleet', secret: 'fleet-ca' }] };
    const [container] = podOf(await render(scene.cluster, { crl })).containers;
    expect(container?.command).toEqual(['operator']);
    expect(container?.args[0]).toBe('crl');
    expect(parseCrl(container?.args.slice(1) ?? [])).toMatchObject({
      kind: 'options',
      options: { issuers: ['Issuer/berlin/devices', 'ClusterIssuer//fleet'], validityMs: 864_000_000, namespace: 'hedgerow-system' },
    });
    const values = JSON.stringify({ broker: { url: 'https://emqx:18083' }, crl });
    expect((await scene.cluster.helm(['lint', CHART, '--strict', '--values', '-'], values)).stdout).toContain('0 chart(s) failed');
  });

  it('reads the Secret of a ClusterIssuer where cert-manager has it, and each by its name', async () => {
    const issuers = [listed, { kind: 'ClusterIssuer', name: 'fleet', secret: 'fleet-ca' }];
    const rendered = await render(scene.cluster, { crl: { enabled: true, issuers } });
    const readers = rendered.filter(({ rules = [] }) => rules.some(({ resources }) => resources.includes('secrets')));
    expect(readers.map(({ kind, metadata, rules }) => ({ kind, namespace: metadata.namespace, rules }))).toEqual(
      [
        ['berlin', 'ca'],
        ['cert-manager', 'fleet-ca'],
      ].map(([namespace, secret]) => ({
        kind: 'Role',
        namespace,
        rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: [secret], verbs: ['get'] }],
      })),
    );
  });

  it('writes nowhere, is nobody, has no volume, and is admitted under restricted pod security', async () => {
    const { serviceAccountName: _, ...spec } = podOf(await render(scene.cluster, { crl: { enabled: true, issuers: [listed] } }));
    expect(spec.volumes).toBeUndefined();
    await scene.system.kubectl('label', 'namespace', site, 'pod-security.kubernetes.io/enforce=restricted');
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'crl', namespace: site }, spec };
    const admitted = await scene.cluster.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(pod));
    expect(admitted).toMatchObject({ code: 0, stderr: '' });
  });

  it.each([
    ['no issuer', { issuers: [] }, /crl\.issuers is required/],
    ['an Issuer without a namespace', { issuers: [{ name: 'devices', secret: 'ca' }] }, /an Issuer has a namespace/],
    ['a ClusterIssuer with one', { issuers: [{ ...listed, kind: 'ClusterIssuer' }] }, /a ClusterIssuer has no namespace/],
    ['an issuer without its Secret', { issuers: [{ namespace: 'berlin', name: 'devices' }] }, /secret/],
    ['a validity in days', { issuers: [listed], validity: '7d' }, /does not match pattern/],
  ])('is refused with %s', (_what, crl, message) =>
    expect(render(scene.cluster, { crl: { enabled: true, ...crl } })).rejects.toThrow(message),
  );
});
