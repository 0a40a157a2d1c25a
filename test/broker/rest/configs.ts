/** `/configs`: roots as HOCON text, and the zone as JSON. A PUT resets every key of a root that it does not name (recorded). */

import type { Config, GlobalZone, Json, JsonObject, Listener, Source } from '../config.ts';
import { ETC_DIR, SHIPPED_ACL, schemaDefaults } from '../config-defaults.ts';
import { HoconError, merge, parseHocon, printHocon } from '../hocon.ts';
import { compileExpression, VariformError } from '../variform.ts';
import { isObject } from './authz-settings.ts';
import { type Context, type Handler, internalError, invalid, ok, type Response, type Route } from './http.ts';
import { OTHER_ROOTS } from './other-roots.ts';

const CONFIGS = '/api/v5/configs';
const ZONE_ROOTS = ['durable_sessions', 'flapping_detect', 'force_gc', 'force_shutdown', 'mqtt'] as const;
const READ_ONLY = ['node', 'rpc'];

/** The root as it stands now. */
function rootOf(config: Config, root: string): JsonObject | undefined {
  if (isZoneRoot(root)) return config.global_zone[root];
  if (root === 'authorization') return { ...config.authorization, sources: config.sources.map(printedSource) };
  if (root === 'listeners') return nested(config.listeners);
  if (root === 'delayed' || root === 'retainer' || root === 'crl_cache' || root === 'api_key') return config[root];
  return undefined;
}

function isZoneRoot(root: string): root is (typeof ZONE_ROOTS)[number] {
  return (ZONE_ROOTS as readonly string[]).includes(root);
}

function printedSource(source: Source): JsonObject {
  return source.type === 'file' ? { enable: source.enable, path: `${ETC_DIR}/acl.conf`, type: 'file' } : { ...source };
}

function nested(listeners: Record<string, Listener>): JsonObject {
  let roots: JsonObject = {};
  for (const [id, listener] of Object.entries(listeners)) {
    const [type = '', name = ''] = id.split(':');
    const { type: _type, ...rest } = listener;
    roots = merge(roots, { [type]: { [name]: rest as JsonObject } }) as JsonObject;
  }
  return roots;
}

/** Asked for JSON, EMQX answers with a handful of other roots, whatever the key. */
const get: Handler = ({ query, headers }, { broker }) => {
  const accept = headers.accept ?? '*/*';
  if (accept.includes('application/json')) return ok(OTHER_ROOTS);
  const key = query.get('key');
  const keys = key === null ? [...ZONE_ROOTS, 'authorization', 'listeners', 'delayed', 'retainer', 'crl_cache', 'api_key'] : [key];
  const texts: string[] = [];
  for (const name of keys) {
    const root = rootOf(broker.config, name);
    if (!root) return invalid({ value: name, reason: 'not_a_enum_symbol', path: 'key' });
    texts.push(printHocon(name, root));
  }
  return { status: 200, type: 'text/plain', text: texts.join('') };
};

const put: Handler = async (request, context) => {
  if (!(request.headers['content-type'] ?? '').includes('text/plain') || request.text === '')
    return internalError('error, function_clause, [{emqx_conf_cli,load_config', request);
  let roots: JsonObject;
  try {
    roots = parseHocon(request.text);
  } catch (error) {
    if (error instanceof HoconError) return refused({ line: error.line, reason: error.message, type: 'parse_error' });
    throw error;
  }
  const defaults = schemaDefaults(context.broker.config, context.boot);
  const readOnly = Object.keys(roots).find((root) => READ_ONLY.includes(root));
  if (readOnly !== undefined && request.query.get('ignore_readonly') !== 'true')
    return refused(`Cannot update read-only key '${readOnly}'.`);
  for (const root of READ_ONLY) delete roots[root];
  for (const [root, given] of Object.entries(roots)) {
    const known = Object.hasOwn(defaults, root) ? defaults[root] : undefined;
    if (!known) return refused({ [root]: `{root_key_not_found,<<"${root}">>}` });
    const wrong = checkRoot(root, given, known);
    if (wrong === 'unknown_fields') return internalError(`throw, {emqx_conf_schema,[#{kind => validation_error,path => "${root}"`, request);
    if (wrong) return refused({ [root]: wrong });
  }
  for (const [root, given] of Object.entries(roots)) await apply(root, given as JsonObject, defaults[root] ?? {}, context);
  context.saveConfig();
  return { status: 200 };
};

function refused(errors: Json): Response {
  return { status: 400, type: 'text/plain', text: JSON.stringify({ errors }) };
}

function checkRoot(root: string, given: Json, known: JsonObject): JsonObject | 'unknown_fields' | undefined {
  if (!isObject(given)) return { kind: 'validation_error', path: root, reason: 'bad_value_for_struct' };
  const allowed = root === 'authorization' ? { ...known, sources: [] } : known;
  if (root !== 'listeners' && Object.keys(given).some((key) => !Object.hasOwn(allowed, key))) return 'unknown_fields';
  if (root === 'authorization') return checkSources(given.sources);
  return root === 'mqtt' ? checkMqtt(given) : undefined;
}

/** In HOCON the file source has a path and no `rules`. */
function checkSources(sources: Json | undefined): 'unknown_fields' | undefined {
  const items = Array.isArray(sources) ? sources : [];
  return items.some((item) => isObject(item) && item.type === 'file' && 'rules' in item) ? 'unknown_fields' : undefined;
}

function checkMqtt(given: JsonObject): JsonObject | undefined {
  const inflight = given.max_inflight;
  if (inflight !== undefined && !(typeof inflight === 'number' && inflight >= 1 && inflight <= 65535))
    return { kind: 'validation_error', path: 'mqtt.max_inflight', reason: { expected: '1..65535' }, value: inflight };
  const attrs = Array.isArray(given.client_attrs_init) ? given.client_attrs_init : [];
  for (const [at, item] of attrs.entries()) {
    const wrong = isObject(item) ? checkExpression(item.expression, `mqtt.client_attrs_init.${at + 1}.expression`) : undefined;
    if (wrong) return wrong;
  }
  const override = given.clientid_override;
  return override === undefined || override === 'disabled' ? undefined : checkExpression(override, 'mqtt.clientid_override');
}

function checkExpression(expression: Json | undefined, path: string): JsonObject | undefined {
  try {
    compileExpression(String(expression));
    return undefined;
  } catch (error) {
    if (!(error instanceof VariformError)) throw error;
    return { kind: 'validation_error', path, reason: { expression: expression ?? '', reason: error.message } };
  }
}

async function apply(root: string, given: JsonObject, defaults: JsonObject, context: Context): Promise<void> {
  const { config, authorizer } = context.broker;
  const filled = merge(defaults, given) as JsonObject;
  if (root === 'listeners') return applyListeners(filled, context);
  if (root === 'authorization') {
    const { sources: _sources, ...settings } = filled;
    Object.assign(config.authorization, settings);
    config.sources = config.sources.map((source) => (source.type === 'file' ? { ...source, rules: SHIPPED_ACL } : source));
    authorizer.reload();
  } else if (root === 'api_key') {
    config.api_key = filled as Config['api_key'];
    context.keys.load(config.api_key.bootstrap_file);
  } else if (isZoneRoot(root)) Object.assign(config.global_zone, { [root]: filled });
  else Object.assign(config, { [root]: filled });
}

async function applyListeners(filled: JsonObject, { broker, listeners }: Context): Promise<void> {
  for (const [type, named] of Object.entries(filled)) {
    for (const [name, listener] of Object.entries(named as Record<string, JsonObject>)) {
      const id = `${type}:${name}`;
      const before = broker.config.listeners[id];
      broker.config.listeners[id] = { type, ...listener } as Listener;
      await listeners.apply(id, before);
    }
  }
}

/** The whole object or nothing: a part of it is refused, so that nothing can be reset by accident. */
const putZone: Handler = ({ body }, { broker, saveConfig }) => {
  const given = isObject(body) ? body : {};
  const missing = ['flapping_detect', 'force_gc', 'force_shutdown', 'mqtt', 'durable_sessions'].find((root) => given[root] === undefined);
  if (missing !== undefined) return invalid({ reason: 'required_field', path: missing });
  const odd = Object.keys(given).find((root) => !isZoneRoot(root) || !isObject(given[root]));
  if (odd !== undefined) return invalid({ reason: 'bad_value_for_struct', path: odd });
  const wrong = checkMqtt(given.mqtt as JsonObject);
  if (wrong) return invalid(wrong);
  broker.config.global_zone = merge(broker.config.global_zone, given) as GlobalZone;
  saveConfig();
  return ok(broker.config.global_zone);
};

export const CONFIG_ROUTES: Route[] = [
  { method: 'GET', path: CONFIGS, handler: get },
  { method: 'PUT', path: CONFIGS, handler: put, plainBody: true },
  { method: 'GET', path: `${CONFIGS}/global_zone`, handler: (_request, { broker }) => ok(broker.config.global_zone) },
  { method: 'PUT', path: `${CONFIGS}/global_zone`, handler: putZone },
];
