// A command as a device judges it: docs/reference/edge-commands.md, "What a device checks, in this order". Pure, and nothing of it is shared with who signs.
import { createHash, X509Certificate } from 'node:crypto';
import { isSigned, openEnvelope, parseAnyJson, type Signature } from '../firmware/envelope.ts';

export type Command = {
  v: 1;
  aud: string;
  seq: number;
  nonce: string;
  iat: number;
  exp: number;
  name: string;
  args: Record<string, unknown>;
};

/** Who may tell the device what: part of what it is given with its certificate. */
export type Grant = { sender: string; commands: readonly string[] };

/** Of the last command of a sender that was taken. `epoch`: ms, the notBefore of its certificate. */
export type Floor = { epoch: number; seq: number; nonce: string };

export type Facts = {
  segment: string;
  device: string;
  /** The CAs of the site's devices. */
  cas: readonly X509Certificate[];
  grants: readonly Grant[];
  /** Serial numbers that the CA has revoked, as far as the device knows. */
  revoked: ReadonlySet<string>;
  /** ms since 1970; undefined without a clock. */
  now: number | undefined;
  floors: Readonly<Record<string, Floor>>;
};

export type Refusal =
  | 'envelope'
  | 'certificate'
  | 'sender'
  | 'signature'
  | 'form'
  | 'audience'
  | 'name'
  | 'clock'
  | 'epoch'
  | 'sequence'
  | 'early'
  | 'expired'
  | 'room';

export type Judged =
  | { verdict: 'refused'; why: Refusal }
  /** `known`: the last one of this sender again; it is not done again, and `floor` is kept all the same. */
  | { verdict: 'new' | 'known'; command: Command; sender: string; floor: Floor };

type Chain = { leaf: X509Certificate; sender: string; untilMs: number };
export type ChainOf = (signature: Signature, cas: readonly X509Certificate[]) => Chain | undefined;

const TYPE = 'application/vnd.hedgerow.command.v1+json';
const MOST_BYTES = 8192;
const MOST_VALID_MS = 3_600_000;
const MOST_EARLY_MS = 120_000;
const MOST_SENDERS = 16;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const SUBJECT = /^O=hedgerow\nOU=[a-z0-9-]+\.[a-z0-9-]+\nCN=([a-z0-9-]+\.[a-z0-9-]+)$/;

export function judge(topic: string, bytes: Uint8Array, facts: Facts, chainFor: ChainOf = chainOf): Judged {
  const envelope = openEnvelope(bytes, MOST_BYTES);
  const [signature] = envelope?.signatures ?? [];
  if (envelope === undefined || signature === undefined || envelope.type !== TYPE || envelope.signatures.length !== 1)
    return refused('envelope');
  const chain = chainFor(signature, facts.cas);
  if (chain === undefined || facts.revoked.has(plainSerial(chain.leaf.serialNumber))) return refused('certificate');
  const { leaf, sender, untilMs } = chain;
  const grant = facts.grants.find((one) => one.sender === sender);
  if (grant === undefined) return refused('sender');
  if (!isSigned(envelope, signature, leaf.publicKey)) return refused('signature');
  const command = commandOf(envelope.payload);
  if (command === undefined) return refused('form');
  if (command.aud !== facts.device) return refused('audience');
  if (topic !== `cmd/${facts.segment}/${facts.device}/${command.name}` || !grant.commands.includes(command.name)) return refused('name');
  return inTime(command, sender, { epoch: begin(leaf), untilMs }, facts);
}

/** Beyond signature and form: whether it is newer than what was taken, and of now. */
function inTime(command: Command, sender: string, { epoch, untilMs }: { epoch: number; untilMs: number }, facts: Facts): Judged {
  const { seq, nonce, iat, exp } = command;
  const { now, floors } = facts;
  const latest = Math.max(epoch, ...Object.values(floors).map((one) => one.epoch));
  if (now === undefined || now < latest) return refused('clock');
  if (now >= untilMs) return refused('certificate');
  const last = floors[sender];
  if (last === undefined && Object.keys(floors).length >= MOST_SENDERS) return refused('room');
  const floor = { epoch, seq, nonce };
  if (last !== undefined) {
    if (epoch < last.epoch) return refused('epoch');
    if (seq === last.seq && nonce === last.nonce) return { verdict: 'known', command, sender, floor };
    // A number is a time, so one that is ahead of the clock was used up: by a thief, whose certificate is out of use with the next one.
    const isUsedUp = epoch > last.epoch && last.seq > now + MOST_EARLY_MS;
    if (seq <= last.seq && !isUsedUp) return refused('sequence');
  }
  if (iat > now + MOST_EARLY_MS) return refused('early');
  return now < exp ? { verdict: 'new', command, sender, floor } : refused('expired');
}

/** The certificate that signed, if it is that of a device of the site. */
function chainOf({ x5c }: Signature, cas: readonly X509Certificate[]): Chain | undefined {
  if (x5c.length < 1 || x5c.length > 3 || x5c.some(({ length }) => length > 2048)) return undefined;
  try {
    const chain = x5c.map((der) => new X509Certificate(der));
    const [leaf, ...between] = chain;
    if (leaf === undefined || leaf.ca || between.some(({ ca }) => !ca)) return undefined;
    // Bytes behind a certificate are passed over by who reads it; two envelopes would be one command.
    if (chain.some(({ raw }, at) => !raw.equals(x5c[at] ?? raw))) return undefined;
    const isLinked = chain.every((one, at) => {
      const issuers = at + 1 < chain.length ? chain.slice(at + 1, at + 2) : cas;
      return issuers.some((issuer) => issuer.ca && one.checkIssued(issuer) && one.verify(issuer.publicKey));
    });
    const sender = SUBJECT.exec(leaf.subject)?.[1];
    if (!isLinked || sender === undefined || !(leaf.keyUsage ?? []).includes(CLIENT_AUTH)) return undefined;
    return { leaf, sender, untilMs: Math.min(...chain.map(({ validToDate }) => validToDate.getTime())) };
  } catch {
    return undefined;
  }
}

/** For a device that hears the same few senders: the chain that it looked at last is not looked at again. */
export function rememberedChains(): ChainOf {
  let last: { of: string; cas: readonly X509Certificate[]; chain: Chain } | undefined;
  return (signature, cas) => {
    const hash = createHash('sha256');
    for (const der of signature.x5c) hash.update(`${der.length} `).update(der);
    const of = hash.digest('hex');
    if (last?.of === of && last.cas === cas) return last.chain;
    const chain = chainOf(signature, cas);
    if (chain !== undefined) last = { of, cas, chain };
    return chain;
  };
}

/** Hex in lower case, without zeros in front. */
export const plainSerial = (hex: string): string => hex.toLowerCase().replace(/^0+(?=.)/, '');

const FIELDS = ['v', 'aud', 'seq', 'nonce', 'iat', 'exp', 'name', 'args'];

function commandOf(payload: Buffer): Command | undefined {
  try {
    const value = parseAnyJson(payload) as Record<string, unknown>;
    const { v, aud, seq, nonce, iat, exp, name, args } = value;
    const isExact = Object.keys(value).length === FIELDS.length && FIELDS.every((field) => Object.hasOwn(value, field));
    const isNamed = isText(aud, /^[a-z0-9-]+[.][a-z0-9-]+$/) && isText(name, /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
    const isTimed = [seq, iat, exp].every((one) => Number.isSafeInteger(one) && (one as number) >= 1);
    if (!isExact || v !== 1 || !isNamed || !isTimed || !isText(nonce, /^[0-9a-f]{32}$/)) return undefined;
    if (typeof args !== 'object' || args === null || Array.isArray(args)) return undefined;
    const valid = (exp as number) - (iat as number);
    return valid > 0 && valid <= MOST_VALID_MS ? (value as Command) : undefined;
  } catch {
    return undefined;
  }
}

const isText = (value: unknown, pattern: RegExp): boolean => typeof value === 'string' && pattern.test(value);
const begin = ({ validFromDate }: X509Certificate): number => validFromDate.getTime();
const refused = (why: Refusal): Judged => ({ verdict: 'refused', why });
