/** Where one recording is played again: a stand-in of its own, and what is known about the recording's names and times. */

import { basic, createRestClient, type RestAnswer, type RestRequest } from '../rest-client.ts';
import type { Json } from '../config.ts';
import type { World } from '../testing/world.ts';
import { difference, mask } from './mask.ts';
import type { Entry, Exchange } from './recording.ts';

export type Stage = {
  world: World;
  /** When the recording was made and when it is played, in ms. */
  recordedAt: number;
  playedAt: number;
  /** Recorded text to the text of now, in paths and bodies of requests. */
  names: Map<string, string>;
  /** A REST call that must succeed: something that happened between the recorded exchanges. */
  call(method: string, path: string, body?: Json): Promise<RestAnswer>;
};

export function makeStage(world: World, entries: readonly Entry[]): Stage {
  return {
    world,
    recordedAt: earliest(entries),
    playedAt: Date.now(),
    names: new Map(),
    async call(method, path, body) {
      const answer = await world.standIn.request(method, path, body === undefined ? {} : { body });
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
      return answer;
    },
  };
}

/** The first time that occurs in the file: everything in it is told as minutes from there. */
function earliest(entries: readonly Entry[]): number {
  const times = [...JSON.stringify(entries).matchAll(/2026-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00/g)].map(([time]) => Date.parse(time));
  return times.length > 0 ? Math.min(...times) : 0;
}

const CHECKED_HEADERS = ['content-type', 'www-authenticate', 'allow', 'retry-after'];

/** Sends the recorded request and says how the answer differs from the recorded one. */
export async function playExchange(stage: Stage, { request, response }: Exchange): Promise<string | undefined> {
  const answer = await send(stage, request);
  if (answer.status !== response.status) return `status: recorded ${response.status}, answered ${answer.status} ${answer.text.slice(0, 300)}`;
  const recordedHeaders = response.headers ?? (response['content-type'] === undefined ? undefined : { 'content-type': response['content-type'] });
  if (recordedHeaders) {
    for (const name of CHECKED_HEADERS) {
      if (response.headers === undefined && name !== 'content-type') continue;
      if (recordedHeaders[name] !== answer.headers[name])
        return `header ${name}: recorded ${recordedHeaders[name]}, answered ${answer.headers[name]}`;
    }
  }
  // The text of a 500 is an Erlang stack trace.
  const body = answer.status === 500 ? codeOf(answer.body) : answer.body;
  const recorded = response.status === 500 ? codeOf(response.body ?? null) : (response.body ?? null);
  return difference(
    mask(recorded, { baseMs: stage.recordedAt, replace: RECORDED_NAMES }),
    mask(body, { baseMs: stage.playedAt, replace: playedNames(stage) }),
  );
}

function codeOf(body: Json): Json {
  return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body.code ?? null) : body;
}

const RECORDED_NAMES: [string, string][] = [
  ['127.0.0.1:18883', '<mqtt>'],
  ['127.0.0.1:8883', '<mqtt>'],
  ['127.0.0.1:1883', '<tcp>'],
  ['127.0.0.1:8083', '<ws>'],
  ['127.0.0.1:8084', '<wss>'],
  ['"emqxv@', '"emqx@'],
  ['<pki>/ca.crt', '<ca file>'],
  ['<pki>/server.crt', '<certificate file>'],
  ['<pki>/server.key', '<key file>'],
  ['cacert-3F1306DA865AC331', '<stored>'],
  ['<etc>/acl.conf', '<acl file>'],
];

/** The other way round: what this stand-in calls its things. */
function playedNames({ world }: Stage): [string, string][] {
  const etc = `${world.dir}/etc`;
  return [
    [`127.0.0.1:${world.standIn.mqttPort}`, '<mqtt>'],
    ...(['tcp', 'ws', 'wss'] as const).map((type): [string, string] => [`127.0.0.1:${world.standIn.ports[type]}`, `<${type}>`]),
    [`${etc}/ca.crt`, '<ca file>'],
    [`${etc}/tls.crt`, '<certificate file>'],
    [`${etc}/tls.key`, '<key file>'],
    [`${world.dir}/data`, '<data_dir>'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: EMQX's own variable
    ['${EMQX_ETC_DIR}/acl.conf', '<acl file>'],
  ];
}

async function send(stage: Stage, request: Exchange['request']): Promise<RestAnswer> {
  const path = renamed(stage, request.path).replace(/^\/api\/v5/, '');
  const rest: RestRequest = { headers: { ...request.headers } };
  const body = request.body === undefined ? undefined : shiftTimes(stage, request.body);
  if (typeof body === 'string') rest.text = body;
  else if (body !== undefined) rest.body = body;
  const authorization = authOf(stage, request.auth);
  const client = createRestClient({
    url: stage.world.standIn.restUrl,
    trust: stage.world.broker.caPem,
    ...(authorization === undefined ? {} : { authorization }),
  });
  try {
    return await client(request.method, path === request.path ? `/${path}` : path, rest);
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
  const shiftMs = stage.recordedAt === 0 ? 0 : stage.playedAt - stage.recordedAt;
  if (Array.isArray(value)) return value.map((item) => shiftTimes(stage, item));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shiftTimes(stage, inner)]));
  if (typeof value === 'number' && value > 1.6e12) return value + shiftMs;
  if (typeof value === 'number' && value > 1.6e9) return value + Math.round(shiftMs / 1000);
  if (typeof value !== 'string') return value;
  return renamed(stage, value).replace(/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)$/, (time, _at, fraction?: string, zone?: string) => {
    const shifted = new Date(Date.parse(time) + shiftMs).toISOString();
    return `${shifted.slice(0, 19)}${fraction ?? ''}${zone}`;
  });
}

function authOf({ world, names }: Stage, auth: string | undefined): string | undefined {
  const { apiKey } = world.standIn;
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
      return basic({ key: 'admin', secret: world.standIn.dashboardPassword });
    case 'Bearer <login token>':
      return `Bearer ${names.get('<login token>')}`;
    default:
      return auth;
  }
}
