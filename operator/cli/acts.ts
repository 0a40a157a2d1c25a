// `kubectl hedgerow revoke`, `quarantine` and `rotate`: what a person asks for by an Intervention.
import { durationMs } from '../api/duration.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { withCluster } from './cluster.ts';
import type { Command } from './command.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, OUTPUT_FLAG, required, TEXT, text, wantsJson } from './flags.ts';
import { type Act, intervene } from './intervene.ts';
import { type Values, WrongUse } from './parse.ts';

const WAIT_FLAGS = { wait: TEXT, timeout: TEXT } as const;
const WAIT_HELP = `  --wait=false                 do not wait until ledger and broker show it (default: true)
  --timeout DURATION           how long to wait (default: 1m)
`;
const EXITS = `Exit codes: 0 it is done (with --wait=false: it is asked for); 1 it was refused or could not be asked for; 2 wrong use; 3 it is asked for and
stands, but was not seen done in time, or cannot be seen with your rights.
`;

export const revoke: Command = {
  words: ['revoke'],
  operand: 'DEVICE',
  summary: 'shut a device out for ever, whatever Git says: all its certificates, at once',
  help: `usage: kubectl hedgerow revoke DEVICE --reason TEXT [FLAG…]

Makes an Intervention in your name and prints its steps. The certificates of the device never work again; it can return with a new key, after the
Intervention is deleted.

  --reason TEXT                why, for the audit: what was seen, ticket number (required)
${WAIT_HELP}  --output, -o json            the Intervention as it stands at the end
${CLUSTER_HELP}
Your own rights are used: create on interventions; with get on them it can wait, with get on devices it knows a name that is mistyped.

${EXITS}`,
  flags: { reason: TEXT, ...WAIT_FLAGS, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  run: (values, output) => act('Revoke', values, output),
};

export const quarantine: Command = {
  words: ['quarantine'],
  operand: 'DEVICE',
  summary: 'leave a device only its firmware and recovery topics, until it is released',
  help: `usage: kubectl hedgerow quarantine DEVICE --reason TEXT [--expires WHEN] [FLAG…]

Makes an Intervention in your name and prints its steps. "kubectl hedgerow release DEVICE" ends it.

  --reason TEXT                why, for the audit: what was seen, ticket number (required)
  --expires WHEN               when it ends by itself: a time (2026-12-01T00:00:00Z) or a duration from now (90m, 12h) (default: never)
${WAIT_HELP}  --output, -o json            the Intervention as it stands at the end
${CLUSTER_HELP}
Your own rights are used: create on interventions; with get on them it can wait, with get on devices it knows a name that is mistyped.

${EXITS}`,
  flags: { reason: TEXT, expires: TEXT, ...WAIT_FLAGS, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  run: (values, output) => act('Quarantine', values, output),
};

export const rotate: Command = {
  words: ['rotate'],
  operand: 'DEVICE',
  summary: 'a new key and certificate; with --compromised the old ones never work again',
  help: `usage: kubectl hedgerow rotate DEVICE [--compromised] --reason TEXT [FLAG…]

Makes an Intervention in your name and prints its steps. The renewal window of the device is open from then on: it renews by EST with the certificate that it
has, or cert-manager makes a new one, and the old one stays valid until it ends. With --compromised the key is in other hands: every certificate that the
device has is banned and revoked, and it needs a new key and a new proof of who it is ("kubectl hedgerow token", its factory certificate, or a new
request in Git).

It is done when the device has its new certificate, which is when the device next asks for one.

  --reason TEXT                why, for the audit: what was seen, ticket number (required)
  --compromised                the key is in other hands
${WAIT_HELP}  --output, -o json            the Intervention as it stands at the end
${CLUSTER_HELP}
Your own rights are used: create on interventions; with get on them it can wait, with get on devices it knows a name that is mistyped.

${EXITS}`,
  flags: { reason: TEXT, compromised: { type: 'boolean' }, ...WAIT_FLAGS, ...OUTPUT_FLAG, ...CLUSTER_FLAGS },
  run: (values, output) => act('Rotate', values, output),
};

async function act(action: Act['action'], values: Values, output: Parameters<Command['run']>[1]): Promise<number> {
  const asked = {
    ...{ action, reason: required(values, 'reason'), json: wantsJson(values), waitMs: waitMs(values) },
    expires: expiry(text(values, 'expires'), systemClock),
    compromised: values.compromised === true,
  };
  return withCluster(values, (client, namespace) =>
    intervene({ client, clock: systemClock, output }, { ...asked, device: { name: required(values, 'DEVICE'), namespace } }),
  );
}

/** Undefined: not at all. */
export function waitMs(values: Values): number | undefined {
  const wait = text(values, 'wait') ?? 'true';
  if (wait !== 'true' && wait !== 'false') throw new WrongUse(`--wait=${wait}: only true and false`);
  const timeout = text(values, 'timeout') ?? '1m';
  const ms = durationMs(timeout);
  if (ms === undefined) throw new WrongUse(`--timeout ${timeout} is no duration such as 30s or 5m`);
  return wait === 'true' ? ms : undefined;
}

/** RFC 3339 of a time or of a duration from now. An end that is over would be a quarantine of nobody. */
export function expiry(value: string | undefined, clock: Pick<Clock, 'now'>): string | undefined {
  if (value === undefined) return undefined;
  const fromNow = durationMs(value);
  const at = fromNow === undefined ? (RFC3339.test(value) ? Date.parse(value) : Number.NaN) : clock.now() + fromNow;
  if (Number.isNaN(at)) throw new WrongUse(`--expires ${value} is neither a time such as 2026-12-01T00:00:00Z nor a duration such as 12h`);
  if (at <= clock.now()) throw new WrongUse(`--expires ${value} is over already`);
  return new Date(at).toISOString().replace(/[.]\d+Z$/, 'Z');
}

/** RFC 3339 §5.6: with seconds and an offset, so that nobody's time zone decides. */
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.]\d+)?(Z|[+-]\d\d:\d\d)$/;
