// The flags of `operator est`, as `--help` prints them and as the chart passes them. Pure.
import { parseArgs } from 'node:util';
import { logLevel, required, wholeNumber } from '../flags.ts';

export type EstOptions = {
  kubeconfig: string | undefined;
  namespace: string | undefined;
  defaultIssuer: { kind: 'Issuer' | 'ClusterIssuer'; name: string };
  host: string;
  port: number;
  certFile: string;
  keyFile: string;
  caFile: string;
  /** As the operator's --server-anchors. */
  anchorsDir: string | undefined;
  messageFile: string | undefined;
  moreCasFile: string | undefined;
  waitSeconds: number;
  addressBurst: number;
  metricsHost: string;
  metricsPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

export type ParsedEst = { kind: 'options'; options: EstOptions } | { kind: 'help' } | { kind: 'wrong'; message: string };

export const EST_HELP = `operator est: enrolment over HTTPS (RFC 7030), a process of its own

  --kubeconfig FILE       how to reach the API server (default: the pod's ServiceAccount)
  --namespace NS          the operator's namespace: the ledger lies there (default: the pod's)
  --default-issuer REF    as the operator's: Issuer/NAME or ClusterIssuer/NAME (default: Issuer/hedgerow-devices)
  --tls-cert-file FILE    certificate of this server with its chain, PEM (required); read again when it changes
  --tls-key-file FILE     its key (required)
  --device-ca-file FILE   the CAs of the devices, PEM: /cacerts gives them, and certificates of theirs may re-enrol (required); read again when it changes
  --server-anchors DIR    as the operator's: CAs of the broker, which /cacerts gives too (default: none); read again when they change
  --trust-message-file F  the signed message about them, for /.well-known/hedgerow/anchors (default: none); read again when it changes
  --more-device-cas-file FILE  the CAs that the operator has seen (its ConfigMap hedgerow-ca-bundle), used as well; need not be there
  --host ADDRESS          address to listen on (default: all)
  --port PORT             (default: 8443)
  --wait SECONDS          how long a client waits for its certificate before it gets 202 (default: 10)
  --address-burst N       requests of one address at once; N more a minute (default: 600)
  --metrics-port PORT     /metrics, /healthz, /readyz (default: 8080)
  --metrics-host ADDRESS  address to listen on (default: all)
  --log-level LEVEL       debug, info, warn, error (default: info)
  --help
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  kubeconfig: TEXT,
  namespace: TEXT,
  'default-issuer': TEXT,
  'tls-cert-file': TEXT,
  'tls-key-file': TEXT,
  'device-ca-file': TEXT,
  'server-anchors': TEXT,
  'trust-message-file': TEXT,
  'more-device-cas-file': TEXT,
  host: TEXT,
  port: TEXT,
  wait: TEXT,
  'address-burst': TEXT,
  'metrics-port': TEXT,
  'metrics-host': TEXT,
  'log-level': TEXT,
  help: { type: 'boolean' },
} as const;

export function parseEstOptions(argv: readonly string[]): ParsedEst {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: 'help' };
    const options: EstOptions = {
      kubeconfig: values.kubeconfig,
      namespace: values.namespace,
      defaultIssuer: issuer(values['default-issuer'] ?? 'Issuer/hedgerow-devices'),
      host: values.host ?? '',
      port: wholeNumber('port', values.port ?? '8443', 0, 65_535),
      certFile: required('tls-cert-file', values['tls-cert-file']),
      keyFile: required('tls-key-file', values['tls-key-file']),
      caFile: required('device-ca-file', values['device-ca-file']),
      anchorsDir: values['server-anchors'],
      messageFile: values['trust-message-file'],
      moreCasFile: values['more-device-cas-file'],
      waitSeconds: wholeNumber('wait', values.wait ?? '10', 0, 30),
      addressBurst: wholeNumber('address-burst', values['address-burst'] ?? '600', 1, 1_000_000),
      metricsHost: values['metrics-host'] ?? '',
      metricsPort: wholeNumber('metrics-port', values['metrics-port'] ?? '8080', 0, 65_535),
      logLevel: logLevel(values['log-level'] ?? 'info'),
    };
    return { kind: 'options', options };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

function issuer(text: string): EstOptions['defaultIssuer'] {
  const [, kind, name] = /^(Issuer|ClusterIssuer)\/([^/]+)$/.exec(text) ?? [];
  if ((kind !== 'Issuer' && kind !== 'ClusterIssuer') || name === undefined)
    throw new Error(`--default-issuer ${text} is neither Issuer/NAME nor ClusterIssuer/NAME`);
  return { kind, name };
}
