// What the network says between this machine and the broker's MQTT port: name, port, TLS and the server's certificates. Nothing is sent over MQTT.
import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import type { Clock } from '../runtime/clock.ts';
import { WrongUse } from './parse.ts';

export type ServerCertificate = { subject: string; issuer: string; notBefore: string; notAfter: string };

/** Each step is there when the one before it went well. */
export type Probe = {
  host: string;
  port: number;
  dns: { addresses: string[]; error?: string };
  tcp?: { error?: string };
  tls?: { error: string } | TlsSight;
};

export type TlsSight = {
  protocol: string;
  /** The server's own first. */
  chain: ServerCertificate[];
  nameError?: string;
  /** Without a CA to check with it is not known. Otherwise OpenSSL's word for what is wrong. */
  trust: 'ok' | 'not checked' | { error: string };
};

export type Target = { host: string; port: number };

/** `HOST:PORT`, an IPv6 address in brackets. */
export function targetOf(value: string): Target {
  const [, inBrackets, plain, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/@\s]+)):(\d{1,5})$/.exec(value) ?? [];
  const host = inBrackets ?? plain;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535 || (inBrackets !== undefined && isIP(inBrackets) !== 6))
    throw new WrongUse(`--mqtt ${value} is not HOST:PORT`);
  return { host, port: Number(port) };
}

const STEP_MS = 5_000;

export async function probe({ host, port }: Target, ca: string | undefined, clock: Clock): Promise<Probe> {
  const dns = await addressesOf(host, clock);
  if (dns.error !== undefined) return { host, port, dns };
  const tcp = await settled<true>(clock, (done, failed) => {
    const socket = connectTcp({ host, port });
    return socket.once('connect', () => done(true)).once('error', failed);
  });
  if ('error' in tcp) return { host, port, dns, tcp };
  const tls = await settled<TlsSight>(clock, (done, failed) => {
    // What is wrong with the certificate is to be seen, not to end the look. A client certificate is not needed for that: TLS 1.3 asks for it after its own.
    const socket: TLSSocket = connectTls({
      ...{ host, port, rejectUnauthorized: false, checkServerIdentity: () => undefined },
      ...(ca === undefined ? {} : { ca }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    return socket.once('secureConnect', () => done(sightOf(socket, host, ca !== undefined))).once('error', failed);
  });
  return { host, port, dns, tcp: {}, tls: 'error' in tls ? tls : tls.value };
}

async function addressesOf(host: string, clock: Clock): Promise<Probe['dns']> {
  const timer = new AbortController();
  const late = clock.sleep(STEP_MS, timer.signal).then(() => Promise.reject(new Error(`no answer within ${STEP_MS / 1000} s`)));
  try {
    const found = await Promise.race([lookup(host, { all: true }), late]);
    return { addresses: found.map(({ address }) => address) };
  } catch (error) {
    return { addresses: [], error: wordsOf(error) };
  } finally {
    late.catch(() => undefined);
    timer.abort(new Error('answered'));
  }
}

/** The socket is destroyed as soon as something is known. */
function settled<T>(
  clock: Clock,
  open: (done: (value: T) => void, failed: (error: Error) => void) => Socket,
): Promise<{ error: string } | { value: T }> {
  return new Promise((resolve) => {
    const end = (outcome: { error: string } | { value: T }): void => {
      timer.cancel();
      socket.on('error', () => undefined).destroy();
      resolve(outcome);
    };
    const timer = clock.setTimer(STEP_MS, () => end({ error: `no answer within ${STEP_MS / 1000} s` }));
    const socket = open(
      (value) => end({ value }),
      (error) => end({ error: wordsOf(error) }),
    );
  });
}

function sightOf(socket: TLSSocket, host: string, checked: boolean): TlsSight {
  const own = socket.getPeerCertificate(true);
  const nameError = checkServerIdentity(host, own)?.message;
  const { authorizationError } = socket;
  return {
    protocol: socket.getProtocol() ?? 'unknown',
    chain: chainOf(own),
    ...(nameError === undefined ? {} : { nameError }),
    trust: !checked ? 'not checked' : socket.authorized ? 'ok' : { error: String(authorizationError) },
  };
}

/** The last issuer is its own. */
function chainOf(own: DetailedPeerCertificate): ServerCertificate[] {
  const chain: ServerCertificate[] = [];
  let one: DetailedPeerCertificate | undefined = own;
  const seen = new Set<string>();
  while (one?.fingerprint256 !== undefined && !seen.has(one.fingerprint256)) {
    seen.add(one.fingerprint256);
    chain.push({
      subject: nameOf(one.subject),
      issuer: nameOf(one.issuer),
      notBefore: timeOf(one.valid_from),
      notAfter: timeOf(one.valid_to),
    });
    one = one.issuerCertificate;
  }
  return chain;
}

const nameOf = (name: object | undefined): string =>
  Object.entries(name ?? {})
    .flatMap(([type, value]) => [value].flat().map((one) => `${type}=${String(one)}`))
    .join(', ');

function timeOf(text: string): string {
  const at = Date.parse(text);
  return Number.isNaN(at) ? text : new Date(at).toISOString();
}

/** `ECONNREFUSED`, `ENOTFOUND`, `ERR_SSL_WRONG_VERSION_NUMBER`: what a person can look up. */
function wordsOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  if (!(first instanceof Error)) return String(first);
  const code = 'code' in first && typeof first.code === 'string' ? first.code : undefined;
  return code ?? first.message;
}
