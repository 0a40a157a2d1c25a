// An OCI registry over HTTPS for tests and the demo: manifests and blobs by digest, Range, Bearer tokens; and on demand one that lies, breaks off or never ends.
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { makeServerCertificate } from './certificates.ts';

export type Seen = {
  kind: 'manifest' | 'blob' | 'token' | 'other';
  url: string;
  range: string | undefined;
  authorization: string | undefined;
};
/** True when it has answered, or will. */
export type Misbehaviour = (seen: Seen, response: ServerResponse, bytes: Buffer | undefined, request: IncomingMessage) => boolean;
export type Pushed = { oci: string; digest: string; hex: string; size: number };

export type Origin = {
  /** host:port, as a reference has it. */
  registry: string;
  caPem: string;
  /** A manifest with one layer; gives the reference by digest. */
  push(repository: string, bytes: Buffer): Pushed;
  /** Takes the place of the right answers until it is called without one. */
  misbehave(how?: Misbehaviour): void;
  readonly seen: readonly Seen[];
  close(): Promise<void>;
};

export async function startOrigin(options: { user?: string; password?: string; port?: number } = {}): Promise<Origin> {
  const { caPem, certPem, keyPem } = await makeServerCertificate();
  const manifests = new Map<string, Buffer>();
  const blobs = new Map<string, Buffer>();
  const tokens = new Set<string>();
  const seen: Seen[] = [];
  let misbehaviour: Misbehaviour | undefined;

  const server = createServer({ key: keyPem, cert: certPem }, (request, response) => {
    response.on('error', () => undefined);
    const url = request.url ?? '/';
    const [, kind, hex] = /^\/v2\/[a-z0-9/._-]+\/(manifests|blobs)\/sha256:([0-9a-f]{64})$/.exec(url) ?? [];
    const bytes = kind === undefined ? undefined : (kind === 'manifests' ? manifests : blobs).get(hex ?? '');
    const { range, authorization } = request.headers;
    const now: Seen = {
      kind: kind === 'manifests' ? 'manifest' : kind === 'blobs' ? 'blob' : url.startsWith('/token?') ? 'token' : 'other',
      url,
      range,
      authorization,
    };
    seen.push(now);
    if (misbehaviour?.(now, response, bytes, request) === true) return;
    if (now.kind === 'token') return giveToken(authorization, response);
    if (options.user !== undefined && !tokens.has(authorization?.replace(/^Bearer /, '') ?? '')) {
      const challenge = `Bearer realm="https://localhost:${port}/token",service="origin"`;
      return void response.writeHead(401, { 'www-authenticate': challenge }).end();
    }
    if (bytes === undefined) return void response.writeHead(404).end();
    serve(bytes, range, response);
  });

  function giveToken(authorization: string | undefined, response: ServerResponse): void {
    const wanted = `Basic ${Buffer.from(`${options.user}:${options.password}`).toString('base64')}`;
    if (authorization !== wanted) return void response.writeHead(401).end();
    const token = randomBytes(16).toString('hex');
    tokens.add(token);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token, expires_in: 300 }));
  }

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const registry = `localhost:${port}`;
  return {
    registry,
    caPem,
    push(repository, bytes) {
      const hex = sha256(bytes);
      const layer = { mediaType: 'application/octet-stream', digest: `sha256:${hex}`, size: bytes.length };
      const manifest = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          config: { ...layer, size: 2 },
          layers: [layer],
        }),
      );
      blobs.set(hex, bytes);
      manifests.set(sha256(manifest), manifest);
      return { oci: `${registry}/${repository}@sha256:${sha256(manifest)}`, digest: `sha256:${hex}`, hex, size: bytes.length };
    },
    misbehave(how) {
      misbehaviour = how;
    },
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function serve(bytes: Buffer, range: string | undefined, response: ServerResponse): void {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? -1);
  if (from < 0) return void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  if (from >= bytes.length) return void response.writeHead(416).end();
  const head = { 'content-length': bytes.length - from, 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(206, head).end(bytes.subarray(from));
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
