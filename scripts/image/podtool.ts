// The image of the pods in the node test, and of their sandboxes: one static program.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { dockerArchive } from './archive.ts';

export async function buildPodtoolImage(options: { reference: string; file: string; program: string }): Promise<void> {
  const { content } = dockerArchive({
    reference: options.reference,
    layers: [[{ path: 'podtool', mode: 0o755, content: await readFile(options.program) }]],
    // A sandbox is started without words of its own: without an entrypoint containerd refuses it ("invalid empty entrypoint and cmd in image config").
    entrypoint: ['/podtool', 'pause'],
    user: '65532:65532',
    env: {},
  });
  await mkdir(dirname(options.file), { recursive: true });
  await writeFile(options.file, content);
}
