// The API server with the committed manifests of crds/ in it, and the question what it says to a manifest. Structured answers, not kubectl's text.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KINDS } from '../../operator/api/kinds.ts';
import { type AdminApi, adminApi } from '../controlplane/api.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { objectsIn, ROOT } from '../harness/manifests.ts';
import { runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';

export type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: { name?: string; generateName?: string; namespace?: string; [field: string]: unknown };
  spec?: unknown;
  status?: unknown;
};

/** `problems`: what the server finds wrong, `<field>: <its words without its own preamble>`, sorted; an admission policy names no field. `text`: the whole answer. */
export type Answer = { status: number; object: Manifest; problems: string[]; text: string };

export type ApiServer = {
  /** Nothing is stored. `as`: user name, with the administrator's rights. */
  dryRun(manifest: Manifest, as?: string): Promise<Answer>;
  create(manifest: Manifest, as?: string): Promise<Answer>;
  /** Server-side apply by field manager `test` or another; `subresource` such as `status`. */
  apply(manifest: Manifest, options?: { as?: string; manager?: string; subresource?: string; dryRun?: true }): Promise<Answer>;
  remove(manifest: Manifest, as?: string): Promise<Answer>;
  get(manifest: Manifest): Promise<Answer>;
  /** The parsed answer of a GET. */
  read<T>(path: string): Promise<T>;
  close(): void;
};

/** CRDs and admission policies as they are committed; returns when the policies refuse what they should. */
export async function installApi(cluster: Cluster): Promise<void> {
  const run = runner(cluster);
  await run.apply(objectsIn(join(ROOT, 'crds')));
  await run.kubectl('wait', '--for=condition=Established', ...KINDS.map(({ resource }) => `crd/${resource.plural}.${resource.group}`));
  await run.apply(objectsIn(join(ROOT, 'crds', 'admission')));
}

export async function openApi(cluster: Cluster): Promise<ApiServer> {
  const clients = new Map<string, Promise<AdminApi>>();
  const clientOf = (as: string): Promise<AdminApi> => {
    const known = clients.get(as) ?? connectAs(cluster, as);
    clients.set(as, known);
    return known;
  };
  const send = async (method: string, path: string, body: unknown, as = 'admin', contentType?: string): Promise<Answer> => {
    const answer = await (await clientOf(as)).send(method, path, body, contentType);
    const object = JSON.parse(answer.body) as Manifest & Status;
    return { status: answer.status, object, problems: answer.status < 400 ? [] : problemsOf(object), text: answer.body };
  };
  const strict = 'fieldValidation=Strict';
  const server: ApiServer = {
    dryRun: (manifest, as) => send('POST', `${collection(manifest)}?dryRun=All&${strict}`, manifest, as),
    create: (manifest, as) => send('POST', `${collection(manifest)}?${strict}`, manifest, as),
    apply: (manifest, { as, manager = 'test', subresource, dryRun } = {}) =>
      send(
        'PATCH',
        `${item(manifest)}${subresource === undefined ? '' : `/${subresource}`}?fieldManager=${manager}&force=true&${strict}${dryRun ? '&dryRun=All' : ''}`,
        manifest,
        as,
        'application/apply-patch+yaml',
      ),
    remove: (manifest, as) => send('DELETE', item(manifest), undefined, as),
    get: (manifest) => send('GET', item(manifest), undefined),
    read: async <T>(path: string) => (await send('GET', path, undefined)).object as T,
    close: () => {
      for (const client of clients.values()) client.then(({ close }) => close()).catch(() => undefined);
    },
  };
  await policiesInForce(server);
  return server;
}

type Status = { message?: string; details?: { causes?: { field?: string; message?: string }[] } };

/** `Invalid value: "…": ` and the name of the policy are the server's; what follows is ours. Of objects the server gives no value. */
const PREAMBLE =
  /^(Invalid value: (("(?:[^"\\]|\\.)*"|null|true|false|-?[\d.]+): )?|ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request: )/;
/** The server's own remark when the schema refuses already. */
const UNCHECKED = 'some validation rules were not checked because the object was invalid';

function problemsOf(status: Status): string[] {
  const causes = status.details?.causes ?? [];
  if (causes.length === 0) return [status.message ?? ''];
  return causes
    .map(({ field = '', message = '' }) => ({ field: field === '<nil>' ? '' : field, message: message.replace(PREAMBLE, '') }))
    .filter(({ message }) => !message.startsWith(UNCHECKED))
    .map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
    .sort();
}

/** A policy is compiled a moment after it was stored; until then it lets everything through. */
async function policiesInForce(server: ApiServer): Promise<void> {
  const metadata = (name: string): Manifest['metadata'] => ({ name, namespace: 'default' });
  const [apiVersion, device] = ['hedgerow.dev/v1alpha1', { segment: 's' }];
  const probes: [Manifest, code: string][] = [
    [{ apiVersion, kind: 'Device', metadata: metadata('a.b'), spec: device }, 'HR-API-002'],
    [{ apiVersion, kind: 'SegmentPolicy', metadata: metadata('s'), spec: { trust: 4 } }, 'HR-API-014'],
    [
      {
        apiVersion,
        kind: 'Intervention',
        metadata: metadata('i'),
        spec: { target: { kind: 'Device', name: 'd' }, action: 'Revoke', requestedBy: 'nobody', reason: 'probe' },
      },
      'HR-API-012',
    ],
    [{ apiVersion, kind: 'CertificateLedger', metadata: metadata('l'), spec: {} }, 'HR-API-013'],
  ];
  for (const [manifest, code] of probes)
    await waitFor(`the API server to refuse with ${code}`, async () =>
      (await server.dryRun(manifest)).problems.some((problem) => problem.startsWith(code)) ? true : undefined,
    );
}

async function connectAs(cluster: Cluster, user: string): Promise<AdminApi> {
  const file = user === 'admin' ? cluster.adminKubeconfig : await cluster.kubeconfigFor({ user, groups: ['system:masters'] });
  const { users } = JSON.parse(await readFile(file, 'utf8')) as { users: { user: Record<string, string> }[] };
  const decode = (field: string): string => Buffer.from(users[0]?.user[field] ?? '', 'base64').toString('utf8');
  return adminApi(cluster.server, cluster.caPem, { cert: decode('client-certificate-data'), key: decode('client-key-data') });
}

function collection({ apiVersion, kind, metadata }: Manifest): string {
  const plural = KINDS.find(({ resource }) => resource.kind === kind)?.resource.plural ?? `${kind.toLowerCase()}s`;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return metadata.namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${metadata.namespace}/${plural}`;
}

const item = (manifest: Manifest): string => `${collection(manifest)}/${manifest.metadata.name ?? ''}`;
