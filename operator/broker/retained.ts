// Retained messages by REST: EMQX is written to and read from without being one of its clients. A cache that a restart empties, never the truth.
import { optionalText, pages, text, unexpected } from './emqx.ts';
import type { Rest } from './rest.ts';

/** `id` is another one for each message; `from` the client id that the broker took it from. */
export type RetainedRow = { topic: string; id: string; from: string };

export interface Retained {
  /** All whose topic matches the filter; without their payloads, which EMQX gives one at a time. */
  list(filter: string): Promise<RetainedRow[]>;
  get(topic: string): Promise<Buffer | undefined>;
  /** QoS 1; takes the place of what is there, and reaches those who are subscribed. */
  put(topic: string, payload: string): Promise<void>;
  /** Nobody who is subscribed hears of it. What is not there is gone already. */
  remove(topic: string): Promise<void>;
}

export function createRetained(rest: Rest): Retained {
  const ask = async (path: string): Promise<unknown> => {
    const answer = await rest.call({ method: 'GET', path });
    if (answer.status !== 200) throw unexpected(`GET ${path}`, answer.status, answer.body);
    return answer.body;
  };

  return {
    async list(filter) {
      const where = '/mqtt/retainer/messages';
      const rows = await pages(ask, where, `&topic=${encodeURIComponent(filter)}`);
      return rows.map((row) => ({
        topic: text(row, 'topic', where),
        id: text(row, 'msgid', where),
        from: optionalText(row, 'from_clientid') ?? '',
      }));
    },
    async get(topic) {
      // The topic is one segment of the path (emqx-profile.md, Confirmed).
      const path = `/mqtt/retainer/message/${encodeURIComponent(topic)}`;
      const answer = await rest.call({ method: 'GET', path });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw unexpected('GET /mqtt/retainer/message', answer.status, answer.body);
      return Buffer.from(text(answer.body, 'payload', path), 'base64');
    },
    async put(topic, payload) {
      const body = { topic, payload, qos: 1, retain: true };
      const answer = await rest.call({ method: 'POST', path: '/publish', body });
      // 202: nobody was listening; it is retained all the same (publish.json).
      if (answer.status !== 200 && answer.status !== 202) throw unexpected('POST /publish', answer.status, answer.body);
    },
    async remove(topic) {
      const answer = await rest.call({ method: 'DELETE', path: `/mqtt/retainer/message/${encodeURIComponent(topic)}` });
      if (answer.status !== 204 && answer.status !== 404) throw unexpected('DELETE /mqtt/retainer/message', answer.status, answer.body);
    },
  };
}
