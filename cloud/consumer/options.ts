// The flags of the cloud consumer, as `--help` prints them. Pure.
import { parseArgs } from 'node:util';
import { hostPort, logLevel, required, wholeNumber } from '../../operator/flags.ts';

export type ConsumerOptions = {
  broker: { host: string; port: number };
  certFile: string;
  keyFile: string;
  caFile: string | undefined;
  clientId: string | undefined;
  storeFile: string;
  keepDays: number;
  pageHost: string;
  pagePort: number;
  /** Besides addresses and localhost. */
  pageNames: string[];
  metricsHost: string;
  metricsPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
};

export type Parsed =
  | { kind: 'consume'; options: ConsumerOptions }
  | { kind: 'query'; storeFile: string; sql: string }
  | { kind: 'help' }
  | { kind: 'wrong'; message: string };

export const HELP = `consumer: takes what sites send to the cloud broker under agg/ and alert/, keeps it in a DuckDB file, and shows it

  consumer [flags]               takes and shows until it is told to stop
  consumer query --store F SQL   one SELECT, one JSON object a line; works while the consumer runs

  --broker HOST:PORT      MQTT 5 over TLS (required)
  --tls-cert-file FILE    its certificate with its chain, PEM (required); read again for each connection
  --tls-key-file FILE     its key (required)
  --broker-ca-file FILE   the CAs that the broker may have, PEM (default: the system's)
  --client-id NAME        one session has one name (default: the CN of the certificate)
  --store FILE            the DuckDB file (required); made where there is none
  --keep-days N           days that a message is kept after its time, 0 for ever (default: 400)
  --page-port PORT        the page and its data (default: 8090)
  --page-host ADDRESS     address to listen on (default: 127.0.0.1): the page asks nobody who they are, put a proxy that does in front of it
  --page-name NAME        a name by which the page is asked for, besides localhost and addresses; may be repeated (default: none)
  --metrics-port PORT     /metrics, /healthz, /readyz (default: 8080)
  --metrics-host ADDRESS  address to listen on (default: all)
  --log-level LEVEL       debug, info, warn, error (default: info)
  --help
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  broker: TEXT,
  'tls-cert-file': TEXT,
  'tls-key-file': TEXT,
  'broker-ca-file': TEXT,
  'client-id': TEXT,
  store: TEXT,
  'keep-days': TEXT,
  'page-port': TEXT,
  'page-host': TEXT,
  'page-name': { type: 'string', multiple: true },
  'metrics-port': TEXT,
  'metrics-host': TEXT,
  'log-level': TEXT,
  help: { type: 'boolean' },
} as const;

const MOST_DAYS = 36_500;

export function parseOptions(argv: readonly string[]): Parsed {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: FLAGS, strict: true, allowPositionals: true });
    if (values.help === true) return { kind: 'help' };
    const [command, sql, ...more] = positionals;
    if (command === 'query') {
      if (sql === undefined || more.length > 0) throw new Error('query takes one text in SQL, in quotes');
      return { kind: 'query', storeFile: required('store', values.store), sql };
    }
    if (command !== undefined) throw new Error(`${command} is no command: query is, or none`);
    const options: ConsumerOptions = {
      broker: hostPort('broker', required('broker', values.broker)),
      certFile: required('tls-cert-file', values['tls-cert-file']),
      keyFile: required('tls-key-file', values['tls-key-file']),
      caFile: values['broker-ca-file'],
      clientId: values['client-id'],
      storeFile: required('store', values.store),
      keepDays: wholeNumber('keep-days', values['keep-days'] ?? '400', 0, MOST_DAYS),
      pageHost: values['page-host'] ?? '127.0.0.1',
      pagePort: wholeNumber('page-port', values['page-port'] ?? '8090', 0, 65_535),
      pageNames: values['page-name'] ?? [],
      metricsHost: values['metrics-host'] ?? '',
      metricsPort: wholeNumber('metrics-port', values['metrics-port'] ?? '8080', 0, 65_535),
      logLevel: logLevel(values['log-level'] ?? 'info'),
    };
    return { kind: 'consume', options };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}
