/**
 * The CRL check of `enable_crl_check` (crl.json, crl-fresh-broker.json): the leaf alone is looked up, its CRL comes from the URL in the
 * certificate itself, fetched in the handshake where it is not cached, refreshed every minute, kept until its nextUpdate.
 */

import 'reflect-metadata';
import http from 'node:http';
import { CRLDistributionPointsExtension, X509Certificate, X509Crl } from '@peculiar/x509';
import { durationMs } from './config.ts';

export type CrlVerdict = 'good' | 'revoked' | 'no usable CRL';
type Settings = { refresh_interval: string; http_timeout: string };
type Cached = { url: string; crl: X509Crl };

const MIN_REFRESH_MS = 60_000;
const RETRY_MS = 5_000;
const MAX_CRL_BYTES = 16 * 1024 * 1024;

export class CrlCache {
  readonly #settings: () => Settings;
  readonly #cached = new Map<string, Cached>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(settings: () => Settings) {
    this.#settings = settings;
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** `roots`: the CA bundle that the certificate was verified against. */
  async check(leafDer: Buffer, roots: string): Promise<CrlVerdict> {
    const leaf = new X509Certificate(new Uint8Array(leafDer));
    const issuers = certificates(roots).filter((root) => root.subject === leaf.issuer);
    const url = distributionPoint(leaf);
    // A failure is not remembered: the next handshake asks again.
    if (url !== undefined && !this.#cached.has(url)) await this.#fetch(url);
    const own = url === undefined ? undefined : this.#cached.get(url);
    const usable = (await isUsable(own, issuers)) ? own : await this.#ofSameIssuer(issuers);
    if (!usable) return 'no usable CRL';
    return usable.crl.findRevoked(leaf) === null ? 'good' : 'revoked';
  }

  /** Where the own CRL is of no use, OTP takes any that the same CA signed, whatever URL it came from. */
  async #ofSameIssuer(issuers: X509Certificate[]): Promise<Cached | undefined> {
    for (const cached of this.#cached.values()) if (await isUsable(cached, issuers)) return cached;
    return undefined;
  }

  async #fetch(url: string): Promise<void> {
    const body = await download(url, durationMs(this.#settings().http_timeout) ?? 5_000);
    const crl = body && parse(body, 'PEM or DER');
    if (!crl) return;
    this.#cached.set(url, { url, crl });
    this.#refreshLater(url, Math.max(durationMs(this.#settings().refresh_interval) ?? MIN_REFRESH_MS, MIN_REFRESH_MS));
  }

  #refreshLater(url: string, afterMs: number): void {
    clearTimeout(this.#timers.get(url));
    this.#timers.set(url, setTimeout(() => void this.refresh(url), afterMs).unref());
  }

  /** The old CRL stays where the new one cannot be had; a DER body, which the first fetch took, is dropped by the refresh. */
  async refresh(url: string): Promise<void> {
    const body = await download(url, durationMs(this.#settings().http_timeout) ?? 5_000);
    if (body) {
      const crl = parse(body, 'PEM');
      if (crl) this.#cached.set(url, { url, crl });
      else this.#cached.delete(url);
    }
    this.#refreshLater(url, body ? Math.max(durationMs(this.#settings().refresh_interval) ?? 0, MIN_REFRESH_MS) : RETRY_MS);
  }
}

function certificates(bundle: string): X509Certificate[] {
  const found = bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return found.map((pem) => new X509Certificate(pem));
}

function distributionPoint(leaf: X509Certificate): string | undefined {
  const extension = leaf.getExtension(CRLDistributionPointsExtension);
  const names = extension?.distributionPoints.flatMap((point) => point.distributionPoint?.fullName ?? []) ?? [];
  return names.map((name) => name.uniformResourceIdentifier).find((uri) => uri?.startsWith('http://'));
}

async function isUsable(cached: Cached | undefined, issuers: X509Certificate[]): Promise<boolean> {
  if (!cached || (cached.crl.nextUpdate?.getTime() ?? 0) <= Date.now()) return false;
  for (const issuer of issuers) {
    if (cached.crl.issuer === issuer.subject && (await cached.crl.verify({ publicKey: issuer }).catch(() => false))) return true;
  }
  return false;
}

function parse(body: Buffer, form: 'PEM' | 'PEM or DER'): X509Crl | undefined {
  const pem = /-----BEGIN X509 CRL-----[\s\S]+?-----END X509 CRL-----|-----BEGIN CRL-----[\s\S]+?-----END CRL-----/.exec(
    body.toString('latin1'),
  );
  if (!pem && form === 'PEM') return undefined;
  try {
    return new X509Crl(pem ? pem[0] : new Uint8Array(body));
  } catch {
    return undefined;
  }
}

/** Undefined for anything but a 200 in time. */
function download(url: string, timeoutMs: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const request = http.get(url, { signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_CRL_BYTES) request.destroy();
        else chunks.push(chunk);
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve(response.statusCode === 200 ? Buffer.concat(chunks) : undefined));
    });
    request.on('error', () => resolve(undefined));
  });
}
