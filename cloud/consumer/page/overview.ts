// What the page shows, out of the store: a few questions, each with a bound.
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { type MessageOf, NO_GROUP } from '../../../operator/api/egress.ts';
import { inWords } from './words.ts';

export type Wish = { site: string; hours: number; nowMs: number };
type Json = Record<string, unknown>;

export type Overview = { nowMs: number } & Record<
  'sites' | 'trends' | 'alerts' | 'security' | 'losses' | 'erased' | 'refused' | 'notices',
  Json[]
>;

/** Series, and points of each, that a page can show and a person can look at. */
const MOST_SERIES = 24;
const MOST_POINTS = 300;
const MOST_ROWS = 100;
const MOST_SITES = 200;

export async function overview(connection: DuckDBConnection, { site, hours, nowMs }: Wish): Promise<Overview> {
  const sinceMs = nowMs - hours * 3_600_000;
  const values = { site, since: BigInt(sinceMs), bucket: BigInt(Math.ceil((nowMs - sinceMs) / MOST_POINTS)) };
  const ask = (sql: string): Promise<Json[]> => rows(connection, sql, values);
  return {
    nowMs,
    sites: (await ask(SITES)).map(({ health, ...one }) => ({ ...one, health: healthOf(health) })),
    trends: seriesOf(await ask(TRENDS)),
    alerts: (await ask(latest('alerts', 'segment, kind, device, metric, score, rule, count'))).map((one) => ({
      ...one,
      says: inWords(one),
    })),
    security: await ask(latest('security', 'segment, kind, device, count')),
    losses: await ask(latest('losses', 'class, reason, count')),
    erased: await ask(latest('erased', 'device')),
    refused: await ask(REFUSED),
    notices: await ask(`select at_ms, code, says from notice where at_ms >= $since order by at_ms desc limit ${MOST_ROWS}`),
  };
}

const CHOSEN = "($site = '' or site = $site) and to_ms >= $since";

const latest = (view: string, columns: string): string =>
  `select site, from_ms, to_ms, ${columns} from ${view} where ${CHOSEN} order by to_ms desc, key limit ${MOST_ROWS}`;

const SITES = `
  with heard as (select site, max(heard_ms) as heard_ms from message group by site),
    alert as (select site, count(*) as alerts from message where type = 'Alert' and to_ms >= $since group by site),
    loss as (select site, sum(count) as lost from losses where to_ms >= $since group by site),
    refusals as (select site, sum(count) as refused from refusal where last_ms >= $since group by site),
    condition as (select site, arg_max(body, to_ms) as health from message where type = 'Health' group by site)
  select site, heard_ms, coalesce(alerts, 0) as alerts, coalesce(lost, 0) as lost, coalesce(refused, 0) as refused, health
  from heard left join alert using (site) left join loss using (site) left join refusals using (site) left join condition using (site)
  order by site limit ${MOST_SITES}`;

/** The series that say most, in as many steps as the picture has room for. */
const TRENDS = `
  with recent as (select * from trends where ${CHOSEN}),
    series as (
      select site, segment, "group", metric, count(*) as many from recent group by all order by many desc, site, segment, "group", metric limit ${MOST_SERIES}
    )
  select site, segment, "group", metric, min(from_ms) as from_ms, max(to_ms) as to_ms, min(devices) as devices,
    sum(mean * count) / sum(count) as mean, min(min) as low, max(max) as high
  from recent join series using (site, segment, "group", metric)
  group by site, segment, "group", metric, (to_ms - $since) // $bucket order by site, segment, "group", metric, from_ms`;

const REFUSED = `select site, code, count, last_ms as to_ms from refusal where ($site = '' or site = $site) and last_ms >= $since
  order by last_ms desc limit ${MOST_ROWS}`;

/** Only the values that the question has are bound. Whole numbers come as numbers: none of them is larger than 2^53. */
async function rows(connection: DuckDBConnection, sql: string, values: Record<string, DuckDBValue>): Promise<Json[]> {
  const bound = Object.fromEntries(Object.entries(values).filter(([name]) => sql.includes(`$${name}`)));
  const reader = await connection.runAndReadAll(sql, bound);
  return reader.getRowObjectsJS().map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [camel(name), plain(value)])));
}

const plain = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
const camel = (name: string): string => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function seriesOf(points: readonly Json[]): Json[] {
  const series = new Map<string, Json & { points: Json[] }>();
  for (const { site, segment, group, metric, ...point } of points) {
    const name = JSON.stringify([site, segment, group, metric]);
    const known = series.get(name) ?? { site, segment, group: group === NO_GROUP ? '' : group, metric, points: [] };
    known.points.push(point);
    series.set(name, known);
  }
  return [...series.values()];
}

/** What stands on the card of a site, with its name for people. */
function healthOf(body: unknown): [name: string, value: number][] {
  if (typeof body !== 'string') return [];
  const health = JSON.parse(body) as MessageOf<'Health'>;
  return [
    ['devices', health.devices],
    ...(health.heard === undefined ? [] : ([['heard', health.heard]] as [string, number][])),
    ['% of the spool', Math.round((100 * health.spoolBytes) / Math.max(1, health.spoolMaxBytes))],
    ['small groups held back', health.suppressed],
    ...(health.certificateDays === undefined ? [] : ([['days of certificate', health.certificateDays]] as [string, number][])),
  ];
}
