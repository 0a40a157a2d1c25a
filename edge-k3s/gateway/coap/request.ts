// What a device asks for, of a CoAP message: POST coaps+tcp://GATEWAY/dt/<stream>, one message in the envelope, JSON or CBOR. Who it is, its certificate says. Pure.
import { CODE, type CoapMessage } from './message.ts';

export type Telemetry = { kind: 'telemetry'; stream: string; payload: Buffer };
export type Wrong = { kind: 'wrong'; code: number; says: string };

/** RFC 7252 §5.10: odd numbers are critical, who does not know one must refuse. */
const OPTION = { URI_HOST: 3, URI_PORT: 7, URI_PATH: 11, CONTENT_FORMAT: 12, ACCEPT: 17, BLOCK2: 23, BLOCK1: 27 } as const;
const KNOWN: ReadonlySet<number> = new Set([OPTION.URI_HOST, OPTION.URI_PORT, OPTION.URI_PATH, OPTION.CONTENT_FORMAT]);
/** RFC 7252 §12.3, RFC 8949 §9.3. Nothing said: the payload says it itself. */
const FORMATS: ReadonlySet<number> = new Set([50, 60]);

export function readRequest({ code, options, payload }: CoapMessage): Telemetry | Wrong {
  const isBlock = options.some(({ number }) => number === OPTION.BLOCK1 || number === OPTION.BLOCK2);
  // RFC 8323 §6: who does not announce block-wise transfer in its CSM is sent none; whole messages may be as large as it says there.
  if (isBlock) return wrong(CODE.BAD_OPTION, 'no blocks: send the message whole');
  const critical = options.find(({ number }) => number % 2 === 1 && !KNOWN.has(number));
  if (critical !== undefined) return wrong(CODE.BAD_OPTION, `option ${critical.number} is not known`);
  const [root, ...stream] = options.filter(({ number }) => number === OPTION.URI_PATH).map(({ value }) => value.toString('utf8'));
  if (root !== 'dt' || stream.length === 0) return wrong(CODE.NOT_FOUND, 'POST to /dt/<stream>');
  if (code !== CODE.POST) return wrong(CODE.NOT_ALLOWED, 'POST only');
  const format = options.find(({ number }) => number === OPTION.CONTENT_FORMAT)?.value;
  if (format !== undefined && !FORMATS.has(format.length > 2 ? -1 : uint(format)))
    return wrong(CODE.UNSUPPORTED_FORMAT, 'application/json (50) or application/cbor (60)');
  return { kind: 'telemetry', stream: stream.join('/'), payload };
}

const wrong = (code: number, says: string): Wrong => ({ kind: 'wrong', code, says });
/** §3.2: no bytes are 0. */
const uint = (value: Buffer): number => (value.length === 0 ? 0 : value.readUIntBE(0, value.length));
