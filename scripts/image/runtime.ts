// The bottom layer of the image: Node 24 and the few C libraries it is linked with. No shell, no package manager, nothing else to run.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Entry } from './tar.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** glibc opens these by name, when a host name is asked for; from 2.34 on they are parts of libc itself and these files are empty shells. */
const OPENED_LATER = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'];

export async function nodeRuntime(): Promise<Entry[]> {
  if (process.platform !== 'linux')
    throw new Error(`the image holds this machine's Node, so it can be built on Linux only, not on ${process.platform}`);
  const node = nodeBinary();
  const libraries = await linkedLibraries(node);
  const files = await Promise.all(
    [...libraries].map(async (path): Promise<Entry> => ({ path: path.slice(1), mode: 0o755, content: await readFile(path) })),
  );
  return [
    { path: 'usr/bin/node', mode: 0o755, content: await readFile(node) },
    ...files,
    { path: 'etc/passwd', mode: 0o644, content: Buffer.from('hedgerow:x:65532:65532:hedgerow:/:/nonexistent\n') },
    // Names of the cluster come from DNS; /etc/hosts is the kubelet's.
    { path: 'etc/nsswitch.conf', mode: 0o644, content: Buffer.from('hosts: files dns\n') },
    ...(await licences()),
  ];
}

/** The `node` development dependency; its absence means that the Node that runs this was found good enough (scripts/run.mjs). */
function nodeBinary(): string {
  const own = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  return existsSync(own) ? own : process.execPath;
}

/** Full paths as the loader finds them: the image has them at the same place, so its loader finds them without a cache. */
async function linkedLibraries(binary: string): Promise<Set<string>> {
  const { stdout } = await run('ldd', [binary]).catch((error: unknown) => {
    throw new Error(`cannot tell which libraries ${binary} needs (a glibc Linux with ldd is required)`, { cause: error });
  });
  const paths = new Set<string>();
  for (const line of stdout.split('\n')) {
    // `libc.so.6 => /lib/…/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`
    const path = /(?:=>\s*|^\s*)(\/\S+) \(0x/.exec(line)?.[1];
    if (path !== undefined) paths.add(path);
    else if (line.includes('not found')) throw new Error(`a library of Node is missing here: ${line.trim()}`);
  }
  const libc = [...paths].find((path) => path.includes('/libc.so'));
  if (libc === undefined) throw new Error(`${binary} is not linked with glibc`);
  for (const name of OPENED_LATER) {
    const path = libc.replace(/libc\.so.*$/, name);
    if (existsSync(path)) paths.add(path);
  }
  return paths;
}

const COPYRIGHTS = ['libc6', 'libstdc++6', 'libgcc-s1'].map((name) => `/usr/share/doc/${name}/copyright`);

/** Debian keeps them beside the packages; other systems elsewhere. */
async function licences(): Promise<Entry[]> {
  const found = COPYRIGHTS.filter((path) => existsSync(path));
  return Promise.all(found.map(async (path): Promise<Entry> => ({ path: path.slice(1), mode: 0o644, content: await readFile(path) })));
}
