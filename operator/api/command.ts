// A command to one device: docs/reference/edge-commands.md. Its form, and its signature by a sender that is itself a device of the site.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { preAuthentication } from './dsse.ts';
import { COMMAND_NAME, MOST_ARGS_BYTES } from './local-rule.ts';

export type Command = {
  v: 1;
  /** The device that is to do it: <device>.<site>. */
  aud: string;
  /** Rises with each command of this sender to this device. */
  seq: number;
  /** 16 bytes in hex. */
  nonce: string;
  /** ms since 1970: made, and not to be done from then on. */
  iat: number;
  exp: number;
  name: string;
  args: Readonly<Record<string, unknown>>;
};

export const COMMAND_TYPE = 'application/vnd.hedgerow.command.v1+json';
const MOST_COMMAND_BYTES = 8192;
/** Longer, and a device whose clock is off by as much would do today what was meant for yesterday. */
export const MOST_VALID_MS = 3_600_000;

export const commandTopic = (segment: string, { aud, name }: Pick<Command, 'aud' | 'name'>): string => `cmd/${segment}/${aud}/${name}`;

/** Rises also when the last one was lost with the memory of the sender, unless its clock was ahead of today's. */
export const nextSeq = (nowMs: number, last: number): number => Math.max(Math.floor(nowMs), last + 1);

export type CommandSigner = {
  /** CN of the certificate. */
  readonly sender: string;
  sign(command: Command): Buffer;
};

const MOST_CERTIFICATES = 3;
const MOST_CERTIFICATE_BYTES = 2048;
/** What the payload with the longest args, the signature and the rest of the envelope leave of a whole command. */
const MOST_CHAIN_BYTES = MOST_COMMAND_BYTES - 2560;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const SUBJECT = /^O=hedgerow\nOU=[a-z0-9-]+\.[a-z0-9-]+\nCN=([a-z0-9-]+\.[a-z0-9-]+)$/;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The key and certificate of a device, as PEM, leaf first. What no device would take comes back as `problem`. */
export function readCommandSigner(keyPem: string, chainPem: string): CommandSigner | { problem: string } {
  const read = parsed(keyPem, chainPem);
  if (read === undefined) return { problem: 'key or certificate is no PEM, or of another kind' };
  const { key, chain } = read;
  const [leaf] = chain;
  const kind = hashOf(key);
  if (leaf === undefined || !leaf.checkPrivateKey(key)) return { problem: 'the key is not that of the certificate' };
  if (kind === undefined) return { problem: 'commands are signed by keys on P-256 or Ed25519 only' };
  const sender = SUBJECT.exec(leaf.subject)?.[1];
  if (sender === undefined || leaf.ca || !(leaf.keyUsage ?? []).includes(CLIENT_AUTH))
    return {
      problem: 'the certificate is not that of a device: O=hedgerow, OU=<segment>.<namespace>, CN=<device>.<namespace>, client auth',
    };
  const bytes = chain.reduce((sum, { raw }) => sum + raw.toString('base64').length, 0);
  if (chain.length > MOST_CERTIFICATES || chain.some(({ raw }) => raw.length > MOST_CERTIFICATE_BYTES) || bytes > MOST_CHAIN_BYTES)
    return {
      problem: `the chain has more than ${MOST_CERTIFICATES} certificates, one of more than ${MOST_CERTIFICATE_BYTES} bytes, or ${MOST_CHAIN_BYTES} bytes in base64`,
    };
  const x5c = chain.map(({ raw }) => raw.toString('base64'));
  const keyid = createHash('sha256')
    .update(createPublicKey(key as KeyObject & { type: 'private' }).export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return {
    sender,
    sign(command) {
      const payload = Buffer.from(JSON.stringify(command));
      const sig = sign(kind, preAuthentication(COMMAND_TYPE, payload), key).toString('base64');
      return Buffer.from(
        JSON.stringify({ payload: payload.toString('base64'), payloadType: COMMAND_TYPE, signatures: [{ keyid, sig, x5c }] }),
      );
    },
  };
}

/** What a device would refuse of its form; undefined of a good one. */
export function commandProblem({ seq, nonce, iat, exp, name, args }: Command): string | undefined {
  if (!Number.isSafeInteger(seq) || seq < 1) return 'seq is no whole number from 1 on';
  if (!/^[0-9a-f]{32}$/.test(nonce)) return 'nonce is not 16 bytes in hexadecimal digits';
  if (exp <= iat || exp - iat > MOST_VALID_MS) return `exp is not after iat, or more than ${MOST_VALID_MS / 1000} s after it`;
  if (!new RegExp(COMMAND_NAME).test(name)) return 'the name is not one level of a topic: a-z, 0-9 and -';
  if (Buffer.byteLength(JSON.stringify(args)) > MOST_ARGS_BYTES) return `args are more than ${MOST_ARGS_BYTES} bytes`;
  return undefined;
}

function parsed(keyPem: string, chainPem: string): { key: KeyObject; chain: X509Certificate[] } | undefined {
  try {
    return { key: createPrivateKey(keyPem), chain: (chainPem.match(PEM) ?? []).map((pem) => new X509Certificate(pem)) };
  } catch {
    // Never the library's words: they are about a key.
    return undefined;
  }
}

/** Ed25519 hashes by itself. */
function hashOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): 'sha256' | null | undefined {
  if (asymmetricKeyType === 'ed25519') return null;
  return asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'sha256' : undefined;
}
