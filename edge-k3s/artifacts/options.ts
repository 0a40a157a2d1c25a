// The flags of the artifacts server, as `--help` prints them and as the chart passes them. Pure.
import { parseArgs } from 'node:util';
import { logLevel, required, wholeNumber } from '../../operator/flags.ts';

export type ArtifactsOptions = {
  /** Where catalogs come from: an API server, or a directory. */
  source: { kind: 'cluster'; kubeconfig: string | undefined; namespace: string | undefined } | { kind: 'directory'; directory: string };
  cacheDir: string;
  cacheBytes: number;
  host: string;
  port: number;
  certFile: string;
  keyFile: string;
  caFile: string;
  crlFiles: string[];
  registryAuthFile: string | undefined;
  registryCaFile: string | undefined;
  downloads: number;
  transfers: number;
  metricsHost: string;
  metricsPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

export type ParsedArtifacts = { kind: 'options'; options: ArtifactsOptions } | { kind: 'help' } | { kind: 'wrong'; message: string };

export const ARTIFACTS_HELP = `artifacts: serves firmware by digest to devices with a certificate, from a disk cache in front of OCI registries

  --catalog-dir DIR       catalogs as files: DIR/NAME/release.json, envelope.json, 1.root.json …; needs no API server (default: ConfigMaps with hedgerow.dev/catalog=true)
  --kubeconfig FILE       how to reach the API server (default: the pod's ServiceAccount)
  --namespace NS          the operator's namespace: the catalogs lie there (default: the pod's)
  --cache-dir DIR         where files are kept (required); what is there is used again after a restart, each file hashed first
  --cache-bytes SIZE      bytes that they may take, for example 8Gi (default: 8Gi)
  --tls-cert-file FILE    certificate of this server with its chain, PEM (required); read again when it changes
  --tls-key-file FILE     its key (required)
  --device-ca-file FILE   the CAs of the devices, PEM (required); read again when it changes
  --crl-file FILE         a revocation list, PEM or DER; may be repeated; read again when it changes. Whom it names is refused (default: none)
  --registry-auth-file F  a docker config.json with credentials of registries (default: none); read again each time
  --registry-ca-file F    CAs that registries may have besides the public ones, PEM (default: none)
  --downloads N           files that are fetched at one time, 1 to 16 (default: 3)
  --transfers N           devices that are served at one time, 1 to 2000; the others are told to come back (default: 256)
  --host ADDRESS          address to listen on (default: all)
  --port PORT             (default: 8443)
  --metrics-port PORT     /metrics, /healthz, /readyz (default: 8080)
  --metrics-host ADDRESS  address to listen on (default: all)
  --log-level LEVEL       debug, info, warn, error (default: info)
  --help
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  'catalog-dir': TEXT,
  kubeconfig: TEXT,
  namespace: TEXT,
  'cache-dir': TEXT,
  'cache-bytes': TEXT,
  'tls-cert-file': TEXT,
  'tls-key-file': TEXT,
  'device-ca-file': TEXT,
  'crl-file': { type: 'string', multiple: true },
  'registry-auth-file': TEXT,
  'registry-ca-file': TEXT,
  downloads: TEXT,
  transfers: TEXT,
  host: TEXT,
  port: TEXT,
  'metrics-port': TEXT,
  'metrics-host': TEXT,
  'log-level': TEXT,
  help: { type: 'boolean' },
} as const;

const UNITS: Readonly<Record<string, number>> = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };

export function parseArtifactsOptions(argv: readonly string[]): ParsedArtifacts {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: 'help' };
    const options: ArtifactsOptions = {
      source: sourceOf(values),
      cacheDir: required('cache-dir', values['cache-dir']),
      cacheBytes: bytes(values['cache-bytes'] ?? '8Gi'),
      host: values.host ?? '',
      port: wholeNumber('port', values.port ?? '8443', 0, 65_535),
      certFile: required('tls-cert-file', values['tls-cert-file']),
      keyFile: required('tls-key-file', values['tls-key-file']),
      caFile: required('device-ca-file', values['device-ca-file']),
      crlFiles: values['crl-file'] ?? [],
      registryAuthFile: values['registry-auth-file'],
      registryCaFile: values['registry-ca-file'],
      downloads: wholeNumber('downloads', values.downloads ?? '3', 1, 16),
      transfers: wholeNumber('transfers', values.transfers ?? '256', 1, 2_000),
      metricsHost: values['metrics-host'] ?? '',
      metricsPort: wholeNumber('metrics-port', values['metrics-port'] ?? '8080', 0, 65_535),
      logLevel: logLevel(values['log-level'] ?? 'info'),
    };
    return { kind: 'options', options };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

function sourceOf(values: { 'catalog-dir'?: string; kubeconfig?: string; namespace?: string }): ArtifactsOptions['source'] {
  const { 'catalog-dir': directory, kubeconfig, namespace } = values;
  if (directory === undefined) return { kind: 'cluster', kubeconfig, namespace };
  if (kubeconfig !== undefined || namespace !== undefined)
    throw new Error('--catalog-dir needs no API server: leave out --kubeconfig and --namespace');
  return { kind: 'directory', directory };
}

function bytes(text: string): number {
  const [, digits, unit] = /^([1-9][0-9]{0,12})(Ki|Mi|Gi|Ti)?$/.exec(text) ?? [];
  const size = Number(digits) * (UNITS[unit ?? ''] ?? Number.NaN);
  if (!Number.isSafeInteger(size) || size < 2 ** 20) throw new Error(`--cache-bytes ${text} is no size from 1Mi on, such as 8Gi`);
  return size;
}
