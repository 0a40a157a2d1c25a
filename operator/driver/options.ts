// The flags of `operator rollout`, as `--help` prints them and as its Job passes them. Pure.
import { parseArgs } from 'node:util';
import { hostPort } from '../flags.ts';

export type IssuerFlag = { kind: 'Issuer' | 'ClusterIssuer'; name: string };

export type RolloutOptions = {
  kubeconfig: string | undefined;
  /** The operator's; undefined: the pod's. */
  namespace: string | undefined;
  wave: { namespace: string; name: string };
  shard: number;
  host: string;
  port: number;
  caFile: string | undefined;
  mqttIssuer: IssuerFlag;
  directiveIssuer: IssuerFlag;
  artifactsUrl: string;
  /** SHA-256 of 1.root.json, hex. */
  roots: string[];
  metricsPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

export type ParsedRollout = { kind: 'options'; options: RolloutOptions } | { kind: 'help' } | { kind: 'wrong'; message: string };

export const ROLLOUT_HELP = `operator rollout: carries one FirmwareWave out at its site; the program of the Jobs that the operator makes

  --kubeconfig FILE           how to reach the API server (default: the pod's ServiceAccount)
  --namespace NS              the operator's namespace: catalogs, Leases and CertificateRequests are there (default: the pod's)
  --wave NS/NAME              the FirmwareWave; its namespace is the site
  --shard N                   which of its drivers this is (default: JOB_COMPLETION_INDEX, else 0)
  --broker-mqtt HOST:PORT     where devices reach the broker
  --broker-mqtt-ca-file FILE  the CA of that listener (default: the system's)
  --mqtt-issuer REF           ClusterIssuer/NAME, or Issuer/NAME in the operator's namespace: a CA that the broker trusts
  --directive-issuer REF      the same of the CA that issues directive keys, which devices have pinned
  --artifacts-url URL         https://HOST:PORT of the artifacts server
  --firmware-root HEX         SHA-256 of a 1.root.json; may be repeated
  --metrics-port PORT         /metrics, /healthz, /readyz; 0: any that is free (default: 8080)
  --log-level LEVEL           debug, info, warn, error (default: info)
  --help
Exit codes: 0 done, 65 signature or policy, 66 nothing fits, 75 to be tried again, 2 wrong flags, 78 no cluster.
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  ...{ kubeconfig: TEXT, namespace: TEXT, wave: TEXT, shard: TEXT, 'broker-mqtt': TEXT, 'broker-mqtt-ca-file': TEXT },
  ...{ 'mqtt-issuer': TEXT, 'directive-issuer': TEXT, 'artifacts-url': TEXT, 'metrics-port': TEXT, 'log-level': TEXT },
  'firmware-root': { type: 'string', multiple: true },
  help: { type: 'boolean' },
} as const;

export function parseRolloutOptions(argv: readonly string[], env: (name: string) => string | undefined): ParsedRollout {
  try {
    const { values } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: 'help' };
    const options: RolloutOptions = {
      ...{ kubeconfig: values.kubeconfig, namespace: values.namespace, caFile: values['broker-mqtt-ca-file'] },
      wave: waveOf(needed('wave', values.wave)),
      shard: whole('shard', values.shard ?? env('JOB_COMPLETION_INDEX') ?? '0', 11),
      ...hostPort('broker-mqtt', needed('broker-mqtt', values['broker-mqtt'])),
      mqttIssuer: issuer('mqtt-issuer', needed('mqtt-issuer', values['mqtt-issuer'])),
      directiveIssuer: issuer('directive-issuer', needed('directive-issuer', values['directive-issuer'])),
      artifactsUrl: url(needed('artifacts-url', values['artifacts-url'])),
      roots: (values['firmware-root'] ?? []).map(root),
      metricsPort: whole('metrics-port', values['metrics-port'] ?? '8080', 65_535),
      logLevel: level(values['log-level'] ?? 'info'),
    };
    if (options.roots.length === 0) throw new Error('--firmware-root is needed: without it no release can be trusted');
    return { kind: 'options', options };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

function needed(flag: string, text: string | undefined): string {
  if (text === undefined || text === '') throw new Error(`--${flag} is needed`);
  return text;
}

function waveOf(text: string): RolloutOptions['wave'] {
  const [, namespace, name] = /^([a-z0-9][a-z0-9-]*)\/([a-z0-9][a-z0-9.-]*)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined) throw new Error(`--wave ${text}: expected NAMESPACE/NAME`);
  return { namespace, name };
}

/** A request stands in the operator's namespace, so an Issuer has to be there: a namespace is for whoever reads the flag. */
function issuer(flag: string, text: string): IssuerFlag {
  const [, cluster] = /^ClusterIssuer\/([a-z0-9.-]+)$/.exec(text) ?? [];
  if (cluster !== undefined) return { kind: 'ClusterIssuer', name: cluster };
  const [, name] = /^Issuer\/(?:[a-z0-9-]+\/)?([a-z0-9.-]+)$/.exec(text) ?? [];
  if (name !== undefined) return { kind: 'Issuer', name };
  throw new Error(`--${flag} ${text}: expected ClusterIssuer/NAME or Issuer/NAME`);
}

function url(text: string): string {
  const plain = text.replace(/\/+$/, '');
  if (!/^https:\/\/[!-~]{1,200}$/.test(plain) || !URL.canParse(plain))
    throw new Error(`--artifacts-url ${text}: expected https://HOST:PORT`);
  return plain;
}

function root(text: string): string {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`--firmware-root ${text}: expected 64 hexadecimal digits in lower case`);
  return text;
}

function whole(flag: string, text: string, most: number): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > most) throw new Error(`--${flag} ${text}: expected a number up to ${most}`);
  return Number(text);
}

function level(text: string): RolloutOptions['logLevel'] {
  for (const known of ['debug', 'info', 'warn', 'error'] as const) if (known === text) return known;
  throw new Error(`--log-level ${text}: expected debug, info, warn or error`);
}
