// The chart as real helm renders it: rights, pod security, flags; against the real API server where that is the judge.
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseEst } from '../../operator/est/est.ts';
import { parseOptions } from '../../operator/options.ts';
import { PORTS } from '../../operator/probe/network-decide.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { CHART, type PodSpec, podOf, type Rendered, render } from './chart.ts';

let cluster: Cluster;
let objects: Rendered[];

beforeAll(async () => {
  cluster = await sharedCluster();
  objects = await render(cluster);
});

describe('the chart', () => {
  it('passes helm lint', async () => {
    const { stdout } = await cluster.helm(
      ['lint', CHART, '--strict', '--values', '-'],
      JSON.stringify({ broker: { url: 'https://emqx:18083' } }),
    );
    expect(stdout).toContain('0 chart(s) failed');
  });

  it('names every right: no wildcard, no Secret', () => {
    const rules = objects.flatMap(({ rules = [] }) => rules);
    expect(rules.length).toBeGreaterThan(5);
    for (const { apiGroups, resources, verbs } of rules) {
      expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
      expect(resources).not.toContain('secrets');
      expect(verbs).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(escalate|bind|impersonate)$/)]));
    }
  });

  it('lets the broker tell of denials where it is said so: flags, a Service, a way in for the broker only, and one replica', async () => {
    const events = { enabled: true, tlsSecret: 'events-tls' };
    const values = { broker: { url: 'https://emqx.emqx:18083', namespace: 'emqx', events }, networkPolicy: { enabled: true } };
    const rendered = await render(cluster, values);
    const parsed = parseOptions(podOf(rendered).containers[0]?.args ?? []);
    const service = rendered.find(({ kind, metadata }) => kind === 'Service' && metadata.name.endsWith('-events'));
    const host = `${service?.metadata.name}.hedgerow-system.svc`;
    expect(parsed).toMatchObject({
      options: { broker: { events: { url: `https://${host}:8444`, port: 8444, tlsDir: '/etc/hedgerow/events' } } },
    });
    const policies = rendered.filter(({ kind }) => kind === 'NetworkPolicy') as unknown as { spec: { ingress: object[] } }[];
    const intoOperator = policies.flatMap(({ spec }) => spec.ingress).filter((rule) => JSON.stringify(rule).includes('"events"'));
    expect(intoOperator).toEqual([
      {
        from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'emqx' } }, podSelector: {} }],
        ports: [{ protocol: 'TCP', port: 'events' }],
      },
    ]);
    await expect(render(cluster, { ...values, replicas: 2 })).rejects.toThrow('broker.events.enabled needs replicas: 1');
    expect(JSON.stringify(await render(cluster))).not.toContain('broker-events');
  });

  it('passes flags that the operator takes', () => {
    const values = {
      broker: { url: 'https://emqx.emqx:18083', port: 8884, ca: { configMap: 'broker-ca' } },
      identity: { defaultIssuer: { kind: 'ClusterIssuer', name: 'fleet' } },
    };
    return render(cluster, values).then((rendered) => {
      const container = podOf(rendered).containers[0];
      expect(container?.command).toEqual(['operator']);
      expect(parseOptions(container?.args ?? [])).toMatchObject({
        kind: 'options',
        options: {
          namespace: 'hedgerow-system',
          defaultIssuer: { kind: 'ClusterIssuer', name: 'fleet' },
          broker: {
            url: 'https://emqx.emqx:18083',
            port: 8884,
            apiKeyFile: '/etc/hedgerow/broker/api-key',
            caFile: '/etc/hedgerow/broker-ca/ca.crt',
          },
          leaderElect: true,
          leaseName: 'hedgerow-operator',
        },
      });
    });
  });

  it('makes an EST server that takes its flags, and tells the operator of its account; without it there is no trace of one', async () => {
    const est = { enabled: true, tlsSecret: 'est-tls', deviceCa: { configMap: 'device-ca' } };
    const rendered = await render(cluster, { est });
    const [operator, server] = ['hedgerow', 'hedgerow-est'].map((name) =>
      podOf(rendered.filter(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name)),
    );
    expect(parseOptions(operator?.containers[0]?.args ?? [])).toMatchObject({
      options: { estUser: 'system:serviceaccount:hedgerow-system:hedgerow-est' },
    });
    const [word, ...args] = server?.containers[0]?.args ?? [];
    expect(word).toBe('est');
    expect(parseEst(args)).toMatchObject({ kind: 'options', options: { namespace: 'hedgerow-system', port: 8443 } });
    expect(server?.serviceAccountName).toBe('hedgerow-est');
    expect(JSON.stringify(await render(cluster))).not.toMatch(/hedgerow-est|--est-account/);
    await expect(render(cluster, { est: { ...est, tlsSecret: '' } })).rejects.toThrow('est.tlsSecret is required');
    await expect(render(cluster, { est: { ...est, deviceCa: {} } })).rejects.toThrow('est.deviceCa.configMap');
  });

  it('mounts the server anchors and the signing key, and names a ConfigMap that it makes; without trust there is no trace of it', async () => {
    const trust = { enabled: true, anchors: 'server-anchors', signerSecret: 'trust-signer', switchShare: 0.9, certificate: 'emqx/broker' };
    const est = { enabled: true, tlsSecret: 'est-tls', deviceCa: { configMap: 'device-ca' } };
    const rendered = await render(cluster, { trust, est });
    const [operator, server] = ['hedgerow', 'hedgerow-est'].map((name) =>
      podOf(rendered.filter(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name)),
    );
    expect(parseOptions(operator?.containers[0]?.args ?? [])).toMatchObject({
      options: {
        trust: {
          ...{
            anchorsDir: '/etc/hedgerow/server-anchors',
            keyFile: '/etc/hedgerow/trust/tls.key',
            state: 'hedgerow-trust',
            switchShare: 0.9,
          },
          certificate: { namespace: 'emqx', name: 'broker' },
        },
      },
    });
    expect(parseEst(server?.containers[0]?.args.slice(1) ?? [])).toMatchObject({
      options: { anchorsDir: '/etc/hedgerow/server-anchors', messageFile: '/etc/hedgerow/trust/anchors.json' },
    });
    expect(rendered.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toContain('ConfigMap/hedgerow-trust');
    expect(JSON.stringify(server)).not.toContain('trust-signer');
    expect(JSON.stringify(await render(cluster, { est }))).not.toMatch(/hedgerow-trust|server-anchors/);
    await expect(render(cluster, { trust: { ...trust, anchors: '' } })).rejects.toThrow('trust.anchors is required');
    await expect(render(cluster, { trust: { ...trust, signerSecret: '' } })).rejects.toThrow('trust.signerSecret is required');
    await expect(render(cluster, { trust: { ...trust, switchShare: 1.5 } })).rejects.toThrow('switchShare');
  });

  it('knows the drivers of rollouts by their account and issuers; without rollouts there is no trace of them', async () => {
    const rollout = { enabled: true, mqttIssuer: 'ClusterIssuer/devices', directiveIssuer: 'Issuer/directives' };
    const rendered = await render(cluster, { rollout });
    expect(parseOptions(podOf(rendered).containers[0]?.args ?? [])).toMatchObject({
      options: {
        rollout: {
          account: 'hedgerow-rollout',
          mqttIssuer: { kind: 'ClusterIssuer', name: 'devices' },
          directiveIssuer: { kind: 'Issuer', name: 'directives' },
        },
      },
    });
    expect(rendered.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toContain('ServiceAccount/hedgerow-rollout');
    // The admission policies hold for that account whether it is there or not.
    const without = (await render(cluster)).filter(({ kind }) => !kind.startsWith('ValidatingAdmission'));
    expect(JSON.stringify(without)).not.toMatch(/rollout|directive/);
    for (const [value, text] of [
      ['mqttIssuer', ''],
      ['directiveIssuer', ''],
      ['directiveIssuer', 'Issuer/berlin/directives'],
      ['directiveIssuer', 'Secret/directives'],
    ] as const)
      await expect(render(cluster, { rollout: { ...rollout, [value]: text } })).rejects.toThrow(value);
  });

  it('tries the broker only where it is told how to reach it: flags, CA, a way through the NetworkPolicy, and no further right', async () => {
    const mqtt = { address: 'emqx-listeners.emqx:8883', ca: { configMap: 'mqtt-ca' }, issuer: 'Issuer/berlin/hedgerow-devices' };
    const broker = { url: 'https://emqx.emqx:18083', namespace: 'emqx' };
    const [rendered, without] = [await render(cluster, { broker: { ...broker, mqtt } }), await render(cluster, { broker })];
    expect(parseOptions(podOf(rendered).containers[0]?.args ?? [])).toMatchObject({
      options: {
        probe: {
          ...{ host: 'emqx-listeners.emqx', port: 8883, caFile: '/etc/hedgerow/broker-mqtt-ca/ca.crt' },
          issuer: { kind: 'Issuer', namespace: 'berlin', name: 'hedgerow-devices' },
        },
      },
    });
    expect(podOf(rendered).volumes).toContainEqual({
      name: 'broker-mqtt-ca',
      configMap: { name: 'mqtt-ca', items: [{ key: 'ca.crt', path: 'ca.crt' }] },
    });
    const portsOf = (objects: readonly Rendered[]): number[] => {
      const policy = objects.find(({ kind }) => kind === 'NetworkPolicy')?.spec as { egress?: { ports: { port: number }[] }[] } | undefined;
      return (policy?.egress ?? []).flatMap(({ ports }) => ports.map(({ port }) => port));
    };
    expect([portsOf(rendered).includes(8883), portsOf(without).includes(8883)]).toEqual([true, false]);
    expect(JSON.stringify(podOf(without))).not.toMatch(/broker-mqtt|probe-issuer/);
    const rightsOf = (objects: readonly Rendered[]): unknown => objects.flatMap(({ rules = [] }) => rules);
    expect(rightsOf(rendered)).toEqual(rightsOf(without));
    await expect(render(cluster, { broker: { ...broker, mqtt: { ...mqtt, issuer: '' } } })).rejects.toThrow(
      'broker.mqtt.issuer is required',
    );
    await expect(render(cluster, { broker: { ...broker, mqtt: { ...mqtt, address: 'mqtts://emqx:8883' } } })).rejects.toThrow('address');
  });

  it('makes a canary for each node only where the network is to be tried: reached on two of its ports by the operator alone, and on one of them not', async () => {
    const rendered = await render(cluster, { networkProbe: { enabled: true } });
    const operator = podOf(rendered);
    expect(parseOptions(operator.containers[0]?.args ?? [])).toMatchObject({
      options: { networkCanaries: 'hedgerow.dev/canary=hedgerow' },
    });
    const { template } = canaryOf(rendered);
    expect(template.metadata.labels).toMatchObject({ 'hedgerow.dev/canary': 'hedgerow', 'app.kubernetes.io/component': 'canary' });
    const policies = rendered
      .filter(({ kind }) => kind === 'NetworkPolicy')
      .map(({ metadata, spec }) => [metadata.name, spec as Fence] as const);
    const [[, ofOperator] = [], [, ofCanary] = []] = [
      policies.find(([name]) => name === 'hedgerow'),
      policies.find(([name]) => name === 'hedgerow-canary'),
    ];
    const labelsOf = (fence: Fence | undefined): Record<string, string> => fence?.podSelector.matchLabels ?? {};
    const allowed = (rules: Rule[] | undefined, peer: Record<string, string>): number[] =>
      (rules ?? [])
        .filter(({ to, from }) =>
          isDeepStrictEqual(
            [...(to ?? from ?? [])].map(({ podSelector }) => podSelector?.matchLabels),
            [peer],
          ),
        )
        .flatMap(({ ports }) => ports.map(({ port }) => port));
    const [out, into] = [allowed(ofOperator?.egress, labelsOf(ofCanary)), allowed(ofCanary?.ingress, labelsOf(ofOperator))];
    expect([out, into]).toEqual([
      [PORTS.open, PORTS.noIngress],
      [PORTS.open, PORTS.noEgress],
    ]);
    expect(ofCanary).toMatchObject({ policyTypes: ['Ingress', 'Egress'], egress: [] });
    const without = await render(cluster);
    expect(JSON.stringify(without)).not.toMatch(/canary/);
    const rightsOf = (made: readonly Rendered[]): unknown => made.flatMap(({ rules = [] }) => rules);
    expect(rightsOf(rendered)).toEqual(rightsOf(without));
    await expect(render(cluster, { networkProbe: { enabled: true }, networkPolicy: { enabled: false } })).rejects.toThrow(
      'needs networkPolicy.enabled',
    );
  });

  it.each([
    [
      { namespace: 'emqx', podLabels: { tier: 'core' } },
      { namespace: 'emqx', podLabels: { tier: 'core' } },
    ],
    [{ cidr: '10.0.0.1/32' }, { cidr: '10.0.0.1/32' }],
  ])('tells operator and NetworkPolicy alike where the broker is: %o', async (broker, peer) => {
    const rendered = await render(cluster, { broker: { url: 'https://emqx.emqx:18083', ...broker } });
    expect(parseOptions(podOf(rendered).containers[0]?.args ?? [])).toMatchObject({ options: { broker: { peers: [peer] } } });
    const policy = rendered.find(({ kind }) => kind === 'NetworkPolicy')?.spec as { egress: { to: object[]; ports: { port: number }[] }[] };
    const toBroker = policy.egress.find(({ ports }) => ports.some(({ port }) => port === 18083));
    expect(toBroker?.to).toEqual([
      'cidr' in peer
        ? { ipBlock: { cidr: peer.cidr } }
        : { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'emqx' } }, podSelector: { matchLabels: { tier: 'core' } } },
    ]);
  });

  it('asks for the right to approve for a default ClusterIssuer by itself', async () => {
    const rendered = await render(cluster, {
      identity: { signers: ['issuers.cert-manager.io/berlin.devices'], defaultIssuer: { kind: 'ClusterIssuer', name: 'fleet' } },
    });
    const signers = rendered.flatMap(({ rules = [] }) => rules).find(({ resources }) => resources.includes('signers'));
    expect(signers?.resourceNames).toEqual(['issuers.cert-manager.io/berlin.devices', 'clusterissuers.cert-manager.io/fleet']);
  });

  it('keeps its objects apart from those of another release', async () => {
    const other = await render(cluster, {}, 'second');
    const clusterWide = (list: Rendered[]): string[] =>
      list.filter(({ kind }) => /^ClusterRole/.test(kind)).map(({ metadata }) => metadata.name);
    expect(clusterWide(other).filter((name) => clusterWide(objects).includes(name))).toEqual([]);
  });

  it.each([
    ['a value that is not there', { brokr: {} }, /additional properties 'brokr' not allowed/],
    ['a password in the URL', { broker: { url: 'https://key:secret@emqx:18083' } }, /does not match pattern/],
    ['an issuer of an unknown kind', { identity: { defaultIssuer: { kind: 'Vault', name: 'x' } } }, /identity\/defaultIssuer\/kind/],
    [
      'a ClusterIssuer with a namespace',
      { identity: { defaultIssuer: { kind: 'ClusterIssuer', name: 'x', namespace: 'y' } } },
      /a ClusterIssuer has no namespace/,
    ],
    ['no broker', { broker: { url: '' } }, /broker\.url is required/],
    ['a signer of another kind', { identity: { signers: ['*'] } }, /does not match pattern/],
  ])('refuses %s', (_what, values, message) => expect(render(cluster, values)).rejects.toThrow(message));
});

type Rule = { to?: Peer[]; from?: Peer[]; ports: { port: number }[] };
type Peer = { podSelector?: { matchLabels?: Record<string, string> } };
type Fence = { podSelector: { matchLabels: Record<string, string> }; egress?: Rule[]; ingress?: Rule[] };

function canaryOf(rendered: readonly Rendered[]): {
  template: { metadata: { labels: object }; spec: PodSpec & { automountServiceAccountToken: boolean } };
} {
  const found = rendered.find(({ kind }) => kind === 'DaemonSet');
  if (found === undefined) throw new Error('no DaemonSet');
  return found.spec as ReturnType<typeof canaryOf>;
}

describe('the canary', () => {
  it('is admitted under restricted pod security, has no token and mounts nothing', async () => {
    const { spec } = canaryOf(await render(cluster, { networkProbe: { enabled: true } })).template;
    expect([spec.automountServiceAccountToken, spec.volumes, spec.serviceAccountName]).toEqual([false, undefined, undefined]);
    expect(spec.containers.map(({ command, args }) => [...command, ...args])).toEqual([['operator', 'canary']]);
    const namespace = await ownNamespace(cluster, 'canary');
    await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
    const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'canary', namespace }, spec });
    expect(await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], pod)).toMatchObject({ code: 0, stderr: '' });
    await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  });
});

describe("the operator's pod", () => {
  const pod = (namespace: string, spec: object): string =>
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'operator', namespace }, spec });

  it('is admitted under restricted pod security, and less would not be', async () => {
    const namespace = await ownNamespace(cluster, 'restricted');
    await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
    const { serviceAccountName: _, ...spec } = podOf(objects);
    const admitted = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], pod(namespace, spec));
    expect(admitted).toMatchObject({ code: 0, stderr: '' });
    const loose = {
      ...spec,
      containers: spec.containers.map((one) => ({ ...one, securityContext: { ...one.securityContext, allowPrivilegeEscalation: true } })),
    };
    const refused = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], pod(namespace, loose));
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('violates PodSecurity "restricted') });
    await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  });

  it('writes nowhere and is nobody', () => {
    const { containers, securityContext } = podOf(objects);
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } });
    expect(containers).toHaveLength(1);
    expect(containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('gets the key of the broker as a file, never as an argument or a variable', () => {
    const [container] = podOf(objects).containers;
    expect(container?.volumeMounts).toEqual(
      expect.arrayContaining([expect.objectContaining({ mountPath: '/etc/hedgerow/broker', readOnly: true })]),
    );
    expect(JSON.stringify(container)).not.toContain('secretKeyRef');
  });
});
