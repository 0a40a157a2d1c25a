import { describe, expect, it } from 'vitest';
import { HELP, parseOptions } from './options.ts';

const enough = ['--broker-url', 'https://emqx:18083/', '--broker-api-key-file', '/etc/key'];
const options = (...argv: string[]) => {
  const parsed = parseOptions([...enough, ...argv]);
  if (parsed.kind !== 'options') throw new Error(JSON.stringify(parsed));
  return parsed.options;
};

describe("the operator's flags", () => {
  it('have sensible defaults', () => {
    expect(options()).toMatchObject({
      defaultIssuer: { kind: 'Issuer', name: 'hedgerow-devices' },
      leaderElect: true,
      metricsPort: 8080,
      broker: { url: 'https://emqx:18083', port: 8883 },
    });
  });

  it('read an issuer in each of its forms', () => {
    expect(options('--default-issuer', 'ClusterIssuer/fleet').defaultIssuer).toEqual({ kind: 'ClusterIssuer', name: 'fleet' });
    expect(options('--default-issuer', 'Issuer/site-ca').defaultIssuer).toEqual({ kind: 'Issuer', name: 'site-ca' });
  });

  it('spell approvers as RBAC does', () => {
    const approvers = ['--accept-approver', 'ops/approver', '--accept-approver', 'alice@example.org', '--accept-approver', 'group:ops'];
    expect(options(...approvers).acceptedApprovers).toEqual(['system:serviceaccount:ops:approver', 'alice@example.org', 'group:ops']);
  });

  it('spell the account of the EST server as the API server does', () => {
    expect(options().estUser).toBeUndefined();
    expect(options('--est-account', 'ops/hedgerow-est').estUser).toBe('system:serviceaccount:ops:hedgerow-est');
  });

  it('know the drivers of rollouts by their account and both issuers', () => {
    expect(options().rollout).toBeUndefined();
    const account = ['--rollout-account', 'hedgerow-rollout'];
    const issuers = ['--mqtt-issuer', 'ClusterIssuer/devices', '--directive-issuer', 'Issuer/directives'];
    expect(options(...account, ...issuers).rollout).toEqual({
      account: 'hedgerow-rollout',
      mqttIssuer: { kind: 'ClusterIssuer', name: 'devices', namespace: undefined },
      directiveIssuer: { kind: 'Issuer', name: 'directives', namespace: undefined },
    });
    expect(options(...account, '--mqtt-issuer', 'Issuer/ops/d', '--directive-issuer', 'Issuer/f').rollout?.mqttIssuer.namespace).toBe(
      'ops',
    );
  });

  it.each([
    [
      ['--rollout-account', 'ops/hedgerow', '--mqtt-issuer', 'Issuer/d', '--directive-issuer', 'Issuer/f'],
      'not the name of a ServiceAccount',
    ],
    [['--rollout-account', 'hedgerow', '--mqtt-issuer', 'Issuer/d'], 'needs --directive-issuer'],
    [['--rollout-account', 'hedgerow', '--mqtt-issuer', 'Secret/d', '--directive-issuer', 'Issuer/f'], 'needs --mqtt-issuer'],
    [['--rollout-account', 'hedgerow', '--mqtt-issuer', 'ClusterIssuer/a/b', '--directive-issuer', 'Issuer/f'], 'needs --mqtt-issuer'],
    [['--rollout-account', 'hedgerow', '--mqtt-issuer', 'Issuer/d', '--directive-issuer', 'Issuer/d'], 'a CA for nothing else'],
    [['--directive-issuer', 'Issuer/f'], 'means nothing without --rollout-account'],
  ])('refuse drivers by %j', (argv, message) => {
    expect(parseOptions([...enough, ...argv])).toMatchObject({ kind: 'wrong', message: expect.stringContaining(message) });
  });

  it('follow revocations to the lists only where a CRL server is named, with its CAs', () => {
    expect(options().crl).toBeUndefined();
    expect(options('--crl-url', 'http://crl.hedgerow-system.svc/', '--crl-ca-file', '/etc/ca').crl).toEqual({
      url: 'http://crl.hedgerow-system.svc',
      caFile: '/etc/ca',
    });
  });

  it('try what the broker enforces only where somebody says how to reach it, with a signer whose namespace is known', () => {
    expect(options().probe).toBeUndefined();
    const at = ['--broker-mqtt', 'emqx.emqx:8883'];
    expect(options(...at, '--default-issuer', 'ClusterIssuer/fleet', '--broker-ca-file', '/etc/ca').probe).toEqual({
      ...{ host: 'emqx.emqx', port: 8883, caFile: '/etc/ca' },
      issuer: { kind: 'ClusterIssuer', name: 'fleet', namespace: undefined },
    });
    expect(options('--broker-mqtt', '[fd00::1]:1', '--probe-issuer', 'Issuer/berlin/ca', '--broker-mqtt-ca-file', '/b').probe).toEqual({
      ...{ host: 'fd00::1', port: 1, caFile: '/b' },
      issuer: { kind: 'Issuer', name: 'ca', namespace: 'berlin' },
    });
  });

  it('have the broker tell of denials and connects only where it is said how it reaches the operator, and never in clear', () => {
    expect(options().broker.events).toBeUndefined();
    const given = ['--broker-events-url', 'https://hedgerow-events.ops.svc:8444/', '--broker-events-tls', '/etc/tls'];
    expect(options(...given).broker.events).toEqual({
      url: 'https://hedgerow-events.ops.svc:8444',
      host: '',
      port: 8444,
      tlsDir: '/etc/tls',
    });
    for (const wrong of [
      given.slice(0, 2),
      given.slice(2),
      ['--broker-events-port', '1'],
      ['--broker-events-url', 'http://x', ...given.slice(2)],
    ])
      expect(parseOptions([...enough, ...wrong]).kind).toBe('wrong');
  });

  it('say where the broker is, for NetworkPolicies', () => {
    expect(options().broker.peers).toEqual([]);
    expect(options('--broker-peer', 'cidr=10.0.0.1/32', '--broker-peer', 'namespace=emqx').broker.peers).toEqual([
      { cidr: '10.0.0.1/32' },
      { namespace: 'emqx' },
    ]);
    expect(options('--broker-peer=namespace=emqx,app.kubernetes.io/name=emqx,tier=core').broker.peers).toEqual([
      { namespace: 'emqx', podLabels: { 'app.kubernetes.io/name': 'emqx', tier: 'core' } },
    ]);
  });

  it.each([
    ['a probe without a signer that is known', ['--broker-mqtt', 'emqx:8883'], '--probe-issuer'],
    ['a probe whose Issuer has no namespace', ['--broker-mqtt', 'emqx:8883', '--probe-issuer', 'Issuer/ca'], '--probe-issuer'],
    ['a broker without a port', ['--broker-mqtt', 'emqx', '--probe-issuer', 'ClusterIssuer/ca'], 'HOST:PORT'],
    ['port 0', ['--broker-mqtt', 'emqx:0', '--probe-issuer', 'ClusterIssuer/ca'], 'HOST:PORT'],
    ['a URL of the broker', ['--broker-mqtt', 'mqtts://emqx:8883', '--probe-issuer', 'ClusterIssuer/ca'], 'HOST:PORT'],
    ['canaries without a label', ['--network-canaries', 'canary'], 'LABEL=VALUE'],
    ['a selector of more than one label', ['--network-canaries', 'a=b,c=d'], 'LABEL=VALUE'],
    ['a signer and nothing to sign for', ['--probe-issuer', 'ClusterIssuer/ca'], '--broker-mqtt'],
    [
      'a URL with credentials, which every process list would show',
      ['--broker-url', 'https://key:secret@emqx:18083'],
      '--broker-api-key-file',
    ],
    ['a URL that is none', ['--broker-url', 'emqx'], 'no http or https URL'],
    ['an issuer of an unknown kind', ['--default-issuer', 'Vault/x'], 'neither Issuer/NAME'],
    ['an issuer in a namespace of its own', ['--default-issuer', 'Issuer/berlin/site-ca'], 'neither Issuer/NAME'],
    ['a CRL server without its CAs', ['--crl-url', 'http://crl'], 'go together'],
    ['CAs without a CRL server', ['--crl-ca-file', '/etc/ca'], 'go together'],
    ['a CRL server that is no URL', ['--crl-url', 'crl', '--crl-ca-file', '/etc/ca'], '--crl-url crl is no http'],
    ['a port out of range', ['--metrics-port', '70000'], 'is no port'],
    ['a peer that is an address without a length', ['--broker-peer', 'cidr=10.0.0.1'], 'neither cidr='],
    ['a peer with a label that has no value', ['--broker-peer', 'namespace=emqx,app'], 'neither cidr='],
    ['a peer without a name', ['--broker-peer', 'namespace='], 'neither cidr='],
    ['an EST account without a namespace', ['--est-account', 'hedgerow-est'], 'is not NAMESPACE/NAME'],
    ['an unknown flag', ['--wat'], '--wat'],
  ])('refuse %s', (_name, argv, message) => {
    const parsed = parseOptions([...enough, ...argv]);
    expect(parsed.kind === 'wrong' && parsed.message).toContain(message);
  });

  it('about the CAs of the broker go together', () => {
    const given = ['--server-anchors', '/a', '--trust-key-file', '/k', '--server-certificate', 'emqx/broker'];
    const parsed = parseOptions([...enough, ...given]);
    expect(parsed.kind === 'options' && parsed.options.trust).toEqual({
      ...{ anchorsDir: '/a', keyFile: '/k', state: 'hedgerow-trust', switchShare: 0.95 },
      certificate: { namespace: 'emqx', name: 'broker' },
    });
    expect(parseOptions(enough)).toMatchObject({ kind: 'options', options: { trust: undefined } });
  });
  it.each([
    ['a key without anchors', ['--trust-key-file', '/k'], '--server-anchors'],
    ['anchors without a key', ['--server-anchors', '/a'], '--trust-key-file is required'],
    ['a share of nobody', ['--server-anchors', '/a', '--trust-key-file', '/k', '--switch-share', '0'], 'above 0'],
    ['a share in percent', ['--server-anchors', '/a', '--trust-key-file', '/k', '--switch-share', '95'], 'up to 1'],
    [
      'a Certificate without a namespace',
      ['--server-anchors', '/a', '--trust-key-file', '/k', '--server-certificate', 'b'],
      'NAMESPACE/NAME',
    ],
  ])('about the CAs of the broker refuse %s', (_name, argv, message) => {
    const parsed = parseOptions([...enough, ...argv]);
    expect(parsed.kind === 'wrong' && parsed.message).toContain(message);
  });

  it('never repeat a credential in the complaint', () => {
    const parsed = parseOptions([...enough, '--broker-url', 'https://key:hunter2@emqx']);
    expect(JSON.stringify(parsed)).not.toContain('hunter2');
  });

  it('are all in the help text', () => {
    for (const flag of [
      'kubeconfig',
      'namespace',
      'default-issuer',
      'broker-url',
      'broker-api-key-file',
      'broker-mqtt',
      'broker-mqtt-ca-file',
      'probe-issuer',
      'network-canaries',
      'accept-approver',
      'est-account',
      'server-anchors',
      'trust-key-file',
      'trust-state',
      'switch-share',
      'server-certificate',
      'leader-elect',
    ])
      expect(HELP).toContain(`--${flag}`);
  });
});
