// Catalogs as the operator writes them: ConfigMaps of its namespace with the label hedgerow.dev/catalog, followed by watch.
import { CONFIG_MAPS } from '../../operator/api/resources.ts';
import { type KubeObject, keyOf } from '../../operator/kube/object.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../../operator/kube/reflector.ts';
import type { Projected } from '../../operator/kube/store.ts';
import { type Catalog, readCatalog } from './catalog.ts';
import type { Catalogs } from './catalogs.ts';
import { type Problem, Refused } from './errors.ts';

type ConfigMap = KubeObject & { data?: Record<string, string>; binaryData?: Record<string, string> };
type Read = Projected & { catalog: Catalog | Problem };
type Shared = Pick<ReflectorOptions<KubeObject, Projected>, 'client' | 'clock' | 'random' | 'log' | 'metrics'>;

const CATALOG_LABEL = 'hedgerow.dev/catalog=true';

export function watchCatalogs(namespace: string, catalogs: Catalogs, shared: Shared): Reflector<Projected> {
  return createReflector<ConfigMap, Read>({
    ...shared,
    type: CONFIG_MAPS,
    namespace,
    labelSelector: CATALOG_LABEL,
    project: (object) => ({
      key: keyOf(object),
      uid: object.metadata.uid ?? '',
      resourceVersion: object.metadata.resourceVersion ?? '',
      catalog: read(object),
    }),
    onChange: ({ key, after }) => {
      if (after !== undefined && 'artifacts' in after.catalog) return catalogs.put(key, after.catalog);
      catalogs.remove(key);
      if (after !== undefined) shared.log.warn({ catalog: key, ...after.catalog }, 'a catalog does not read; nothing of it is served');
    },
  });
}

function read({ data = {}, binaryData = {} }: ConfigMap): Catalog | Problem {
  const files = new Map([
    ...Object.entries(data).map(([name, text]): [string, Buffer] => [name, Buffer.from(text, 'utf8')]),
    ...Object.entries(binaryData).map(([name, text]): [string, Buffer] => [name, Buffer.from(text, 'base64')]),
  ]);
  try {
    return readCatalog(files);
  } catch (error) {
    if (error instanceof Refused) return error.problem;
    throw error;
  }
}
