/** The event feed: rules that post to an HTTP server, and what arrives there. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '../../config.ts';
import type { Entry } from '../recording.ts';
import type { Stage } from '../stage.ts';
import { ACME_TEXT } from './rest.ts';
import type { Observed, Script } from './script.ts';

type Sink = { server: Server; events: { path: string; headers: Record<string, Json>; body: Json }[] };
const sinks = new WeakMap<Stage, Sink>();

export const events: Script = {
  async setUp(stage) {
    await stage.text(ACME_TEXT);
    const sink = await startSink();
    sinks.set(stage, sink);
    stage.names.set('127.0.0.1:18093', `127.0.0.1:${(sink.server.address() as AddressInfo).port}`);
  },
  observe: (stage, entry) => (entry.events === undefined ? undefined : feed(stage, entry)),
};

async function startSink(): Promise<Sink> {
  const received: Sink['events'] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const { 'content-type': type = '', 'x-token': token = '' } = request.headers;
      received.push({
        path: request.url ?? '',
        headers: { 'content-type': type, 'x-token': String(token) },
        body: JSON.parse(text) as Json,
      });
      response.writeHead(204).end();
    });
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, events: received };
}

/** Connect, a denied publish, a denied subscription, a lost connection; then another device that only comes and goes. */
async function feed(stage: Stage, entry: Entry): Promise<Observed> {
  const sink = sinks.get(stage);
  if (!sink) throw new Error('no sink');
  const device = await stage.open('noeku-1');
  await device.publish('v1/seg-b/x');
  await device.subscribe('#');
  device.drop();
  await arrived(sink, 4);
  (await stage.open('c-stale')).drop();
  await arrived(sink, (entry.events as object[]).length);
  sink.server.closeAllConnections();
  sink.server.close();
  return { seen: { events: sink.events } };
}

async function arrived(sink: Sink, count: number): Promise<void> {
  for (const deadline = Date.now() + 30_000; sink.events.length < count; await sleep(10))
    if (Date.now() > deadline) throw new Error(`${sink.events.length} events arrived, not ${count}`);
}
