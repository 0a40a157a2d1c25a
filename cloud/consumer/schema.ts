// The tables of the store. What is in `message` is one message a key, in its last revision; the views show the fields of each type.

/** Rises with every change here that an older store does not have. */
export const VERSION = 1;

type Column = { name: string; of: string };
const WORDS = (...names: string[]): Column[] => names.map((name) => ({ name, of: `json_extract_string(body, '$.${name}')` }));
const NUMBERS = (...names: string[]): Column[] => names.map((name) => ({ name, of: `json_extract_string(body, '$.${name}')::double` }));
const JSON_OF = (name: string): Column => ({ name, of: `json_extract(body, '$.${name}')` });

/** In SQL the fields have the names of the contract (operator/api/egress.ts); `"from"` and `"to"` are timestamps in UTC. */
function view(type: string, name: string, columns: readonly Column[]): string {
  const own = columns.map((column) => `${column.of} as "${column.name}"`).join(', ');
  return `create view ${name} as select site, epoch_ms(from_ms) as "from", epoch_ms(to_ms) as "to", from_ms, to_ms, ${own}, rev, key from message where type = '${type}';`;
}

export const SCHEMA = `
create table store (version integer not null);
insert into store values (${VERSION});
create table message (
  site varchar not null, key varchar not null, rev bigint not null, type varchar not null, segment varchar not null, device varchar not null,
  from_ms bigint not null, to_ms bigint not null, topic varchar not null, body varchar not null, heard_ms bigint not null,
  primary key (site, key)
);
create table erasure (site varchar not null, device varchar not null, before_ms bigint not null, primary key (site, device));
create table refusal (
  site varchar not null, code varchar not null, count bigint not null, first_ms bigint not null, last_ms bigint not null, primary key (site, code)
);
create table session (client_id varchar primary key, since_ms bigint not null);
create table notice (at_ms bigint not null, code varchar not null, says varchar not null);
${[
  view('Trend', 'trends', [
    ...WORDS('segment', 'group', 'metric'),
    ...NUMBERS('devices', 'count', 'mean', 'deviation', 'min', 'max', 'p50', 'p95'),
  ]),
  view('Alert', 'alerts', [...WORDS('segment', 'kind', 'device', 'metric', 'rule'), ...NUMBERS('score', 'count'), JSON_OF('kinds')]),
  view('Security', 'security', [...WORDS('segment', 'kind', 'device', 'code'), ...NUMBERS('count')]),
  view('Health', 'health', [
    ...NUMBERS('devices', 'heard', 'messages', 'refused', 'suppressed', 'spoolBytes', 'spoolMaxBytes', 'certificateDays'),
  ]),
  view('DataLoss', 'losses', [...WORDS('class', 'reason'), ...NUMBERS('count')]),
  view('Erased', 'erased', [...WORDS('device'), ...NUMBERS('records')]),
].join('\n')}
`;
