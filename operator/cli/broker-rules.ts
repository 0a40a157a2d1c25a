// The rules of the broker that an answer is to come from: of an EMQX, or of a file with its text.
import { type RulesSight, rulesAtBroker } from '../broker/broker.ts';
import type { BrokerRead } from '../reach/reach.ts';
import { systemClock } from '../runtime/clock.ts';
import { CliError } from './errors.ts';
import { BROKER_FLAGS, BROKER_HELP, optionalBroker, TEXT, text } from './flags.ts';
import { type Values, WrongUse } from './parse.ts';
import { isRecord } from './record.ts';
import { textOfFile } from './text-file.ts';

export const RULES_FLAGS = { acl: TEXT, ...BROKER_FLAGS };

export const RULES_HELP = `  --acl FILE                   topics by the broker's own rules: the ACL text as EMQX returns it ("rules" of GET /api/v5/authorization/sources/file)
${BROKER_HELP}With --broker-url topics are answered by the rules that EMQX has in force, those of others, of single clients and bans included.
`;

const MOST_BYTES = 64 * 1024 * 1024;

/** Undefined where no flag asks for it. */
export async function brokerRules(values: Values): Promise<BrokerRead | undefined> {
  const address = await optionalBroker(values);
  const file = text(values, 'acl');
  if (file === undefined) return address === undefined ? undefined : readOf(await rulesAtBroker({ ...address, clock: systemClock }));
  if (address !== undefined) throw new WrongUse('--acl asks no broker: leave out --broker-url and its files');
  return { sources: { sources: [{ type: 'file', enable: true, rules: await textIn(file) }] }, settings: undefined };
}

async function textIn(file: string): Promise<string> {
  const written = await textOfFile(file);
  if (written.length > MOST_BYTES) throw new CliError('HR-CLI-067', `${file}: it has more than 64 MiB`);
  return written;
}

function readOf({ sources, settings, records, clients, bans }: RulesSight): BrokerRead {
  const all = isRecord(records.all) ? records.all.rules : undefined;
  return {
    ...{ sources, settings },
    records: { clients: rulesBy('clientid', records.clients), users: rulesBy('username', records.users), all },
    // A session whose client is away may come back with another certificate.
    live: { clients: new Map([...clients].filter(([, { connected }]) => connected)), bans },
  };
}

const rulesBy = (name: string, rows: readonly unknown[]): Map<string, unknown> =>
  new Map(rows.map((row) => (isRecord(row) ? [String(row[name]), row.rules] : ['', undefined])));
