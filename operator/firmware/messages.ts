// The messages as schemas: exactly these fields, each with bounds. One place for types and checks; the meaning is in docs/reference/firmware-protocol.md.
import { Ajv, type ValidateFunction } from 'ajv';
import { type Static, type TProperties, type TSchema, Type } from 'typebox';
import { label } from '../api/fields.ts';
import { digest, version } from '../api/firmware-artifact.ts';
import { LABEL_PATTERN, MAX_WIRE_NAME } from '../api/names.ts';
import { ACTIONS, BOOT_TYPE, STATES } from './protocol.ts';

const exactly = <P extends TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false });
const oneOf = <const V extends readonly (string | number)[]>(values: V) => Type.Unsafe<V[number]>({ enum: [...values] });
const text = (max: number, pattern: string) => Type.String({ maxLength: max, pattern });
const whole = (max: number, min = 0) => Type.Integer({ minimum: min, maximum: max });

const MOST = Number.MAX_SAFE_INTEGER;
const COUNTER = 0x7fff_ffff;
const IMAGE_BYTES = 0x10_0000_0000;
/** 4096-12-02 in seconds: nobody has to think about more digits. */
const SECONDS = 0xf_ffff_ffff;
const DAY_S = 86_400;

const device = text(MAX_WIRE_NAME, `${LABEL_PATTERN.slice(0, -1)}[.]${LABEL_PATTERN.slice(1)}`);
const nonce = text(32, '^[0-9a-f]{32}$');
/** No control, no format character, no line end: it is shown in terminals. */
const words = (max: number) => text(max, '^[^\\p{C}\\p{Zl}\\p{Zp}]*$');
const slot = text(16, '^[A-Za-z0-9_-]{1,16}$');
const url = text(512, '^https?://[!-~]{1,500}$');
const urls = Type.Array(url, { minItems: 1, maxItems: 4 });
const base64 = (max: number) => text(max, '^[A-Za-z0-9+/]*={0,2}$');

const image = {
  digest: digest('SHA-256 of the image.'),
  size: whole(IMAGE_BYTES, 1),
  version: version('Its version.'),
  securityCounter: whole(COUNTER),
};

const directive = exactly({
  v: oneOf([1]),
  aud: device,
  component: label('What it is firmware of.'),
  seq: whole(MOST, 1),
  fence: whole(MOST),
  iat: whole(SECONDS),
  exp: whole(SECONDS),
  nonce,
  echo: Type.Optional(nonce),
  action: oneOf(ACTIONS),
  release: Type.Optional(
    exactly({
      digest: digest('SHA-256 of the payload of the release statement.'),
      urls,
      roots: Type.Optional(exactly({ version: whole(COUNTER, 1), url })),
    }),
  ),
  artifact: Type.Optional(exactly({ ...image, urls: Type.Optional(urls) })),
  timeouts: exactly({ download: whole(7 * DAY_S, 1), install: whole(DAY_S, 1), confirm: whole(DAY_S, 1) }),
  jitter: whole(DAY_S),
  forced: Type.Boolean(),
});

/** A DSSE envelope inside another message. */
const bootEnvelope = exactly({
  payload: base64(1400),
  payloadType: oneOf([BOOT_TYPE]),
  signatures: Type.Array(exactly({ keyid: text(64, '^[0-9a-f]{64}$'), sig: base64(128) }), { minItems: 1, maxItems: 1 }),
});

const state = exactly({
  v: oneOf([1]),
  device,
  component: label('What it is firmware of.'),
  seq: whole(MOST),
  nonce: Type.Optional(nonce),
  boot: whole(MOST),
  n: whole(MOST, 1),
  state: oneOf(STATES),
  digest: digest('SHA-256 of the running image.'),
  securityCounter: whole(COUNTER),
  staged: Type.Optional(digest('SHA-256 of the image that is staged.')),
  offset: Type.Optional(whole(IMAGE_BYTES)),
  total: Type.Optional(whole(IMAGE_BYTES, 1)),
  until: Type.Optional(whole(SECONDS)),
  code: Type.Optional(whole(16, 1)),
  text: Type.Optional(words(128)),
  selfTest: Type.Optional(whole(0xffff_ffff)),
  time: Type.Optional(whole(SECONDS)),
  bootReport: Type.Optional(bootEnvelope),
});

const hello = exactly({
  v: oneOf([1]),
  device,
  vendorId: Type.Optional(text(36, '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')),
  classId: Type.Optional(text(36, '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')),
  model: Type.Optional(words(64)),
  revision: Type.Optional(words(64)),
  boot: whole(MOST),
  n: whole(MOST, 1),
  nonce,
  hasClock: Type.Boolean(),
  rootVersion: whole(COUNTER),
  caps: Type.Array(text(32, '^[a-z0-9-]{1,32}$'), { maxItems: 16, uniqueItems: true }),
  components: Type.Array(
    exactly({
      component: label('What it is firmware of.'),
      version: version('Version of the running image.'),
      digest: digest('SHA-256 of the running image.'),
      slot,
      securityCounter: whole(COUNTER),
      seq: whole(MOST),
    }),
    { minItems: 1, maxItems: 8 },
  ),
  bootReport: Type.Optional(bootEnvelope),
});

const boot = exactly({
  v: oneOf([1]),
  device,
  component: label('What it is firmware of.'),
  boot: whole(MOST),
  slot,
  digest: digest('SHA-256 of the image that was started.'),
  version: version('Its version.'),
  securityCounter: whole(COUNTER),
  mode: oneOf(['Test', 'Normal', 'Reverted']),
  nonce: Type.Optional(nonce),
});

export type Directive = Static<typeof directive>;
export type StateReport = Static<typeof state>;
export type Hello = Static<typeof hello>;
export type BootReport = Static<typeof boot>;

const ajv = new Ajv({ strict: false, unicodeRegExp: true });

export const isDirective = check<Directive>(directive);
export const isStateReport = check<StateReport>(state);
export const isHello = check<Hello>(hello);
export const isBootReport = check<BootReport>(boot);

type Check<T> = ((value: unknown) => value is T) & { where(): string };

function check<T>(schema: TSchema): Check<T> {
  const compiled: ValidateFunction<T> = ajv.compile<T>(schema);
  const validate = (value: unknown): value is T => compiled(value);
  // The path only: the value is the device's, and its words are not ours to repeat. A name of its own could stand in the path of an unknown field: that is left out.
  return Object.assign(validate, {
    where: () => {
      const [first] = compiled.errors ?? [];
      return first === undefined ? '' : `${first.instancePath === '' ? 'the message' : first.instancePath.slice(1)} (${first.keyword})`;
    },
  });
}
