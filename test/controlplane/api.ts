// The launcher's own small client: raw requests as the administrator, server-side apply of the kinds that set-up needs.
import { Agent, request } from 'node:https';
import type { Pem } from './pki.ts';

type Answer = { status: number; body: string };
export type Manifest = { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } };
export type AdminApi = {
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<Answer>;
  /** Throws with the server's words unless the answer is 2xx. */
  call<T>(method: string, path: string, body?: unknown, contentType?: string): Promise<T>;
  apply(objects: readonly Manifest[]): Promise<void>;
  close(): void;
};

const NAMESPACED: Record<string, string> = {
  ServiceAccount: 'serviceaccounts',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  ConfigMap: 'configmaps',
};
const CLUSTER_WIDE: Record<string, string> = {
  Namespace: 'namespaces',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  CustomResourceDefinition: 'customresourcedefinitions',
  MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
  ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
  FlowSchema: 'flowschemas',
  ClusterIssuer: 'clusterissuers',
};

export function adminApi(server: string, caPem: string, client: Pem): AdminApi {
  const agent = new Agent({ keepAlive: true, maxSockets: 16, ca: caPem, cert: client.cert, key: client.key });
  const send: AdminApi['send'] = (method, path, body, contentType = 'application/json') =>
    new Promise((resolve, reject) => {
      const sent = request(
        new URL(path, server),
        {
          agent,
          method,
          timeout: 15_000,
          headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': contentType }) },
        },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => {
            text += chunk;
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text }));
          answer.on('error', reject);
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path} within 15 s`)));
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const call = async <T>(method: string, path: string, body?: unknown, contentType?: string): Promise<T> => {
    const answer = await send(method, path, body, contentType);
    if (answer.status < 200 || answer.status > 299) throw new Error(`${method} ${path}: ${answer.status} ${messageOf(answer.body)}`);
    return JSON.parse(answer.body) as T;
  };
  const applyOne = async (object: Manifest): Promise<void> => {
    await call('PATCH', `${pathOf(object)}?fieldManager=hedgerow-cluster&force=true`, object, 'application/apply-patch+yaml');
  };
  return {
    send,
    call,
    apply: async (objects) => {
      // Namespaces first: the others may live in them.
      for (const object of objects.filter(isNamespace)) await applyOne(object);
      await Promise.all(objects.filter((object) => !isNamespace(object)).map(applyOne));
    },
    close: () => agent.destroy(),
  };
}

export function pathOf(object: Manifest): string {
  const prefix = object.apiVersion.includes('/') ? `/apis/${object.apiVersion}` : `/api/${object.apiVersion}`;
  const clusterWide = CLUSTER_WIDE[object.kind];
  if (clusterWide !== undefined) return `${prefix}/${clusterWide}/${object.metadata.name}`;
  const namespaced = NAMESPACED[object.kind];
  if (namespaced === undefined) throw new Error(`set-up knows no ${object.kind}`);
  return `${prefix}/namespaces/${object.metadata.namespace ?? 'default'}/${namespaced}/${object.metadata.name}`;
}

const isNamespace = (object: Manifest): boolean => object.kind === 'Namespace';

function messageOf(body: string): string {
  try {
    return (JSON.parse(body) as { message?: string }).message ?? body;
  } catch {
    return body;
  }
}
