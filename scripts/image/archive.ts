// A container image as one file that `docker load`, `ctr images import` and `k3s ctr images import` read: no registry, no daemon.
// Format: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
import { createHash } from 'node:crypto';
import { type Entry, tar } from './tar.ts';

export type Image = {
  /** `name:tag` */
  reference: string;
  /** The first lies at the bottom. */
  layers: readonly (readonly Entry[])[];
  entrypoint: readonly string[];
  /** Numeric: `runAsNonRoot` cannot judge a name. */
  user: string;
  env: Readonly<Record<string, string>>;
  labels?: Readonly<Record<string, string>>;
};

export type Archive = { content: Buffer /** sha256 of the configuration: the image's id. */; id: string };

/** The same image gives the same bytes. */
export function dockerArchive(image: Image): Archive {
  const layers = image.layers.map((entries) => {
    const content = tar(entries);
    return { content, digest: sha256(content) };
  });
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      created: NO_TIME,
      config: {
        User: image.user,
        Entrypoint: image.entrypoint,
        Env: Object.entries(image.env).map(([name, value]) => `${name}=${value}`),
        WorkingDir: '/',
        Labels: image.labels ?? {},
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
      history: layers.map(() => ({ created: NO_TIME, created_by: 'hedgerow scripts/image' })),
    }),
  );
  const id = sha256(config);
  const manifest = [{ Config: `${id}.json`, RepoTags: [image.reference], Layers: layers.map(({ digest }) => `${digest}/layer.tar`) }];
  const content = tar([
    { path: 'manifest.json', mode: 0o644, content: Buffer.from(JSON.stringify(manifest)) },
    { path: `${id}.json`, mode: 0o644, content: config },
    ...layers.map(({ content, digest }) => ({ path: `${digest}/layer.tar`, mode: 0o644, content })),
  ]);
  return { content, id };
}

const NO_TIME = '1970-01-01T00:00:00Z';

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
