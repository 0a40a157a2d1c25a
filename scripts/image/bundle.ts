// The upper layer: the operator and the kubectl plugin as JavaScript, types stripped, packages inside. What only some processes need (the kubeconfig library: 125 MB
// of memory once loaded) stays a file of its own that is read when it is asked for.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Entry } from './tar.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Command in the image → its source. */
export const COMMANDS: Readonly<Record<string, string>> = {
  operator: 'operator/main.ts',
  'kubectl-hedgerow': 'operator/cli/main.ts',
  artifacts: 'edge-k3s/artifacts/main.ts',
  gateway: 'edge-k3s/gateway/main.ts',
};

/** Sources that are not there yet are left out, but for the operator. */
export async function bundle(commands: Readonly<Record<string, string>> = COMMANDS): Promise<Entry[]> {
  const present = Object.entries(commands).filter(([name, source]) => name === 'operator' || existsSync(join(ROOT, source)));
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(present),
    outdir: 'app',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Stack traces name functions; the licences of the packages stay in the files.
    keepNames: true,
    legalComments: 'eof',
    logLevel: 'error',
    write: false,
    // Packages in CommonJS ask for Node's own modules by require, which ES modules do not have.
    banner: { js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);" },
  });
  const files = result.outputFiles.map((file): Entry => {
    const name = basename(file.path);
    const isCommand = present.some(([command]) => name === `${command}.mjs`);
    const content = Buffer.from(file.contents);
    // The kernel itself runs a file with this first line: no shell needed.
    return { path: `app/${name}`, mode: isCommand ? 0o755 : 0o644, content: isCommand ? Buffer.concat([SHEBANG, content]) : content };
  });
  return [...files, ...present.map(([command]): Entry => ({ path: `usr/bin/${command}`, target: `/app/${command}.mjs` }))];
}

const SHEBANG = Buffer.from('#!/usr/bin/node\n');
