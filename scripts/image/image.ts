// Hedgerow's image: every process of it, chosen by the command (`operator`, `kubectl-hedgerow`).
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { dockerArchive } from './archive.ts';
import { bundle } from './bundle.ts';
import { nodeRuntime } from './runtime.ts';

/** Nobody's id on purpose: the same as in the chart. */
const USER = '65532:65532';

export type BuiltImage = { file: string; reference: string; id: string; bytes: number };

export async function buildImage(options: {
  reference: string;
  file: string;
  commands?: Readonly<Record<string, string>>;
}): Promise<BuiltImage> {
  const [runtime, app] = await Promise.all([nodeRuntime(), bundle(options.commands)]);
  const { content, id } = dockerArchive({
    reference: options.reference,
    layers: [runtime, app],
    entrypoint: ['operator'],
    user: USER,
    env: { PATH: '/usr/bin', NODE_ENV: 'production' },
    labels: { 'org.opencontainers.image.title': 'hedgerow', 'org.opencontainers.image.licenses': 'Apache-2.0' },
  });
  await mkdir(dirname(options.file), { recursive: true });
  await writeFile(options.file, content);
  return { file: options.file, reference: options.reference, id, bytes: content.length };
}
