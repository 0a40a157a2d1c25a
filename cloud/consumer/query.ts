// One SELECT of a person: on the file where no consumer runs, else through the consumer's socket beside the file, since DuckDB lets one process have it.
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type DuckDBConnection, StatementType } from '@duckdb/node-api';
import type { Clock } from '../../operator/runtime/clock.ts';
import { untilAborted } from '../../operator/runtime/until-aborted.ts';
import { Refused } from './errors.ts';
import { openFile, type Store } from './store.ts';

const LONGEST_MS = 60_000;
const MOST_ROWS = 100_000;
const MOST_SQL = 65_536;

/** JSON, an object a row. Rejects with `Refused` HR-CC-301 or 302. */
export async function select(connection: DuckDBConnection, sql: string, clock: Pick<Clock, 'setTimer'>): Promise<string[]> {
  let isLate = false;
  const timer = clock.setTimer(LONGEST_MS, () => {
    isLate = true;
    connection.interrupt();
  });
  try {
    const statements = await connection.extractStatements(sql);
    if (statements.count !== 1) throw new Error(`these are ${statements.count} statements`);
    const prepared = await statements.prepare(0);
    if (prepared.statementType !== StatementType.SELECT && prepared.statementType !== StatementType.EXPLAIN)
      throw new Error('only SELECT is answered');
    await connection.run('begin transaction read only');
    try {
      const reader = await prepared.streamAndReadUntil(MOST_ROWS + 1);
      const rows = reader.getRowObjectsJson();
      if (rows.length > MOST_ROWS) throw new Error(`the answer has more than ${MOST_ROWS} rows: ask for less, or add LIMIT`);
      return rows.map((row) => JSON.stringify(row));
    } finally {
      await connection.run('rollback');
    }
  } catch (error) {
    if (isLate) throw new Refused('HR-CC-302');
    throw new Refused('HR-CC-301', (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').slice(0, 500));
  } finally {
    timer.cancel();
  }
}

export const socketOf = (storeFile: string): string => `${storeFile}.sock`;

/** Answers those who may read the store's directory as its owner, until the signal aborts. */
export async function serveQueries(storeFile: string, store: Pick<Store, 'reader'>, clock: Clock, signal: AbortSignal): Promise<void> {
  const server = createServer((question, response) => {
    answer(question, response, store, clock).catch(() => response.destroy());
  });
  const socket = socketOf(storeFile);
  await rm(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  await chmod(socket, 0o600);
  await untilAborted(signal);
  server.closeAllConnections();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
}

async function answer(question: IncomingMessage, response: ServerResponse, store: Pick<Store, 'reader'>, clock: Clock): Promise<void> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of question as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MOST_SQL) return void response.writeHead(413).end();
    parts.push(part);
  }
  const connection = await store.reader();
  try {
    const rows = await select(connection, Buffer.concat(parts).toString('utf8'), clock);
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(rows.map((row) => `${row}\n`).join(''));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(error.problem));
  } finally {
    connection.closeSync();
  }
}

/** For `consumer query`: lines of JSON. Rejects with `Refused`. */
export async function query(storeFile: string, sql: string, clock: Clock): Promise<string> {
  const asked = await askConsumer(socketOf(storeFile), sql);
  if (asked !== undefined) return asked;
  const instance = await openFile(storeFile, { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    return (await select(connection, sql, clock)).map((row) => `${row}\n`).join('');
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Undefined when nobody listens there. */
function askConsumer(socketPath: string, sql: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, method: 'POST', path: '/' }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => void parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8');
        if (response.statusCode === 200) return resolve(text);
        if (response.statusCode === 413) return reject(new Refused('HR-CC-301', `the text is longer than ${MOST_SQL} bytes`));
        const { code, found } = JSON.parse(text) as Refused['problem'];
        reject(new Refused(code, found));
      });
    });
    asking.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(error);
    });
    asking.end(sql);
  });
}
