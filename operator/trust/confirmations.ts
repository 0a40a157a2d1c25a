// Which devices have shown that they hold the present set: read from the broker's retained messages, each payload once. The broker may forget them; this process does not.
import type { Retained, RetainedRow } from '../broker/broker.ts';
import { CONFIRMATIONS, type Confirmation, confirms, deviceOf, readConfirmation } from './confirmation.ts';
import type { Message } from './message.ts';

/** EMQX gives one payload a call: so many at a time, and so many a look. A device that publishes all the time costs one call a look. */
const WIDTH = 8;
const MOST_A_LOOK = 4000;

type Known = { id: string; confirmation: Confirmation | undefined };

export function createConfirmations(retained: Pick<Retained, 'list' | 'get'>) {
  const known = new Map<string, Known>();

  async function read(device: string, row: RetainedRow): Promise<void> {
    const payload = await retained.get(row.topic);
    // Gone or replaced in between: the next look sees what is there then.
    if (payload !== undefined) known.set(device, { id: row.id, confirmation: readConfirmation(payload) });
  }

  return {
    /** Resolves to whether everything new was read. Rejects when the broker does not answer. */
    async look(fleet: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
      for (const device of known.keys()) if (!fleet.has(device)) known.delete(device);
      const fresh = (await retained.list(CONFIRMATIONS)).flatMap((row): [string, RetainedRow][] => {
        const device = deviceOf(row.topic);
        // The broker lets nobody else write there; who could, would confirm for others.
        const isOwn = device !== undefined && row.from === device && fleet.has(device);
        return isOwn && known.get(device)?.id !== row.id ? [[device, row]] : [];
      });
      // Those of whom nothing is known first: whoever publishes again and again waits.
      const due = fresh.sort(([a], [b]) => Number(known.has(a)) - Number(known.has(b))).slice(0, MOST_A_LOOK);
      for (let i = 0; i < due.length; i += WIDTH) {
        // A look that was broken off saw not everybody.
        signal.throwIfAborted();
        await Promise.all(due.slice(i, i + WIDTH).map(([device, row]) => read(device, row)));
      }
      return due.length === fresh.length;
    },
    confirmed(message: Message): Set<string> {
      const found = [...known].filter(([, { confirmation }]) => confirmation !== undefined && confirms(confirmation, message));
      return new Set(found.map(([device]) => device));
    },
  };
}
