// What the gateway of a site asks of the operator: which devices are to be quarantined, and for what was seen of them. `asks.json` of the ConfigMap
// `hedgerow-gateway-asks` in the namespace of the site, written by the gateway alone. The operator believes no more of it than that it was asked: policy, budget and
// record are its own (docs/adr/0039-security-meter.md).
import { Ajv } from 'ajv';
import { type Static, Type } from 'typebox';
import { GATEWAY_TRIGGERS } from './gateway-config.ts';
import { LABEL_PATTERN, MAX_LABEL } from './names.ts';

export const GATEWAY_ASKS_MAP = 'hedgerow-gateway-asks';
export const GATEWAY_ASKS_KEY = 'asks.json';
/** More than any budget gives; with each field as long as it may be, below 128 KiB. */
export const MAX_ASKS = 256;
/** An ask is withdrawn when it is so old. */
export const ASK_STANDS_MS = 600_000;
/** Older ones are not followed. The clocks of a site and of the operator may be off by half of it. */
export const ASK_FOLLOWED_MS = 2 * ASK_STANDS_MS;
const MAX_BYTES = 131_072;

/** SchemaViolated: one message is enough, by spec.payload.onViolation: Quarantine. */
export const ASK_TRIGGERS = [...GATEWAY_TRIGGERS, 'SchemaViolated'] as const;
export type AskTrigger = (typeof ASK_TRIGGERS)[number];

const closed = { additionalProperties: false };
const ask = Type.Object(
  {
    /** Name of the Device in this namespace. */
    device: Type.String({ pattern: LABEL_PATTERN, maxLength: MAX_LABEL }),
    /** Of the Device that it was: not of one that was made under its name since. */
    uid: Type.String({ pattern: '^[0-9A-Za-z-]{1,64}$' }),
    trigger: Type.Unsafe<AskTrigger>({ type: 'string', enum: [...ASK_TRIGGERS] }),
    /** Messages that gave rise to it, and the time over which they came. */
    count: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    overMs: Type.Integer({ minimum: 0, maximum: 86_400_000 }),
    /** By the gateway's clock. With uid and trigger it is the name of the ask. */
    atMs: Type.Integer({ minimum: 0, maximum: 8.64e15 }),
  },
  closed,
);
const file = Type.Object(
  { version: Type.Unsafe<1>({ type: 'integer', enum: [1] }), asks: Type.Array(ask, { maxItems: MAX_ASKS }) },
  closed,
);

export type Ask = Static<typeof ask>;

const isFile = new Ajv({ strict: false, allErrors: false }).compile<Static<typeof file>>(file);

export const asksText = (asks: readonly Ask[]): string => JSON.stringify({ version: 1, asks });

/** Undefined when it is not what a gateway writes. */
export function readAsks(text: string): Ask[] | undefined {
  if (text.length > MAX_BYTES) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isFile(value) ? value.asks : undefined;
  } catch {
    return undefined;
  }
}
