// How a broker answered one packet, told apart from no answer at all: a test that takes a broken connection for a refusal proves nothing.

/** `how` names packet and reason code, e.g. `PUBACK 0x87 Not authorized`; of a `none` it says what happened instead. */
export type Answer = { given: 'accepted' | 'refused' | 'none'; how: string };

/** MQTT 5 reason codes from 0x80 on are refusals (§2.4). */
const FIRST_REFUSAL = 0x80;

export function answerOf(packet: 'PUBACK' | 'SUBACK' | 'CONNACK' | 'DISCONNECT', code: number, words = ''): Answer {
  const how = `${packet} 0x${code.toString(16).toUpperCase().padStart(2, '0')}${words === '' ? '' : ` ${words}`}`;
  return { given: code >= FIRST_REFUSAL ? 'refused' : 'accepted', how };
}

type LibraryError = { code?: unknown; message?: string; packet?: { granted?: number[] } };

/** The `mqtt` package reports a refusing acknowledgement as an error: the reason code in `code` or in the SUBACK, its name behind a colon. */
export function answerOfError(packet: 'PUBACK' | 'SUBACK' | 'CONNACK', error: unknown): Answer {
  const { code: own, message = String(error), packet: suback } = error as LibraryError;
  const code = own ?? (suback?.granted === undefined ? undefined : Math.max(...suback.granted));
  if (typeof code !== 'number' || code < FIRST_REFUSAL) return { given: 'none', how: message };
  return answerOf(packet, code, message.slice(message.indexOf(': ') + 2));
}
