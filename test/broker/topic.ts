/** MQTT topic names and filters as EMQX reads them (emqx_topic.erl). */

export type Subscription = { filter: string; group?: string };

/** True when `name` may be published to (MQTT-3.3.2-2, MQTT-4.7.3-1: no wildcard, no NUL, not empty). */
export function isTopicName(name: string): boolean {
  return name.length > 0 && name.length <= 65535 && !/[+#\0]/.test(name);
}

/** True when `filter` is well-formed (MQTT-4.7.1-1, MQTT-4.7.1-2). */
export function isTopicFilter(filter: string): boolean {
  if (filter.length === 0 || filter.length > 65535 || filter.includes('\0')) return false;
  const words = filter.split('/');
  return words.every((word, at) => {
    if (word === '#') return at === words.length - 1;
    return word === '+' || !/[+#]/.test(word);
  });
}

/**
 * `topic` against `filter`, word by word. `topic` may itself be a filter: that is how EMQX authorises a SUBSCRIBE, and why a rule
 * `t/+` also matches the subscription `t/#` (a `#` word is just a word to a `+`).
 */
export function matches(topic: string, filter: string): boolean {
  return matchesWords(topic.split('/'), filter.split('/'));
}

export function matchesWords(topic: readonly string[], filter: readonly string[]): boolean {
  const first = filter[0];
  if ((first === '+' || first === '#') && topic[0]?.startsWith('$')) return false;
  for (let at = 0; at < filter.length; at++) {
    const word = filter[at];
    if (word === '#' && at === filter.length - 1) return true;
    if (at >= topic.length) return false;
    if (word !== '+' && word !== topic[at]) return false;
  }
  return topic.length === filter.length;
}

/** `$share/g/t` and `$queue/t` name a group; malformed or nested ones are undefined (EMQX closes the connection). */
export function parseSubscription(raw: string): Subscription | undefined {
  if (raw.startsWith('$queue/')) return nested(raw.slice(7)) ? undefined : filterOnly(raw.slice(7), '$queue');
  if (!raw.startsWith('$share/')) return filterOnly(raw);
  const slash = raw.indexOf('/', 7);
  if (slash < 0) return undefined;
  const group = raw.slice(7, slash);
  const filter = raw.slice(slash + 1);
  if (group === '' || /[+#]/.test(group) || nested(filter)) return undefined;
  return filterOnly(filter, group);
}

function nested(filter: string): boolean {
  return filter.startsWith('$share/') || filter.startsWith('$queue/');
}

function filterOnly(filter: string, group?: string): Subscription | undefined {
  if (!isTopicFilter(filter)) return undefined;
  return group === undefined ? { filter } : { filter, group };
}

export type Delayed = { afterSeconds: number; topic: string };

/** `$delayed/<seconds>/<topic>`; undefined when it is none, `malformed` when EMQX's parser crashes on it and takes the connection along. */
export function parseDelayed(topic: string): Delayed | 'malformed' | undefined {
  if (!topic.startsWith('$delayed/')) return undefined;
  const found = /^\$delayed\/(\d+)\/([\s\S]+)$/.exec(topic);
  const afterSeconds = Number(found?.[1]);
  if (!found?.[2] || afterSeconds > MAX_DELAY_SECONDS || found[2].startsWith('$share/')) return 'malformed';
  return { afterSeconds, topic: found[2] };
}

const MAX_DELAY_SECONDS = 4_294_967;
