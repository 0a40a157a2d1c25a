// What the consumer keeps: one DuckDB file. A batch is one transaction, and what it says is on disk when `write` resolves (docs/adr/0042-cloud-consumer.md).
import { type DuckDBAppender, type DuckDBConnection, DuckDBInstance, type DuckDBValue } from '@duckdb/node-api';
import { Refused } from './errors.ts';
import { SCHEMA, VERSION } from './schema.ts';

/** A message that was accepted. `device`: the pseudonym, or the name, of the device that it is about. */
export type Row = {
  site: string;
  key: string;
  rev: number;
  type: string;
  segment: string;
  device: string;
  fromMs: number;
  toMs: number;
  topic: string;
  body: string;
};

export type Batch = {
  rows: readonly Row[];
  /** Of the messages in `rows` that say so: a device of this site is erased, with all from before. */
  erased: readonly { site: string; device: string; beforeMs: number }[];
  refused: readonly { site: string; code: string; count: number }[];
  nowMs: number;
};

/** `stale`: about an erased device. All else that is not `taken` was there already, in this revision or a later one. */
export type Written = { taken: number; stale: number };

export type Notice = { code: string; says: string; atMs: number };

export type Store = {
  /** Rejects with `Refused` HR-CC-201; nothing of the batch is in the store then. */
  write(batch: Batch): Promise<Written>;
  /** Whether this consumer had a session at the broker. */
  hadSession(clientId: string): Promise<boolean>;
  rememberSession(clientId: string, nowMs: number): Promise<void>;
  note(notice: Notice): Promise<void>;
  /** Removes what ended before. */
  forget(beforeMs: number): Promise<void>;
  /** Another connection to the same file, for those who only read. */
  reader(): Promise<DuckDBConnection>;
  close(): void;
};

const MEMORY = '512MB';

/** Makes the file where there is none. Rejects with `Refused` HR-CC-201 or 202. */
export async function openStore(file: string): Promise<Store> {
  const instance = await openFile(file, {});
  const connection = await instance.connect();
  try {
    await prepare(connection, file);
  } catch (error) {
    connection.closeSync();
    instance.closeSync();
    throw error;
  }
  /** One transaction at a time: a connection has no more. */
  let last: Promise<unknown> = Promise.resolve();
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(() => inTransaction(connection, work));
    last = mine.catch(() => undefined);
    return mine;
  }
  const run = (sql: string, values: DuckDBValue[]): Promise<void> => alone(async () => void (await connection.run(sql, values)));
  return {
    write: (batch) => alone(() => writeBatch(connection, batch)),
    hadSession: (clientId) =>
      alone(async () => {
        const found = await connection.runAndReadAll('select 1 from session where client_id = $1', [clientId]);
        return found.currentRowCount > 0;
      }),
    rememberSession: (clientId, nowMs) => run('insert into session values ($1, $2) on conflict do nothing', [clientId, BigInt(nowMs)]),
    note: ({ code, says, atMs }) => run('insert into notice values ($1, $2, $3)', [BigInt(atMs), code, says]),
    forget: (beforeMs) => run('delete from message where to_ms < $1', [BigInt(beforeMs)]),
    reader: () => instance.connect(),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** Nothing that is asked of the store reaches another file, and no extension is loaded. */
export async function openFile(file: string, mode: { access_mode?: 'READ_ONLY' }): Promise<DuckDBInstance> {
  try {
    return await DuckDBInstance.create(file, {
      ...{ threads: '2', memory_limit: MEMORY, enable_external_access: 'false' },
      ...{ autoinstall_known_extensions: 'false', autoload_known_extensions: 'false', ...mode },
    });
  } catch (error) {
    throw new Refused('HR-CC-201', `${file} could not be opened: ${firstLine(error)}`);
  }
}

async function prepare(connection: DuckDBConnection, file: string): Promise<void> {
  const version = await versionOf(connection);
  if (version !== undefined && version !== VERSION)
    throw new Refused('HR-CC-202', `${file} holds something else than a store of version ${VERSION}`);
  if (version === undefined) await inTransaction(connection, async () => void (await connection.run(SCHEMA)));
  await connection.run('create temp table staged as from message limit 0');
  await connection.run('set lock_configuration = true');
}

/** Undefined of a file that has nothing in it; -1 of what is no store. */
async function versionOf(connection: DuckDBConnection): Promise<number | undefined> {
  const tables = await connection.runAndReadAll("select table_name from information_schema.tables where table_type = 'BASE TABLE'");
  if (tables.currentRowCount === 0) return undefined;
  const found = await connection.runAndReadAll('select version from store').catch(() => undefined);
  return Number(found?.getRows()[0]?.[0] ?? -1);
}

async function inTransaction<T>(connection: DuckDBConnection, work: () => Promise<T>): Promise<T> {
  try {
    await connection.run('begin');
    const result = await work();
    await connection.run('commit');
    return result;
  } catch (error) {
    await connection.run('rollback').catch(() => undefined);
    throw new Refused('HR-CC-201', `the store could not be written: ${firstLine(error)}`);
  }
}

async function writeBatch(connection: DuckDBConnection, { rows, erased, refused, nowMs }: Batch): Promise<Written> {
  await connection.run('delete from staged');
  const appender = await connection.createAppender('staged', 'main', 'temp');
  for (const row of latest(rows)) append(appender, row, nowMs);
  appender.closeSync();
  for (const { site, device, beforeMs } of erased) {
    const values = [site, device, BigInt(beforeMs)];
    await connection.run(
      'insert into erasure values ($1, $2, $3) on conflict do update set before_ms = greatest(erasure.before_ms, excluded.before_ms)',
      values,
    );
    await connection.run('delete from message where site = $1 and device = $2 and to_ms <= $3', values);
  }
  const stale = await connection.run(
    'delete from staged using erasure where staged.site = erasure.site and staged.device = erasure.device and staged.to_ms <= erasure.before_ms',
  );
  const taken = await connection.run(UPSERT);
  for (const { site, code, count } of [...refused, ...staleOf(stale.rowsChanged)])
    await connection.run(
      'insert into refusal values ($1, $2, $3, $4, $4) on conflict do update set count = refusal.count + excluded.count, last_ms = excluded.last_ms',
      [site, code, BigInt(count), BigInt(nowMs)],
    );
  return { taken: taken.rowsChanged, stale: stale.rowsChanged };
}

const staleOf = (count: number): { site: string; code: string; count: number }[] =>
  count === 0 ? [] : [{ site: '', code: 'HR-CC-105', count }];

/** One row a key: DuckDB does not change one row twice in a statement. */
function latest(rows: readonly Row[]): Iterable<Row> {
  const byKey = new Map<string, Row>();
  for (const row of rows) {
    const id = `${row.site}/${row.key}`;
    const known = byKey.get(id);
    if (known === undefined || row.rev > known.rev) byKey.set(id, row);
  }
  return byKey.values();
}

/** The columns in the order of the table. */
function append(appender: DuckDBAppender, row: Row, nowMs: number): void {
  appender.appendVarchar(row.site);
  appender.appendVarchar(row.key);
  appender.appendBigInt(BigInt(row.rev));
  appender.appendVarchar(row.type);
  appender.appendVarchar(row.segment);
  appender.appendVarchar(row.device);
  appender.appendBigInt(BigInt(row.fromMs));
  appender.appendBigInt(BigInt(row.toMs));
  appender.appendVarchar(row.topic);
  appender.appendVarchar(row.body);
  appender.appendBigInt(BigInt(nowMs));
  appender.endRow();
}

/** `heard_ms` stays the first. */
const UPSERT = `insert into message from staged on conflict (site, key) do update set
  rev = excluded.rev, type = excluded.type, segment = excluded.segment, device = excluded.device,
  from_ms = excluded.from_ms, to_ms = excluded.to_ms, topic = excluded.topic, body = excluded.body
  where excluded.rev > message.rev`;

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
