// The operator's flags, as `--help` prints them and as the chart passes them. Pure: text in, options or a complaint out.
import { parseArgs } from 'node:util';
import { required } from './flags.ts';
import { networkCanaries, type ProbeFlags, probe } from './probe-options.ts';
import { RELEASE_FLAGS, RELEASE_HELP, type ReleaseFlags, releaseOptions } from './release-options.ts';
import { type RolloutFlags, rollout } from './rollout-options.ts';

export type IssuerRef = { kind: 'Issuer' | 'ClusterIssuer'; name: string };

/** Where the broker is, for NetworkPolicies. */
export type BrokerPeer = { namespace: string; podLabels?: Record<string, string> } | { cidr: string };

/** As `TrustOptions` of operator/trust. */
export type TrustFlags = {
  anchorsDir: string;
  keyFile: string;
  state: string;
  switchShare: number;
  certificate: { namespace: string; name: string } | undefined;
};

export type Options = {
  kubeconfig: string | undefined;
  namespace: string | undefined;
  defaultIssuer: IssuerRef;
  broker: {
    url: string;
    apiKeyFile: string;
    caFile: string | undefined;
    port: number;
    peers: BrokerPeer[];
    manageCas: boolean;
    /** Where EMQX is to send its events; undefined = it sends none. */
    events: { url: string; host: string; port: number; tlsDir: string } | undefined;
  };
  /** As RBAC spells them: a user name, `group:<name>`, `system:serviceaccount:<namespace>:<name>`. */
  acceptedApprovers: string[];
  /** The user name of the EST server; undefined = there is none. */
  estUser: string | undefined;
  /** The CRL server, and the CAs whose lists are believed; undefined = no CRL is configured. */
  crl: { url: string; caFile: string } | undefined;
  /** Undefined = nothing is tried. */
  probe: ProbeFlags | undefined;
  /** The label of the pods by which the network is tried, in the operator's own namespace; undefined = nothing is tried. */
  networkCanaries: string | undefined;
  /** By which CAs devices know the broker; undefined = devices are told nothing. */
  trust: TrustFlags | undefined;
  /** Undefined = there are no drivers. */
  rollout: RolloutFlags | undefined;
  /** Undefined = no FirmwareRelease is carried out. */
  releases: ReleaseFlags | undefined;
  metricsPort: number;
  metricsHost: string;
  leaderElect: boolean;
  leaseName: string;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

export type Parsed = { kind: 'options'; options: Options } | { kind: 'help' } | { kind: 'wrong'; message: string };

export const HELP = `operator: reconciles Devices, SegmentPolicies, FirmwareReleases and Interventions

  --kubeconfig FILE            how to reach the API server (default: the pod's ServiceAccount)
  --namespace NS               the operator's own namespace: ledger, Lease, broker report (default: the pod's)
  --default-issuer REF         issuer of devices that name none: Issuer/NAME (in the device's namespace)
                               or ClusterIssuer/NAME (default: Issuer/hedgerow-devices)
  --broker-url URL             EMQX's REST API, https://host:18083 (required)
  --broker-api-key-file FILE   a file holding key:secret (required)
  --broker-ca-file FILE        CA of the REST API's certificate (default: the system's)
  --broker-port PORT           the broker's MQTT port, for NetworkPolicies (default: 8883)
  --broker-peer PEER           where the broker is, for NetworkPolicies: cidr=RANGE or namespace=NS[,LABEL=VALUE…];
                               may be repeated; without it no NetworkPolicy opens a way to the broker
  --broker-cas HOW             manage: the broker's TLS listener is given the CAs of devices, when their issuers change theirs; leave: somebody
                               else does that (default: manage)
  --broker-mqtt HOST:PORT      where devices reach the broker: what it enforces is tried there by a client of the operator's own, after every change of the ACL
                               text and every five minutes (default: nothing is tried, and SegmentPolicies say Enforced=Unknown)
  --broker-mqtt-ca-file FILE   CA of the broker's MQTT certificate (default: that of --broker-ca-file)
  --probe-issuer REF           who signs that client: ClusterIssuer/NAME or Issuer/NAMESPACE/NAME, of a CA that the broker trusts for devices (default:
                               --default-issuer where that is a ClusterIssuer)
  --broker-events-url URL      https://host:port under which EMQX reaches this process: it is made to tell of denials and connects (default: it is not)
  --broker-events-tls DIR      tls.crt, tls.key and ca.crt of that server; read again all the time (required with --broker-events-url)
  --broker-events-port PORT    the port to listen on for them (default: 8444)
  --network-canaries LABEL=VALUE  pods of the operator's namespace that run 'operator canary', one a node: what the network enforces is tried by
                               connections to them every five minutes (default: nothing is tried)
  --accept-approver NAME       a user, group:NAME or ServiceAccount (NS/NAME) that may approve certificates of devices and drivers too; may be repeated
  --est-account NS/NAME        ServiceAccount of the EST server (operator est): its requests for devices are judged (default: none)
  --crl-url URL                the CRL server, http://host: revocations are followed to the lists, and Devices say CRLUnavailable
  --crl-ca-file FILE           CA certificates of the devices in PEM; with --crl-url: only lists that one of them signed are believed
  --server-anchors DIR         CAs by which devices know the broker: current.pem, next.pem, previous.pem, next-issuer, next-keys.pem; read again all the
                               time (default: devices are told nothing)
  --trust-key-file FILE        the P-256 key that signs what devices are told of them, PEM (required with --server-anchors)
  --trust-state NAME           the ConfigMap of the operator's namespace that holds the state of a rotation (default: hedgerow-trust)
  --switch-share NUMBER        of the devices with a valid certificate, so many must have confirmed the next CA (default: 0.95)
  --server-certificate NS/NAME the cert-manager Certificate of the broker, to be switched to the next issuer then (default: a person switches)
  --rollout-account NAME       ServiceAccount of the drivers of rollouts, in the operator's namespace: their requests for certificates are judged (default: none)
  --mqtt-issuer REF            who signs their MQTT clients: ClusterIssuer/NAME or Issuer/NAME in the operator's namespace, of a CA that the broker trusts for
                               devices (required with --rollout-account)
  --directive-issuer REF       who signs their directive keys, in the same form: of a CA for nothing else, pinned in devices (required with --rollout-account)
${RELEASE_HELP}  --metrics-port PORT          /metrics, /healthz, /readyz (default: 8080)
  --metrics-host ADDRESS       address to listen on (default: all)
  --leader-elect BOOL          one active replica by a Lease (default: true)
  --lease-name NAME            (default: hedgerow-operator)
  --log-level LEVEL            debug, info, warn, error (default: info)
  --help
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  kubeconfig: TEXT,
  namespace: TEXT,
  'default-issuer': TEXT,
  'broker-url': TEXT,
  'broker-api-key-file': TEXT,
  'broker-ca-file': TEXT,
  'broker-port': TEXT,
  'broker-peer': { type: 'string', multiple: true },
  'broker-cas': TEXT,
  'broker-mqtt': TEXT,
  'broker-mqtt-ca-file': TEXT,
  'probe-issuer': TEXT,
  'broker-events-url': TEXT,
  'broker-events-tls': TEXT,
  'broker-events-port': TEXT,
  'network-canaries': TEXT,
  'accept-approver': { type: 'string', multiple: true },
  'est-account': TEXT,
  'crl-url': TEXT,
  'crl-ca-file': TEXT,
  'server-anchors': TEXT,
  'trust-key-file': TEXT,
  'trust-state': TEXT,
  'switch-share': TEXT,
  'server-certificate': TEXT,
  'rollout-account': TEXT,
  'mqtt-issuer': TEXT,
  'directive-issuer': TEXT,
  ...RELEASE_FLAGS,
  'metrics-port': TEXT,
  'metrics-host': TEXT,
  'leader-elect': TEXT,
  'lease-name': TEXT,
  'log-level': TEXT,
  help: { type: 'boolean' },
} as const;

export function parseOptions(argv: readonly string[]): Parsed {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: 'help' };
    const logLevel = oneOf('log-level', values['log-level'] ?? 'info', ['debug', 'info', 'warn', 'error']);
    const tried = probe(values);
    const options: Options = {
      kubeconfig: values.kubeconfig,
      namespace: values.namespace,
      defaultIssuer: issuer(values['default-issuer'] ?? 'Issuer/hedgerow-devices'),
      broker: {
        url: url('broker-url', required('broker-url', values['broker-url'])),
        apiKeyFile: required('broker-api-key-file', values['broker-api-key-file']),
        caFile: values['broker-ca-file'],
        port: port('broker-port', values['broker-port'] ?? '8883'),
        peers: (values['broker-peer'] ?? []).map(brokerPeer),
        manageCas: oneOf('broker-cas', values['broker-cas'] ?? 'manage', ['manage', 'leave']) === 'manage',
        events: events(values),
      },
      acceptedApprovers: (values['accept-approver'] ?? []).map(approver),
      estUser: values['est-account'] === undefined ? undefined : account('est-account', values['est-account']),
      probe: tried,
      releases: releaseOptions(values, { broker: tried, drivers: rollout(values), logLevel }),
      networkCanaries: networkCanaries(values['network-canaries']),
      crl: crl(values['crl-url'], values['crl-ca-file']),
      trust: trust(values),
      rollout: rollout(values),
      metricsPort: port('metrics-port', values['metrics-port'] ?? '8080'),
      metricsHost: values['metrics-host'] ?? '',
      leaderElect: oneOf('leader-elect', values['leader-elect'] ?? 'true', ['true', 'false']) === 'true',
      leaseName: values['lease-name'] ?? 'hedgerow-operator',
      logLevel,
    };
    return { kind: 'options', options };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

/** The token goes over it: never in clear. */
function events(values: Record<string, unknown>): Options['broker']['events'] {
  const given = (flag: string): string | undefined => (typeof values[flag] === 'string' ? values[flag] : undefined);
  const at = given('broker-events-url');
  if (at === undefined) {
    const without = ['broker-events-tls', 'broker-events-port'].find((flag) => given(flag) !== undefined);
    if (without !== undefined) throw new Error(`--${without} means nothing without --broker-events-url`);
    return undefined;
  }
  if (!at.startsWith('https://')) throw new Error(`--broker-events-url ${at} is no https URL`);
  return {
    url: url('broker-events-url', at),
    host: given('metrics-host') ?? '',
    port: port('broker-events-port', given('broker-events-port') ?? '8444'),
    tlsDir: required('broker-events-tls', given('broker-events-tls')),
  };
}

/** Without its CAs a list could be anybody's. */
function crl(at: string | undefined, caFile: string | undefined): Options['crl'] {
  if (at === undefined && caFile === undefined) return undefined;
  if (at === undefined || caFile === undefined) throw new Error('--crl-url and --crl-ca-file go together');
  return { url: url('crl-url', at), caFile };
}

function trust(values: Record<string, unknown>): TrustFlags | undefined {
  const given = (flag: string): string | undefined => (typeof values[flag] === 'string' ? values[flag] : undefined);
  const anchorsDir = given('server-anchors');
  if (anchorsDir === undefined) {
    const without = ['trust-key-file', 'trust-state', 'switch-share', 'server-certificate'].find((flag) => given(flag) !== undefined);
    if (without !== undefined) throw new Error(`--${without} means nothing without --server-anchors`);
    return undefined;
  }
  const certificate = given('server-certificate');
  return {
    anchorsDir,
    keyFile: required('trust-key-file', given('trust-key-file')),
    state: given('trust-state') ?? 'hedgerow-trust',
    switchShare: share('switch-share', given('switch-share') ?? '0.95'),
    certificate: certificate === undefined ? undefined : namespaced('server-certificate', certificate),
  };
}

function share(flag: string, text: string): number {
  const value = Number(text);
  if (!/^[01]([.]\d+)?$/.test(text) || value <= 0 || value > 1) throw new Error(`--${flag} ${text} is not a number above 0 and up to 1`);
  return value;
}

function namespaced(flag: string, text: string): { namespace: string; name: string } {
  const [, namespace, name] = NAMESPACED.exec(text) ?? [];
  if (namespace === undefined || name === undefined) throw new Error(`--${flag} ${text} is not NAMESPACE/NAME`);
  return { namespace, name };
}

function url(flag: 'broker-url' | 'crl-url' | 'broker-events-url', text: string): string {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol)) throw new Error(`--${flag} ${text} is no http or https URL`);
  if (parsed.username !== '' || parsed.password !== '')
    throw new Error(
      `--${flag} must not hold credentials: command lines are visible${flag === 'broker-url' ? '; use --broker-api-key-file' : ''}`,
    );
  return text.replace(/\/+$/, '');
}

function issuer(text: string): IssuerRef {
  const [kind, name, ...rest] = text.split('/');
  // A CertificateRequest can name an Issuer of its own namespace only: an Issuer in a fixed namespace could serve nobody else.
  if ((kind !== 'Issuer' && kind !== 'ClusterIssuer') || name === undefined || name === '' || rest.length > 0)
    throw new Error(`--default-issuer ${text} is neither Issuer/NAME (in the namespace of each device) nor ClusterIssuer/NAME`);
  return { kind, name };
}

/** `NS/NAME` is a ServiceAccount: a slash cannot stand in the name of a namespace, and hardly in that of a user. */
function approver(text: string): string {
  return serviceAccount(text) ?? text;
}

function account(flag: string, text: string): string {
  const user = serviceAccount(text);
  if (user === undefined) throw new Error(`--${flag} ${text} is not NAMESPACE/NAME of a ServiceAccount`);
  return user;
}

function serviceAccount(text: string): string | undefined {
  const account = NAMESPACED.exec(text);
  return account === null ? undefined : `system:serviceaccount:${account[1]}:${account[2]}`;
}

const NAMESPACED = /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/;

function brokerPeer(text: string): BrokerPeer {
  const [[key, value = ''] = [], ...labels] = text.split(',').map((pair) => pair.split('='));
  const labelled = labels.every((pair) => pair.length === 2 && pair.every((word) => word !== ''));
  if (key === 'cidr' && /^[\da-fA-F.:]+\/\d{1,3}$/.test(value) && labels.length === 0) return { cidr: value };
  if (key === 'namespace' && value !== '' && labelled) {
    return { namespace: value, ...(labels.length === 0 ? {} : { podLabels: Object.fromEntries(labels) as Record<string, string> }) };
  }
  throw new Error(`--broker-peer ${text} is neither cidr=RANGE nor namespace=NAME[,LABEL=VALUE…]`);
}

function port(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) throw new Error(`--${flag} ${text} is no port`);
  return value;
}

function oneOf<T extends string>(flag: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text);
  if (found === undefined) throw new Error(`--${flag} ${text} is none of ${allowed.join(', ')}`);
  return found;
}
