/** Messages sent by REST, retained messages, delayed messages. */

import type { Json, JsonObject } from '../config.ts';
import { bytes } from '../config.ts';
import type { Message } from '../session.ts';
import { isTopicName, matches } from '../topic.ts';
import { isObject } from './authz-settings.ts';
import { timestamp } from './client-row.ts';
import { bad, type Context, type Handler, internalError, invalid, NO_CONTENT, ok, type Response, type Route } from './http.ts';
import { boolean, checkFields, type Fields, oneOf, pageOf, qos, readPage } from './schema.ts';

const API = '/api/v5';

const FIELDS: Fields = {
  topic: { required: true },
  payload: { required: true },
  qos: { check: qos },
  retain: { check: boolean },
  payload_encoding: { check: oneOf('plain', 'base64') },
  properties: {},
  clientid: {},
};

/** The message, or the answer that refuses it: those have a `reason_code` of MQTT and no `code`. */
function readMessage(item: Json, path: string, { broker }: Context): Message | Response {
  const wrong = checkFields(item, FIELDS, path);
  if (wrong) return invalid(wrong);
  const body = item as JsonObject;
  const topic = String(body.topic);
  const text = String(body.payload);
  if (body.payload_encoding === 'base64' && !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    return { status: 400, body: { message: `{decode_base64_payload_failed,<<"${text}">>}`, reason_code: 131 } };
  if (!isTopicName(topic)) return { status: 400, body: { message: 'topic_name_invalid', reason_code: 144 } };
  const payload = Buffer.from(text, body.payload_encoding === 'base64' ? 'base64' : 'utf8');
  if (payload.length > bytes(broker.config.global_zone.mqtt.max_packet_size))
    return { status: 400, body: { message: 'packet_too_large', reason_code: 149 } };
  const message: Message = {
    id: broker.nextMessageId(),
    topic,
    payload,
    qos: (body.qos ?? 0) as Message['qos'],
    retain: body.retain === true,
    from: typeof body.clientid === 'string' ? body.clientid : 'http_api',
    fromUsername: '',
    publishedAt: Date.now(),
  };
  addProperties(message, isObject(body.properties) ? body.properties : {});
  return message;
}

function addProperties(message: Message, given: JsonObject): void {
  const properties: NonNullable<Message['properties']> = {};
  if (typeof given.content_type === 'string') properties.contentType = given.content_type;
  if (typeof given.response_topic === 'string') properties.responseTopic = given.response_topic;
  if (typeof given.correlation_data === 'string') properties.correlationData = Buffer.from(given.correlation_data);
  if (given.payload_format_indicator !== undefined) properties.payloadFormatIndicator = given.payload_format_indicator === 1;
  if (isObject(given.user_properties))
    properties.userProperties = Object.fromEntries(Object.entries(given.user_properties).map(([key, value]) => [key, String(value)]));
  if (Object.keys(properties).length > 0) message.properties = properties;
  if (typeof given.message_expiry_interval === 'number') message.expiresAt = Date.now() + given.message_expiry_interval * 1000;
}

const NOBODY: JsonObject = { message: 'no_matching_subscribers', reason_code: 16 };

/** 202 is no error: nobody was listening, and a retained message was kept all the same. */
const publish: Handler = ({ body }, context) => {
  const message = readMessage(body ?? null, 'root', context);
  if ('status' in message) return message;
  return context.broker.publish(message) > 0 ? ok({ id: message.id }) : { status: 202, body: NOBODY };
};

/** One bad item refuses all of them; one that nobody listens to makes the whole answer 202. */
const publishBulk: Handler = (request, context) => {
  if (!Array.isArray(request.body)) return invalid({ path: 'root', reason: 'not_array' });
  if (request.body.length === 0) return internalError('error, {case_clause,{errror,<<"empty_batch">>}}', request);
  const read = request.body.map((item, at) => readMessage(item, `root.${at + 1}`, context));
  const messages: Message[] = [];
  for (const one of read) {
    if ('status' in one) return one;
    messages.push(one);
  }
  const answers = messages.map((message) => (context.broker.publish(message) > 0 ? { id: message.id } : NOBODY));
  return { status: answers.includes(NOBODY) ? 202 : 200, body: answers };
};

function retainedRow(message: Message): JsonObject {
  return {
    from_clientid: message.from,
    from_username: message.fromUsername,
    msgid: message.id,
    publish_at: timestamp(message.publishedAt),
    qos: message.qos,
    topic: message.topic,
  };
}

const NOT_RETAINED = bad('NOT_FOUND', "Viewed message doesn't exist", 404);

/** The topic is ONE segment of the path: its slashes come as %2F. */
const getRetained: Handler = ({ params }, { broker }) => {
  const message = broker.retained.get(params.topic ?? '');
  return message ? ok({ ...retainedRow(message), payload: message.payload.toString('base64') }) : NOT_RETAINED;
};

const deleteRetained: Handler = ({ params }, { broker }) => (broker.retained.delete(params.topic ?? '') ? NO_CONTENT : NOT_RETAINED);

const listRetained: Handler = ({ query }, { broker }) => {
  const page = readPage(query);
  if ('status' in page) return page;
  const filter = query.get('topic');
  const found = [...broker.retained.values()].filter((message) => filter === null || matches(message.topic, filter));
  return ok(pageOf(found.map(retainedRow), page, { count: filter === null }));
};

const listDelayed: Handler = ({ query }, { broker, node }) => {
  const page = readPage(query);
  if ('status' in page) return page;
  const rows = [...broker.delayed.values()].map(({ message, afterSeconds, dueAt }) => ({
    ...retainedRow(message),
    delayed_interval: afterSeconds,
    delayed_remaining: Math.max(0, Math.floor((dueAt - Date.now()) / 1000)),
    expected_at: timestamp(dueAt),
    node,
  }));
  return ok(pageOf(rows, page));
};

const putDelayed: Handler = ({ body }, { broker, saveConfig }) => {
  const wrong = checkFields(body, { enable: { required: true, check: boolean }, max_delayed_messages: { required: true } }, 'root');
  if (wrong) return invalid(wrong);
  const { enable, max_delayed_messages } = body as JsonObject;
  broker.config.delayed = { enable: enable === true, max_delayed_messages: Number(max_delayed_messages) };
  saveConfig();
  return ok(broker.config.delayed);
};

export const PUBLISH_ROUTES: Route[] = [
  { method: 'POST', path: `${API}/publish`, handler: publish },
  { method: 'POST', path: `${API}/publish/bulk`, handler: publishBulk },
  { method: 'GET', path: `${API}/mqtt/retainer`, handler: (_request, { broker }) => ok(broker.config.retainer) },
  { method: 'GET', path: `${API}/mqtt/retainer/messages`, handler: listRetained },
  { method: 'GET', path: `${API}/mqtt/retainer/message/:topic`, handler: getRetained },
  { method: 'DELETE', path: `${API}/mqtt/retainer/message/:topic`, handler: deleteRetained },
  { method: 'GET', path: `${API}/mqtt/delayed`, handler: (_request, { broker }) => ok(broker.config.delayed) },
  { method: 'PUT', path: `${API}/mqtt/delayed`, handler: putDelayed },
  { method: 'GET', path: `${API}/mqtt/delayed/messages`, handler: listDelayed },
];
