// Topic filters as far as rights are concerned: which may be granted, and what a grant covers (MQTT 5 §4.7).

/** `<device>.<namespace>` and `<segment>.<namespace>`: what the broker's own expressions let through (emqx-profile.md, profile). */
export const WIRE_NAME = /^[a-z0-9-]{1,62}[.][a-z0-9-]{1,62}$/;

/** EMQX's placeholders for `{device}` and `{segment}`. */
export const BROKER_DEVICE = '$' + '{cert_common_name}';
export const BROKER_SEGMENT = '$' + '{client_attrs.seg}';

const MAX_LENGTH = 512;
const WORD = /^[A-Za-z0-9._:@~=-]+$/;
/** emqx_topic:match/2 takes the # of a filter for a word, and what follows a + may be nothing: x/+ and x/+/# both match x/#. */
export const WIDENS = /(^|[/])[+]([/]#)?$/;
const PLACEHOLDER = /^[{](?:device|segment)[}]$/;

/**
 * Why a topic with `{device}` and `{segment}` must not reach the broker, or undefined. Narrower than MQTT: whatever could be read in another way there is outside.
 * A subscription that ends in + or in +/# would admit # at that level; topics of the broker begin with $ (emqx.md §2, trap b; emqx-profile.md, 14).
 */
export function unsafeTopic(topic: string, action: 'publish' | 'subscribe'): string | undefined {
  const levels = topic.split('/');
  if (topic.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  if (!WORD.test(levels[0] ?? '')) return 'does not begin with a word';
  // The second level says whose topics these are: with a wildcard there they are everybody's.
  if (levels[1] === '+' || levels[1] === '#') return 'has a wildcard where the segment stands';
  if (action === 'subscribe' && WIDENS.test(topic)) return 'ends in + or +/#, which would admit # at that level';
  const odd = levels.findIndex(
    (level, i) => !WORD.test(level) && !PLACEHOLDER.test(level) && level !== '+' && !(level === '#' && i === levels.length - 1),
  );
  return odd === -1 ? undefined : `level ${odd + 1} is neither a word, a placeholder, + nor a final #`;
}

/** Whether everything that `filter` can receive is within `grant`, both literal. Stricter than the broker: + does not cover #. */
export function covers(grant: string, filter: string): boolean {
  const wanted = filter.split('/');
  const granted = grant.split('/');
  if (wanted[0]?.startsWith('$') && (granted[0] === '+' || granted[0] === '#')) return false;
  for (const [i, level] of granted.entries()) {
    if (level === '#') return true;
    const word = wanted[i];
    if (word === undefined || word === '#') return false;
    if (level !== '+' && level !== word) return false;
  }
  return wanted.length === granted.length;
}

/** The filter behind `$share/<group>/` and `$queue/`: rights are checked for that one. */
export function withoutGroup(subscription: string): string {
  if (subscription.startsWith('$queue/')) return subscription.slice('$queue/'.length);
  const shared = /^[$]share\/[^/]*\/([\s\S]*)$/.exec(subscription);
  return shared?.[1] ?? subscription;
}

/** Of the subscriptions of one client those that no grant covers. */
export function uncovered(subscriptions: readonly string[], grants: readonly string[]): string[] {
  return subscriptions.filter((subscription) => {
    const filter = withoutGroup(subscription);
    return !grants.some((grant) => covers(grant, filter));
  });
}

/** A topic with its placeholders filled in. */
export function render(topic: string, device: string, segment: string): string {
  return topic
    .split('/')
    .map((level) => (level === '{device}' ? device : level === '{segment}' ? segment : level))
    .join('/');
}
