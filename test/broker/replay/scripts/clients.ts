/** Files in which devices are connected. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../stage.ts';
import { ACME_TEXT } from './rest.ts';
import type { Observed, Script } from './script.ts';

const withText = (stage: Stage) => stage.text(ACME_TEXT);

export const clients: Script = {
  async setUp(stage) {
    await withText(stage);
    const device = await stage.open('dev-1', { keepalive: 30, expirySeconds: 60, username: 'me' });
    await device.subscribe('v1/seg-a/dev-1/down/#');
    const { md5 } = await stage.world.identity('dev-1', 'seg-a');
    stage.names.set('7a8548b239d9195d8597970292d15de8', md5);
  },
  before: {
    async 'GET offline session (expiry 600 s)'(stage) {
      const device = await stage.open('dev-2', { clean: false, expirySeconds: 600 });
      await device.subscribe('v1/seg-a/dev-2/down/#');
      await stage.end('dev-2');
      await offline(stage, 'dev-2');
    },
    async 'POST kickout bulk with one unknown id'(stage) {
      await stage.open('dev-1');
      await stage.open('dev-2');
    },
    async 'second connection with same CN but another certificate'(stage) {
      await stage.open('dev-1');
      stage.identities.set('dev-1b', await stage.world.identity('dev-1', 'seg-a again'));
      stage.devices.set('second', await stage.open('dev-1b'));
    },
  },
  observe(stage, entry) {
    if (entry.name.startsWith('CONNECT with certificate dev-1'))
      return Promise.resolve({ seen: { ok: true, connack: connack(stage.devices.get('dev-1')) } });
    if (entry.name === 'second connection with same CN but another certificate') return takenOver(stage);
    return undefined;
  },
};

function connack(device: { connack: object } | undefined): object {
  const { reasonCode, sessionPresent, properties } = (device?.connack ?? {}) as {
    reasonCode: number;
    sessionPresent: boolean;
    properties: object;
  };
  return { reasonCode, sessionPresent, properties };
}

async function takenOver(stage: Stage): Promise<Observed> {
  const first = stage.devices.get('dev-1');
  await first?.waitClosed();
  return {
    seen: { second_ok: stage.devices.get('second')?.closed === false, first_saw_disconnect_reason: first?.disconnectReason ?? null },
  };
}

/** The client has ended its connection; the broker has seen it too. */
async function offline(stage: Stage, id: string): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(10)) {
    const { body } = await stage.call('GET', `/clients/${id}`);
    if ((body as { connected: boolean }).connected === false) return;
  }
  throw new Error(`${id} is still connected`);
}

export const subscriptionsMatch: Script = {
  async setUp(stage) {
    await withText(stage);
    const device = await stage.open('dev-1');
    await device.subscribe('v1/seg-a/dev-1/down/#');
    await device.subscribe('v1/seg-a/all/down/#');
  },
};

export const publish: Script = {
  setUp: withText,
  before: {
    async 'svc subscribe v1/#'(stage) {
      const service = await stage.open('svc-1');
      await service.subscribe('v1/#');
    },
  },
  observe(stage, entry) {
    if (entry.name !== 'received by the subscriber') return undefined;
    return received(stage, (entry.messages as object[]).length);
  },
};

async function received(stage: Stage, count: number): Promise<Observed> {
  const service = stage.devices.get('svc-1');
  await service?.waitMessages(count);
  const messages = service?.received.map((message) => ({
    ...message,
    ...(message.properties ? { properties: { ...message.properties } } : {}),
  }));
  return { seen: { messages } };
}
