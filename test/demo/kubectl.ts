// kubectl as the administrator, with the command shown before it runs.
import type { ClusterAccess, System } from '../harness/system.ts';
import type { Stage } from './scenes/scene.ts';
import type { Screen } from './screen.ts';

export function kubectlOn(screen: Screen, access: Pick<ClusterAccess, 'kubectl'>): Stage['kubectl'] {
  return async (args, manifest) => {
    screen.text(`    $ kubectl ${args.join(' ')}${manifest === undefined ? '' : `   # ${manifest.about}`}`, 6, screen.paint.dim);
    const startedAt = performance.now();
    const ran = await access.kubectl(args, manifest?.yaml);
    return { ...ran, startedAt, ms: performance.now() - startedAt };
  };
}

/** The data of a Secret as its pod would find it mounted; empty while it is not there. */
export async function secretOf(system: Pick<System, 'kubectl'>, namespace: string, name: string): Promise<Record<string, string>> {
  const text = await system.kubectl('get', 'secret', name, '-n', namespace, '--ignore-not-found', '-o', 'json');
  const { data = {} } = (text === '' ? {} : JSON.parse(text)) as { data?: Record<string, string> };
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
}
