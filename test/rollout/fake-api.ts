// As much of an API server as a driver of a rollout asks for: objects in memory, conflicts by resourceVersion, list and watch, patches, and a cert-manager that signs at
// once. For tests of the process where the real control plane adds nothing but minutes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

type Meta = { name: string; namespace?: string; uid?: string; resourceVersion?: string; generation?: number; creationTimestamp?: string };
export type ApiObject = { apiVersion?: string; kind?: string; metadata: Meta; spec?: unknown; status?: unknown; [field: string]: unknown };
type Json = Record<string, unknown>;

export type FakeApi = {
  url: string;
  /** How often each was called: `PATCH devices/status`. */
  calls: Map<string, number>;
  /** How often one that was to change an object did: two drivers that meet call more often, and the second is told of a conflict. */
  changes: Map<string, number>;
  put(collection: string, object: ApiObject): ApiObject;
  get(collection: string, name: string): ApiObject | undefined;
  list(collection: string): ApiObject[];
  remove(collection: string, name: string): void;
  close(): Promise<void>;
};

type Watch = { collection: string; name: string | undefined; response: ServerResponse };

/** `sign`: called with each new CertificateRequest; gives its status. */
export async function startFakeApi(
  tls: { certPem: string; keyPem: string },
  sign: (request: ApiObject) => Promise<unknown>,
): Promise<FakeApi> {
  const objects = new Map<string, Map<string, ApiObject>>();
  const watches = new Set<Watch>();
  const calls = new Map<string, number>();
  const changes = new Map<string, number>();
  let revision = 1;

  const of = (collection: string): Map<string, ApiObject> => {
    const known = objects.get(collection) ?? new Map<string, ApiObject>();
    objects.set(collection, known);
    return known;
  };
  function tell(type: string, collection: string, object: ApiObject): void {
    for (const watch of watches) {
      if (watch.collection !== collection || (watch.name !== undefined && watch.name !== object.metadata.name)) continue;
      watch.response.write(`${JSON.stringify({ type, object })}\n`);
    }
  }
  function store(collection: string, object: ApiObject, before: ApiObject | undefined): ApiObject {
    revision += 1;
    const generation = (before?.metadata.generation ?? 0) + (JSON.stringify(before?.spec) === JSON.stringify(object.spec) ? 0 : 1);
    const uid = before?.metadata.uid ?? object.metadata.uid ?? `uid-${object.metadata.name}`;
    const creationTimestamp = before?.metadata.creationTimestamp ?? new Date().toISOString();
    const kept = { ...object, metadata: { ...object.metadata, uid, generation, creationTimestamp, resourceVersion: String(revision) } };
    of(collection).set(object.metadata.name, kept);
    tell(before === undefined ? 'ADDED' : 'MODIFIED', collection, kept);
    return kept;
  }
  const put = (collection: string, object: ApiObject): ApiObject => store(collection, object, of(collection).get(object.metadata.name));
  function remove(collection: string, name: string): void {
    const before = of(collection).get(name);
    if (before === undefined) return;
    of(collection).delete(name);
    revision += 1;
    tell('DELETED', collection, { ...before, metadata: { ...before.metadata, resourceVersion: String(revision) } });
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://api');
    const path = pathOf(url.pathname);
    if (path === undefined) return fail(response, 404, 'NotFound');
    const { collection, kind, name, subresource } = path;
    const method = request.method ?? 'GET';
    const call = `${url.searchParams.has('watch') ? 'WATCH' : method} ${kind}${subresource === undefined ? '' : `/${subresource}`}`;
    calls.set(call, (calls.get(call) ?? 0) + 1);
    const body = await bodyOf(request);
    if (name === undefined) return method === 'POST' ? await create(collection, kind, body, response) : list(collection, url, response);
    const before = of(collection).get(name);
    if (before === undefined) return fail(response, 404, 'NotFound');
    if (method === 'GET') return give(response, 200, before);
    if (method === 'DELETE') {
      remove(collection, name);
      return give(response, 200, { kind: 'Status', status: 'Success' });
    }
    const wanted = (body.metadata ?? {}) as Partial<Meta>;
    const isOther = wanted.uid !== undefined && wanted.uid !== before.metadata.uid;
    if (isOther || (wanted.resourceVersion !== undefined && wanted.resourceVersion !== before.metadata.resourceVersion))
      return fail(response, 409, 'Conflict');
    changes.set(call, (changes.get(call) ?? 0) + 1);
    const isApply = request.headers['content-type'] === 'application/apply-patch+yaml';
    const after = isApply ? applied(before, body) : method === 'PATCH' ? (merged(before, body) as ApiObject) : (body as ApiObject);
    return give(response, 200, store(collection, { ...after, metadata: before.metadata }, before));
  }

  async function create(collection: string, kind: string, body: Json, response: ServerResponse): Promise<void> {
    const object = body as ApiObject;
    if (of(collection).has(object.metadata.name)) return fail(response, 409, 'AlreadyExists');
    const made = store(collection, { ...object, metadata: { ...object.metadata, uid: `uid-${revision}` } }, undefined);
    give(response, 201, made);
    if (kind === 'certificaterequests') put(collection, { ...made, status: await sign(made) });
  }

  function list(collection: string, url: URL, response: ServerResponse): void {
    const name = /^metadata\.name=(.+)$/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1];
    const items = [...of(collection).values()].filter(({ metadata }) => name === undefined || metadata.name === name);
    if (!url.searchParams.has('watch')) return void give(response, 200, { metadata: { resourceVersion: String(revision) }, items });
    response.writeHead(200, { 'content-type': 'application/json' });
    if (url.searchParams.get('sendInitialEvents') === 'true') {
      for (const object of items) response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
      const metadata = { resourceVersion: String(revision), annotations: { 'k8s.io/initial-events-end': 'true' } };
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Bookmark', apiVersion: 'v1', metadata } })}\n`);
    }
    const watch = { collection, name, response };
    watches.add(watch);
    response.on('close', () => watches.delete(watch));
  }

  const server = createServer({ cert: tls.certPem, key: tls.keyPem }, (request, response) => {
    answer(request, response).catch((error: unknown) => fail(response, 500, error instanceof Error ? error.message : 'failed'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    changes,
    put,
    get: (collection, name) => of(collection).get(name),
    list: (collection) => [...of(collection).values()],
    remove,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** `collection`: `<namespace>/<plural>`. */
function pathOf(path: string): { collection: string; kind: string; name?: string; subresource?: string } | undefined {
  const [, namespace, kind, name, subresource] =
    /^(?:\/api\/v1|\/apis\/[^/]+\/[^/]+)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path) ?? [];
  if (namespace === undefined || kind === undefined) return undefined;
  return {
    collection: `${namespace}/${kind}`,
    kind,
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Json);
}

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

function merged(before: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return patch;
  const result: Json = isJson(before) ? { ...before } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}

/** Of a status with `shards`, a list by index: the entries of others stay. */
function applied(before: ApiObject, body: Json): ApiObject {
  const shards = (status: unknown): { index: number }[] =>
    isJson(status) && Array.isArray(status.shards) ? (status.shards as { index: number }[]) : [];
  const own = shards(body.status);
  const others = shards(before.status).filter(({ index }) => own.every((one) => one.index !== index));
  return { ...before, status: { ...(isJson(before.status) ? before.status : {}), shards: [...others, ...own] } };
}

function give(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const fail = (response: ServerResponse, code: number, reason: string): void =>
  give(response, code, { kind: 'Status', status: 'Failure', code, reason, message: reason });
