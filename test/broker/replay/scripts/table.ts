/** Recorded tables of rights: `pub TOPIC {options}` and `sub TOPIC {options}` with what the client was answered. */

import type { Json } from '../../config.ts';
import type { Device, PublishOptions } from '../../testing/device.ts';
import type { Entry } from '../recording.ts';

export type Row = { kind: 'pub' | 'sub'; topic: string; options: PublishOptions; recorded: string };

export function rowsOf(entry: Entry): Row[] {
  return Object.entries(entry).flatMap(([key, value]) => {
    const found = /^(pub|sub) ([\s\S]*?)(?: (\{(?:".*)?\}))?$/.exec(key);
    if (!found?.[1] || found[2] === undefined || value === undefined) return [];
    const options = JSON.parse(found[3] ?? '{}') as PublishOptions;
    return [{ kind: found[1] as Row['kind'], topic: found[2], options, recorded: inWords(value as Json) }];
  });
}

/** Two generations of the recorder in one vocabulary. */
function inWords(value: Json): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const [granted] = Array.isArray(value.granted) ? (value.granted as number[]) : [];
    if (granted !== undefined) return granted >= 0x80 ? `refused ${granted}` : `granted ${granted}`;
    return `refused ${String(value.code)}`;
  }
  return String(value);
}

/** The rows that were answered otherwise. `connection closed` and a DISCONNECT in place of an answer are told alike. */
export async function playRows(device: Device, rows: readonly Row[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { kind, topic, options, recorded } of rows) {
    const answered = kind === 'pub' ? await device.publish(topic, options) : await device.subscribe(topic, options.qos ?? 1);
    if (essence(answered) !== essence(recorded))
      wrong.push(`${kind} ${topic} ${JSON.stringify(options)}: recorded ${recorded}, answered ${answered}`);
  }
  return wrong;
}

function essence(words: string): string {
  if (words === 'sent') return 'accepted'; // QoS 0: nothing is ever answered
  if (words === 'no answer in 1.5 s') return 'closed';
  return words.includes('closed') ? 'closed' : words;
}
