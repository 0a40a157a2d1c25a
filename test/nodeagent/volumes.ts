// The volumes of a pod as folders of the node: made once, before the container starts. The rights are the node's own: the Node authorizer shows it only what its pods name.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { PlainError } from '../harness/plain-api.ts';
import { fieldOf, type Item, type Pod, type ProjectedSource, type Volume } from './pod.ts';

export type Send = <T>(method: string, path: string, body?: object, contentType?: string) => Promise<T>;
export type VolumeDeps = { send: Send; nodeName: string };

/** Makes each volume in `dir/NAME`. */
export async function makeVolumes(pod: Pod, dir: string, deps: VolumeDeps): Promise<void> {
  for (const volume of pod.spec.volumes ?? []) {
    const folder = join(dir, volume.name);
    await mkdir(folder, { recursive: true });
    for (const [path, content] of await filesOf(pod, volume, deps)) {
      const file = join(folder, normalize(join('/', path)));
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content, { mode: 0o600 });
    }
  }
}

type Files = [path: string, content: Buffer][];

async function filesOf(pod: Pod, { configMap, secret, downwardAPI, projected }: Volume, deps: VolumeDeps): Promise<Files> {
  const sources: ProjectedSource[] = [
    ...(configMap === undefined ? [] : [{ configMap }]),
    ...(secret === undefined ? [] : [{ secret: { ...secret, name: secret.secretName } }]),
    ...(downwardAPI === undefined ? [] : [{ downwardAPI }]),
    ...(projected?.sources ?? []),
  ];
  const files: Files = [];
  for (const source of sources) files.push(...(await filesFrom(pod, source, deps)));
  return files;
}

async function filesFrom(pod: Pod, source: ProjectedSource, { send, nodeName }: VolumeDeps): Promise<Files> {
  const { serviceAccountToken: token, downwardAPI, configMap, secret } = source;
  if (token !== undefined) return [[token.path, Buffer.from(await tokenFor(pod, token, send))]];
  if (downwardAPI !== undefined)
    return (downwardAPI.items ?? []).map(({ path, fieldRef }) => [
      path,
      Buffer.from(fieldOf(pod, nodeName, fieldRef?.fieldPath ?? '') ?? ''),
    ]);
  const [resource, wanted] = configMap === undefined ? (['secrets', secret] as const) : (['configmaps', configMap] as const);
  if (wanted === undefined) throw new Error(`a source of ${Object.keys(source)} is not known here`);
  const data = await dataOf(send, resource, pod.metadata.namespace, wanted.name, wanted.optional === true);
  return chosen(data, wanted.items);
}

/** The value of one key; undefined when the object or the key is not there. */
export async function valueUnder(
  send: Send,
  resource: 'secrets' | 'configmaps',
  namespace: string,
  ref: { name: string; key: string; optional?: boolean },
): Promise<string | undefined> {
  return (await dataOf(send, resource, namespace, ref.name, ref.optional === true)).get(ref.key)?.toString('utf8');
}

type Data = ReadonlyMap<string, Buffer>;

async function dataOf(send: Send, resource: 'secrets' | 'configmaps', namespace: string, name: string, optional: boolean): Promise<Data> {
  type Found = { data?: Record<string, string>; binaryData?: Record<string, string> };
  try {
    const { data = {}, binaryData = {} } = await send<Found>('GET', `/api/v1/namespaces/${namespace}/${resource}/${name}`);
    const encoding = resource === 'secrets' ? 'base64' : 'utf8';
    return new Map([
      ...Object.entries(data).map(([key, value]) => [key, Buffer.from(value, encoding)] as const),
      ...Object.entries(binaryData).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
    ]);
  } catch (error) {
    if (optional && error instanceof PlainError && error.status === 404) return new Map();
    throw error;
  }
}

function chosen(data: Data, items: readonly Item[] | undefined): Files {
  if (items === undefined) return [...data];
  return items.flatMap(({ key, path }) => {
    const content = data.get(key);
    return content === undefined ? [] : [[path, content] as Files[number]];
  });
}

/** Bound to the pod: it ends with it, and NodeRestriction gives a node no other. */
async function tokenFor(pod: Pod, token: NonNullable<ProjectedSource['serviceAccountToken']>, send: Send): Promise<string> {
  const { name, namespace, uid } = pod.metadata;
  const account = pod.spec.serviceAccountName ?? 'default';
  const review = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: token.audience === undefined ? [] : [token.audience],
      expirationSeconds: token.expirationSeconds ?? 3_600,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    },
  };
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
  return (await send<{ status: { token: string } }>('POST', path, review)).status.token;
}
