/** One recorded request, sent again, and how its answer differs from the recorded one. */

import type { Json } from '../config.ts';
import { ETC_DIR } from '../config-defaults.ts';
import { basic, createRestClient, type RestAnswer, type RestRequest } from '../rest-client.ts';
import { difference, mask, type Names } from './mask.ts';
import type { Exchange, RecordedResponse } from './recording.ts';
import type { Stage } from './stage.ts';

const CHECKED_HEADERS = ['content-type', 'www-authenticate', 'allow', 'retry-after'];

export async function playExchange(stage: Stage, { request, response }: Exchange): Promise<string | undefined> {
  const answer = await send(stage, request);
  if (answer.status !== response.status)
    return `status: recorded ${response.status}, answered ${answer.status} ${answer.text.slice(0, 300)}`;
  // The text of a 500 is an Erlang stack trace.
  const essence = (body: Json) => (answer.status === 500 ? codeOf(body) : body);
  const recorded = essence(response.body ?? null);
  return (
    headerDifference(response, answer) ??
    difference(mask(stage.version === '5.8.9' ? recorded : known(recorded), RECORDED_NAMES), mask(essence(answer.body), playedNames(stage)))
  );
}

function headerDifference(response: RecordedResponse, answer: RestAnswer): string | undefined {
  const { 'content-type': contentType, headers } = response;
  const recorded: Record<string, string | undefined> = headers ?? { 'content-type': contentType };
  // Later recordings kept the content type alone.
  const checked = headers ? CHECKED_HEADERS : contentType === undefined ? [] : ['content-type'];
  const wrong = checked.find((name) => recorded[name] !== answer.headers[name]);
  return wrong === undefined ? undefined : `header ${wrong}: recorded ${recorded[wrong]}, answered ${answer.headers[wrong]}`;
}

// Fields that 5.10 added to answers of 5.8.
const ADDED_LATER = new Set([
  'parse_unit',
  'max_inactive',
  'fallback_actions',
  'action_details',
  'tags',
  'role',
  'session_tickets',
  'cluster',
]);

function known(body: Json): Json {
  if (Array.isArray(body)) return body.map(known);
  if (typeof body !== 'object' || body === null) return body;
  return Object.fromEntries(Object.entries(body).flatMap(([key, value]) => (ADDED_LATER.has(key) ? [] : [[key, known(value)]])));
}

function codeOf(body: Json): Json {
  return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body.code ?? null) : body;
}

export const RECORDED_NAMES: Names = [
  ['127.0.0.1:18883', '<mqtt>'],
  ['127.0.0.1:8883', '<mqtt>'],
  ['127.0.0.1:8885', '<mqtt>'],
  [':1885', '<tcp port>'],
  [':8085', '<ws port>'],
  [':8086', '<wss port>'],
  [':8883', '<mqtt port>'],
  [':1883', '<tcp port>'],
  [':8083', '<ws port>'],
  [':8084', '<wss port>'],
  ['<pki>/ca.crt', '<ca file>'],
  ['<pki>/server.crt', '<certificate file>'],
  ['<pki>/server.key', '<key file>'],
  ['<etc>/acl.conf', '<acl file>'],
];

/** The other way round: what this stand-in calls its things. */
export function playedNames({ names, world: { standIn, dir } }: Stage): Names {
  const { tcp, ws, wss } = standIn.ports;
  return [
    [`127.0.0.1:${standIn.mqttPort}`, '<mqtt>'],
    [`:${standIn.mqttPort}`, '<mqtt port>'],
    [`:${tcp}`, '<tcp port>'],
    [`:${ws}`, '<ws port>'],
    [`:${wss}`, '<wss port>'],
    [`${dir}/etc/ca.crt`, '<ca file>'],
    [`${dir}/etc/tls.crt`, '<certificate file>'],
    [`${dir}/etc/tls.key`, '<key file>'],
    [`${dir}/data`, '<data_dir>'],
    [`${ETC_DIR}/acl.conf`, '<acl file>'],
    ...[...names].filter(([recorded]) => recorded.startsWith('127.0.0.1:')).map(([recorded, now]) => [now, recorded] as const),
  ];
}

async function send(stage: Stage, request: Exchange['request']): Promise<RestAnswer> {
  const path = renamed(stage, request.path);
  const rest: RestRequest = { headers: { ...request.headers } };
  const body = request.body === undefined ? undefined : shiftTimes(stage, request.body);
  if (typeof body === 'string') rest.text = body;
  else if (body !== undefined) rest.body = body;
  const authorization = authOf(stage, request.auth);
  const { standIn, broker } = stage.world;
  const client = createRestClient({ url: standIn.restUrl, trust: broker.caPem, ...(authorization === undefined ? {} : { authorization }) });
  try {
    return await client(request.method, `/${path}`, rest);
  } finally {
    client.close();
  }
}

function renamed({ names }: Stage, text: string): string {
  let out = text;
  for (const [from, to] of names) out = out.replaceAll(from, to);
  return out;
}

/** A ban until an hour after the recording is asked for until an hour from now. */
function shiftTimes(stage: Stage, value: Json): Json {
  const shiftMs = Number.isFinite(stage.recordedAt) ? stage.playedAt - stage.recordedAt : 0;
  if (Array.isArray(value)) return value.map((item) => shiftTimes(stage, item));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shiftTimes(stage, inner)]));
  if (typeof value === 'number' && value > 1.6e12) return value + shiftMs;
  if (typeof value === 'number' && value > 1.6e9) return value + Math.round(shiftMs / 1000);
  if (typeof value !== 'string') return value;
  return renamed(stage, value).replace(
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)$/,
    (time, _at, fraction?: string, zone?: string) => {
      const shifted = new Date(Date.parse(time) + shiftMs).toISOString();
      return `${shifted.slice(0, 19)}${fraction ?? ''}${zone}`;
    },
  );
}

function authOf({ world, names }: Stage, auth: string | undefined): string | undefined {
  const { apiKey, dashboardPassword } = world.standIn;
  switch (auth) {
    case 'none':
      return undefined;
    case 'Basic <key:secret>':
    case undefined:
      return basic(apiKey);
    case 'Basic <unknown>':
      return basic({ key: 'nobody', secret: apiKey.secret });
    case 'Basic <key:wrong>':
      return basic({ key: apiKey.key, secret: 'wrong' });
    case 'Basic <dashboard user:password>':
      return basic({ key: 'admin', secret: dashboardPassword });
    case 'Bearer <login token>':
      return `Bearer ${names.get('<login token>')}`;
    default:
      return auth;
  }
}
