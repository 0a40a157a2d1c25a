// Where artifacts come from: the OCI distribution API as far as it is needed (a blob by digest, from a place on, found through the manifest that a reference names), and
// files at https URLs by the same rules.
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Clock } from '../../operator/runtime/clock.ts';
import { basicFor, readChallenge, readToken, tokenUrl } from './credentials.ts';
import { Refused } from './errors.ts';
import { dismiss, type Head, type OriginAnswer, type OriginHttp, reasonOf } from './origin-http.ts';
import { blobUrl, manifestUrl, type Reference, type Source } from './reference.ts';

export type Wanted = { hex: string; size: number };
/** `from`: where `body` begins, 0 or what was asked for. */
export type Opened = { from: number; body: Readable };

export interface Registry {
  /** Rejects with `Refused` HR-FW-410 to 419. The digest of what comes is the caller's to check. */
  open(source: Source, wanted: Wanted, from: number, signal: AbortSignal): Promise<Opened>;
}

const MANIFESTS = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';
/** distribution-spec: registries should take 4 MiB; a manifest with one layer has 1 KiB. */
const MOST_MANIFEST_BYTES = 4 * 1024 * 1024;
const MOST_TOKEN_BYTES = 65_536;
const MOST_TOKENS = 256;
const SMALL_ANSWER_MS = 30_000;
/** A token that ends while it is on its way. */
const SPARE_MS = 10_000;

export function createRegistry({ http, authFile, clock }: { http: OriginHttp; authFile: string | undefined; clock: Clock }): Registry {
  const tokens = new Map<string, { authorization: string; until: number }>();

  /** With the token that we have; once more with a new one when that was not enough. */
  async function get(source: Source, url: string, headers: Record<string, string>, signal: AbortSignal): Promise<OriginAnswer> {
    const id = 'url' in source ? source.registry : `${source.registry}/${source.repository}`;
    const known = tokens.get(id);
    const first = known !== undefined && clock.elapsed() < known.until ? { authorization: known.authorization } : {};
    const answer = await http.get(url, { ...headers, ...first }, signal);
    if (answer.status !== 401) return answer;
    dismiss(answer.body);
    const authorization = await authorize(source, id, String(answer.headers['www-authenticate'] ?? ''), signal);
    return await http.get(url, { ...headers, authorization }, signal);
  }

  async function authorize(source: Source, id: string, header: string, signal: AbortSignal): Promise<string> {
    const { registry } = source;
    const basic = await basicFor(registry, authFile);
    const challenge = readChallenge(header);
    if (challenge?.scheme === 'basic' && basic !== undefined) return basic;
    // Tokens are the registries' way; at a plain file server only the password for its host can help.
    const url =
      challenge?.scheme === 'bearer' && 'repository' in source ? tokenUrl(challenge, `repository:${source.repository}:pull`) : undefined;
    if (url === undefined) throw new Refused('HR-FW-411', `${registry} wants credentials, and none fit`);
    const answer = await http.get(url, basic === undefined ? {} : { authorization: basic }, signal);
    const text = await small(answer, MOST_TOKEN_BYTES, registry, signal);
    const token = answer.status === 200 ? readToken(text.toString('utf8')) : undefined;
    if (token === undefined) throw new Refused('HR-FW-411', `the token server of ${registry} gave none (${answer.status})`);
    if (tokens.size >= MOST_TOKENS) tokens.clear();
    tokens.set(id, { authorization: token.authorization, until: clock.elapsed() + token.lastsMs - SPARE_MS });
    return token.authorization;
  }

  /** The whole body, at most `most` bytes. */
  async function small({ body }: OriginAnswer, most: number, registry: string, signal: AbortSignal): Promise<Buffer> {
    const late = clock.setTimer(SMALL_ANSWER_MS, () => body.destroy(new Refused('HR-FW-410', `${registry} is too slow`)));
    const parts: Buffer[] = [];
    let size = 0;
    try {
      for await (const part of body as AsyncIterable<Buffer>) {
        size += part.length;
        if (size > most)
          throw new Refused('HR-FW-416', `${registry} gives more than ${most} bytes where a manifest or a token was asked for`);
        parts.push(part);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Refused) throw error;
      throw new Refused('HR-FW-410', `${registry}: ${reasonOf(error)}`);
    } finally {
      late.cancel();
      dismiss(body);
    }
    return Buffer.concat(parts);
  }

  async function manifest(source: Reference, signal: AbortSignal): Promise<Buffer> {
    const answer = await get(source, manifestUrl(source), { accept: MANIFESTS }, signal);
    refuseStatus(answer, source.registry, [200]);
    return await small(answer, MOST_MANIFEST_BYTES, source.registry, signal);
  }

  return {
    async open(source, wanted, from, signal) {
      // A reference to the blob itself needs no manifest.
      if ('hex' in source && source.hex !== wanted.hex) fits(await manifest(source, signal), source, wanted);
      const range: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
      const answer = await get(source, 'url' in source ? source.url : blobUrl(source, wanted.hex), range, signal);
      refuseStatus(answer, source.registry, from === 0 ? [200] : [200, 206]);
      try {
        return { from: beginOf(answer, source.registry, wanted, from), body: answer.body };
      } catch (error) {
        dismiss(answer.body);
        throw error;
      }
    },
  };
}

/** Throws `Refused` HR-FW-413 or 416 unless these are the bytes of the reference, and have the artifact as a layer. */
export function fits(bytes: Buffer, { registry, hex }: Reference, wanted: Wanted): void {
  if (createHash('sha256').update(bytes).digest('hex') !== hex)
    throw new Refused('HR-FW-413', `${registry} gives another manifest than the one of this digest`);
  const layers = layersOf(bytes);
  if (!layers.some((layer) => layer.digest === `sha256:${wanted.hex}` && layer.size === wanted.size))
    throw new Refused('HR-FW-416', `the manifest has no layer with the digest and the size of the artifact`);
}

function layersOf(bytes: Buffer): { digest?: unknown; size?: unknown }[] {
  try {
    const { layers } = JSON.parse(bytes.toString('utf8')) as { layers?: unknown };
    if (Array.isArray(layers)) return layers.filter((layer) => typeof layer === 'object' && layer !== null);
  } catch {
    // Said below.
  }
  throw new Refused('HR-FW-416', 'the manifest has no layers: it is an index, or no manifest');
}

/** Where the body begins. What a 206 says about itself has to be what was asked for; the size is that of the statement, in every answer. */
function beginOf({ status, headers }: OriginAnswer, registry: string, { size }: Wanted, asked: number): number {
  const encoding = one(headers, 'content-encoding');
  if (encoding !== '' && encoding !== 'identity') throw new Refused('HR-FW-417', `${registry} answers with Content-Encoding`);
  if (status === 200) {
    const length = one(headers, 'content-length');
    if (length !== '' && length !== String(size)) throw new Refused('HR-FW-414', `${registry} announces another size than ${size}`);
    return 0;
  }
  if (one(headers, 'content-range') !== `bytes ${asked}-${size - 1}/${size}`)
    throw new Refused('HR-FW-414', `${registry} answers with another range than bytes ${asked}-${size - 1}/${size}`);
  return asked;
}

function refuseStatus({ status, body }: OriginAnswer, registry: string, good: readonly number[]): void {
  if (good.includes(status)) return;
  dismiss(body);
  const found = `${registry} answers ${status}`;
  if (status === 401 || status === 403) throw new Refused('HR-FW-411', found);
  if (status === 429 || status >= 500) throw new Refused('HR-FW-418', found);
  throw new Refused(status === 416 ? 'HR-FW-414' : 'HR-FW-412', found);
}

function one(headers: Head, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : (value?.join(',') ?? '');
}
