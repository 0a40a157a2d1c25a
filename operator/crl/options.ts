// The flags of `operator crl`, as `--help` prints them and as the chart passes them. Pure.
import { parseArgs } from 'node:util';
import { durationMs } from '../api/duration.ts';

export type CrlOptions = {
  kubeconfig: string | undefined;
  namespace: string | undefined;
  /** `<kind>/<namespace>/<name>` as the ledger spells it; the namespace of a ClusterIssuer is empty. */
  issuers: string[];
  clusterResourceNamespace: string;
  validityMs: number;
  host: string;
  port: number;
  metricsHost: string;
  metricsPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

export type ParsedCrl = { kind: 'options'; options: CrlOptions } | { kind: 'help' } | { kind: 'wrong'; message: string };

export const CRL_HELP = `operator crl: signs and serves the CRLs of the device issuers, a process of its own: the only reader of the CA keys

  --kubeconfig FILE       how to reach the API server (default: the pod's ServiceAccount)
  --namespace NS          the operator's namespace: the ledger lies there (default: the pod's)
  --issuer REF            Issuer/NAMESPACE/NAME or ClusterIssuer/NAME; may be repeated. Issuers that the ledger names are served as well
  --cluster-resource-namespace NS  cert-manager's flag of this name: where Secrets of ClusterIssuers lie (default: cert-manager)
  --validity DURATION     from issue to nextUpdate: how long brokers outlast an outage of this process (default: 168h, at least 2h)
  --host ADDRESS          address to listen on (default: all)
  --port PORT             the lists, plain HTTP as RFC 5280 has it (default: 8081)
  --metrics-port PORT     /metrics, /healthz, /readyz (default: 8080)
  --metrics-host ADDRESS  address to listen on (default: all)
  --log-level LEVEL       debug, info, warn, error (default: info)
  --help
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  kubeconfig: TEXT,
  namespace: TEXT,
  issuer: { type: 'string', multiple: true },
  'cluster-resource-namespace': TEXT,
  validity: TEXT,
  host: TEXT,
  port: TEXT,
  'metrics-port': TEXT,
  'metrics-host': TEXT,
  'log-level': TEXT,
  help: { type: 'boolean' },
} as const;

/** A broker asks once a minute, and a day of a person's absence must not be an outage; a year is what nobody would notice in time. */
const SHORTEST_MS = 2 * 3_600_000;
const LONGEST_MS = 366 * 86_400_000;

export function parseCrlOptions(argv: readonly string[]): ParsedCrl {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: 'help' };
    const options: CrlOptions = {
      kubeconfig: values.kubeconfig,
      namespace: values.namespace,
      issuers: (values.issuer ?? []).map(issuer),
      clusterResourceNamespace: values['cluster-resource-namespace'] ?? 'cert-manager',
      validityMs: validity(values.validity ?? '168h'),
      host: values.host ?? '',
      port: port('port', values.port ?? '8081'),
      metricsHost: values['metrics-host'] ?? '',
      metricsPort: port('metrics-port', values['metrics-port'] ?? '8080'),
      logLevel: level(values['log-level'] ?? 'info'),
    };
    return { kind: 'options', options };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

function issuer(text: string): string {
  const [, namespace, name] = /^Issuer\/([a-z0-9-]+)\/([a-z0-9.-]+)$/.exec(text) ?? [];
  if (namespace !== undefined && name !== undefined) return `Issuer/${namespace}/${name}`;
  const [, cluster] = /^ClusterIssuer\/([a-z0-9.-]+)$/.exec(text) ?? [];
  if (cluster !== undefined) return `ClusterIssuer//${cluster}`;
  throw new Error(`--issuer ${text}: expected Issuer/NAMESPACE/NAME or ClusterIssuer/NAME`);
}

function validity(text: string): number {
  const ms = durationMs(text);
  if (ms === undefined || ms < SHORTEST_MS || ms > LONGEST_MS) throw new Error(`--validity ${text}: expected a duration from 2h to 8784h`);
  return ms;
}

function port(flag: string, text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535) throw new Error(`--${flag} ${text}: expected a port`);
  return value;
}

function level(text: string): CrlOptions['logLevel'] {
  for (const known of ['debug', 'info', 'warn', 'error'] as const) if (known === text) return known;
  throw new Error(`--log-level ${text}: expected debug, info, warn or error`);
}
