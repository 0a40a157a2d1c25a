// The flags of the gateway, as `--help` prints them and as the chart passes them. Pure.
import { parseArgs } from 'node:util';
import { hostPort, logLevel, required, wholeNumber } from '../../operator/flags.ts';
import type { CoapPlace } from './coap/listen.ts';
import type { IdentityPaths } from './site/identity.ts';

export type Broker = IdentityPaths & { host: string; port: number };

export type GatewayOptions = {
  broker: Broker;
  configFile: string;
  /** Where the devices of the site come from: an API server, or a file. */
  devices: { kind: 'cluster'; kubeconfig: string | undefined } | { kind: 'file'; file: string };
  stateDir: string;
  /** Undefined: nothing leaves, and the spool keeps what would. */
  uplink: (Broker & { perSecond: number }) | undefined;
  spoolBytes: number;
  /** For devices that speak no MQTT. */
  coap: CoapPlace | undefined;
  maxDevices: number;
  maxValues: number;
  metricsHost: string;
  metricsPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

export type ParsedGateway = { kind: 'options'; options: GatewayOptions } | { kind: 'help' } | { kind: 'wrong'; message: string };

export const GATEWAY_HELP = `gateway: takes the telemetry of a site from the local broker, decides at the site, and sends only what may leave

  --broker HOST:PORT      the local broker, MQTT 5 over TLS (required)
  --broker-ca-file FILE   the CAs of its certificate, PEM (required)
  --broker-cert-file FILE certificate of this gateway at the local broker, PEM (required); read again when it changes, as are the others
  --broker-key-file FILE  its key (required)
  --config-file FILE      what the operator has compiled for this site: gateway.json of the ConfigMap hedgerow-gateway, mounted (required); read again when it changes
  --devices-file FILE     the devices of the site as JSON; needs no API server (default: the Devices of the namespace, watched)
  --kubeconfig FILE       how to reach the API server (default: the pod's ServiceAccount)
  --state-dir DIR         where the state is kept: on a volume that outlives the pod (required)
  --uplink HOST:PORT      the broker of the cloud, MQTT 5 over TLS (default: none; what would leave stays in the spool)
  --uplink-ca-file FILE   the CAs of its certificate, PEM (with --uplink)
  --uplink-cert-file FILE certificate of this gateway there, PEM (with --uplink); read again when it changes, as are the others
  --uplink-key-file FILE  its key (with --uplink)
  --uplink-rate N         messages a second at the most, also after an outage, 1 to 10000 (default: 500)
  --spool-bytes SIZE      the most that what waits for the cloud has on disk, for example 256Mi (default: 256Mi)
  --coap-port PORT        telemetry by CoAP over TLS (coaps+tcp, RFC 8323) too, 0 to 65535 (default: none)
  --coap-host ADDRESS     address to listen on (default: all)
  --coap-cert-file FILE   certificate of that server with its chain, PEM (with --coap-port); read again when it changes, as are the others
  --coap-key-file FILE    its key (with --coap-port)
  --coap-ca-file FILE     the CAs of the devices, PEM (with --coap-port)
  --coap-crl-file FILE    a revocation list, PEM or DER; may be repeated (default: none)
  --max-devices N         devices of which the gateway remembers what was there, 1 to 1000000 (default: 20000)
  --max-values N          numbers that are kept as last values of all devices, 0 to 10000000 (default: 200000)
  --metrics-port PORT     /metrics, /healthz, /readyz (default: 8080)
  --metrics-host ADDRESS  address to listen on (default: all)
  --log-level LEVEL       debug, info, warn, error (default: info)
  --help
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  ...{ broker: TEXT, 'broker-ca-file': TEXT, 'broker-cert-file': TEXT, 'broker-key-file': TEXT },
  ...{ 'config-file': TEXT, 'devices-file': TEXT, kubeconfig: TEXT, 'state-dir': TEXT, 'max-devices': TEXT, 'max-values': TEXT },
  ...{ uplink: TEXT, 'uplink-ca-file': TEXT, 'uplink-cert-file': TEXT, 'uplink-key-file': TEXT, 'uplink-rate': TEXT, 'spool-bytes': TEXT },
  ...{ 'metrics-host': TEXT, 'metrics-port': TEXT, 'log-level': TEXT },
  ...{ 'coap-port': TEXT, 'coap-host': TEXT, 'coap-cert-file': TEXT, 'coap-key-file': TEXT, 'coap-ca-file': TEXT },
  'coap-crl-file': { type: 'string', multiple: true },
  help: { type: 'boolean' },
} as const;

export function parseGatewayOptions(argv: readonly string[]): ParsedGateway {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: 'help' };
    const options: GatewayOptions = {
      broker: {
        ...hostPort('broker', required('broker', values.broker)),
        caFile: required('broker-ca-file', values['broker-ca-file']),
        certFile: required('broker-cert-file', values['broker-cert-file']),
        keyFile: required('broker-key-file', values['broker-key-file']),
      },
      configFile: required('config-file', values['config-file']),
      devices: devicesOf(values['devices-file'], values.kubeconfig),
      stateDir: required('state-dir', values['state-dir']),
      uplink: uplinkOf(values),
      spoolBytes: bytes('spool-bytes', values['spool-bytes'] ?? '256Mi'),
      coap: coapOf(values),
      maxDevices: wholeNumber('max-devices', values['max-devices'] ?? '20000', 1, 1_000_000),
      maxValues: wholeNumber('max-values', values['max-values'] ?? '200000', 0, 10_000_000),
      metricsHost: values['metrics-host'] ?? '',
      metricsPort: wholeNumber('metrics-port', values['metrics-port'] ?? '8080', 0, 65_535),
      logLevel: logLevel(values['log-level'] ?? 'info'),
    };
    return { kind: 'options', options };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

function devicesOf(file: string | undefined, kubeconfig: string | undefined): GatewayOptions['devices'] {
  if (file === undefined) return { kind: 'cluster', kubeconfig };
  if (kubeconfig !== undefined) throw new Error('--devices-file needs no API server: leave out --kubeconfig');
  return { kind: 'file', file };
}

type UplinkValues = { [name in 'uplink' | 'uplink-ca-file' | 'uplink-cert-file' | 'uplink-key-file' | 'uplink-rate']?: string };

function uplinkOf(values: UplinkValues): GatewayOptions['uplink'] {
  if (values.uplink === undefined) {
    if (Object.keys(values).some((name) => name.startsWith('uplink'))) throw new Error('the other flags of the uplink need --uplink');
    return undefined;
  }
  return {
    ...hostPort('uplink', values.uplink),
    caFile: required('uplink-ca-file', values['uplink-ca-file']),
    certFile: required('uplink-cert-file', values['uplink-cert-file']),
    keyFile: required('uplink-key-file', values['uplink-key-file']),
    perSecond: wholeNumber('uplink-rate', values['uplink-rate'] ?? '500', 1, 10_000),
  };
}

type CoapValues = { [name in 'coap-port' | 'coap-host' | 'coap-cert-file' | 'coap-key-file' | 'coap-ca-file']?: string } & {
  'coap-crl-file'?: string[];
};

function coapOf(values: CoapValues): CoapPlace | undefined {
  const port = values['coap-port'];
  if (port === undefined) {
    if (Object.keys(values).some((name) => name.startsWith('coap-'))) throw new Error('the other flags of CoAP need --coap-port');
    return undefined;
  }
  return {
    host: values['coap-host'] ?? '',
    port: wholeNumber('coap-port', port, 0, 65_535),
    certFile: required('coap-cert-file', values['coap-cert-file']),
    keyFile: required('coap-key-file', values['coap-key-file']),
    caFile: required('coap-ca-file', values['coap-ca-file']),
    crlFiles: values['coap-crl-file'] ?? [],
  };
}

const UNITS: Readonly<Record<string, number>> = { Mi: 2 ** 20, Gi: 2 ** 30 };
const LEAST_SPOOL = 4 * 2 ** 20;

function bytes(flag: string, text: string): number {
  const [, digits, unit = ''] = /^([1-9][0-9]{0,6})(Mi|Gi)$/.exec(text) ?? [];
  const size = Number(digits) * (UNITS[unit] ?? Number.NaN);
  if (!Number.isSafeInteger(size) || size < LEAST_SPOOL) throw new Error(`--${flag} ${text} is no size from 4Mi on, such as 256Mi`);
  return size;
}
