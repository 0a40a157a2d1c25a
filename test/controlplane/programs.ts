// The Go programs of the harness: compiled once, kept outside the tree by the checksum of what they are made of, each built only when something needs it.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { access, chmod, cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheRoot } from './cache.ts';
import { compile, type Say } from './compile.ts';
import { withLock } from './lock.ts';
import { findToolchain, type Toolchain } from './toolchain.ts';

const run = promisify(execFile);

export type ProgramName = 'cp' | 'addons' | 'netpol' | 'helm' | 'podtool' | 'estclient' | 'argocd' | 'sigstore' | 'ociregistry';
/** A compiled program and the files of its modules that go with it (charts, stages). */
export type Program = { bin: string; assets: string };

type Recipe = {
  title: string;
  /** What a first compile took on two cores: the first estimate. */
  coldMinutes: number;
  /** The path of a `tool` of the module; default: the program in its folder. */
  tool?: string;
  cgo?: true;
  /** `-X` variables. */
  stamps: Record<string, string>;
  /** Folders of modules that are needed at run time: kept beside the program, so that a hit needs no Go. */
  assets: readonly { module: string; from: string; to: string }[];
};

const KUBERNETES_VERSION = { gitVersion: 'v1.36.3', gitMajor: '1', gitMinor: '36', gitTreeState: 'clean' };

const RECIPES: Record<ProgramName, Recipe> = {
  cp: {
    title: 'the control plane (Kubernetes 1.36.3, etcd 3.6.8)',
    coldMinutes: 7,
    // Both packages: `/version` and node versions read the first, client user agents the second.
    stamps: Object.fromEntries(
      ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) =>
        Object.entries(KUBERNETES_VERSION).map(([key, value]) => [`${path}.${key}`, value]),
      ),
    ),
    assets: [],
  },
  addons: {
    title: 'cert-manager 1.21.1 and kwok 0.8.0',
    coldMinutes: 3,
    stamps: {},
    assets: [
      { module: 'github.com/cert-manager/cert-manager', from: 'deploy/charts/cert-manager', to: 'cert-manager' },
      { module: 'sigs.k8s.io/kwok', from: 'kustomize', to: 'kwok' },
    ],
  },
  netpol: { title: 'kube-router 2.10.0', coldMinutes: 3, stamps: {}, assets: [] },
  helm: { title: 'helm 4.2.4', coldMinutes: 1, stamps: {}, assets: [] },
  podtool: { title: 'the pods of the node test', coldMinutes: 1, stamps: {}, assets: [] },
  // Its support of hardware tokens (pkcs11) is in C.
  estclient: {
    title: "GlobalSign's EST client 1.0.6",
    coldMinutes: 1,
    tool: 'github.com/globalsign/est/cmd/estclient',
    cgo: true,
    stamps: {},
    assets: [],
  },
  sigstore: { title: "Sigstore's signer", coldMinutes: 1, stamps: {}, assets: [] },
  ociregistry: { title: 'an OCI registry (go-containerregistry 0.20.6)', coldMinutes: 1, stamps: {}, assets: [] },
  argocd: {
    title: 'Argo CD 3.2.0 (application-controller and repo-server)',
    coldMinutes: 3,
    stamps: {},
    assets: ['crds', 'base/config', 'base/application-controller-roles', 'base/repo-server', 'cluster-rbac/application-controller'].map(
      (part) => ({ module: 'github.com/argoproj/argo-cd/v3', from: `manifests/${part}`, to: `manifests/${part}` }),
    ),
  },
};

const SOURCES = fileURLToPath(new URL('.', import.meta.url));

const inThisProcess = new Map<ProgramName, Promise<Program>>();

/** The program, compiled if it was not before. Says nothing on a hit; two processes never compile the same at the same time. */
export function program(name: ProgramName, say: Say = sayOnStderr): Promise<Program> {
  const known = inThisProcess.get(name);
  if (known !== undefined) return known;
  const made = ensure(name, say);
  inThisProcess.set(name, made);
  // A failure may be cured (Go installed meanwhile), so it is not remembered.
  made.catch(() => inThisProcess.delete(name));
  return made;
}

export const sayOnStderr: Say = (line) => {
  process.stderr.write(`${line}\n`);
};

async function ensure(name: ProgramName, say: Say): Promise<Program> {
  const toolchain = await toolchainOnce(say);
  const dir = join(cacheRoot(), 'programs', `${name}-${await fingerprint(name, toolchain)}`);
  const ready: Program = { bin: join(dir, name), assets: join(dir, 'assets') };
  if (await exists(ready.bin)) return ready;
  await mkdir(join(cacheRoot(), 'programs'), { recursive: true });
  await withLock(`${dir}.lock`, { waiting: () => say(`another process is compiling ${RECIPES[name].title}; waiting for it`) }, async () => {
    if (!(await exists(ready.bin))) await build(name, toolchain, dir, say);
  });
  return ready;
}

async function build(name: ProgramName, toolchain: Toolchain, dir: string, say: Say): Promise<void> {
  const recipe = RECIPES[name];
  const next = `${dir}.building-${process.pid}`;
  const source = join(SOURCES, name);
  // Ended in the middle: the lock of a dead process is taken over, its half-made folder is nobody's.
  const tidy = (): void => rmSync(next, { recursive: true, force: true });
  process.once('exit', tidy);
  try {
    await mkdir(join(next, 'assets'), { recursive: true });
    await compile({
      title: recipe.title,
      coldMinutes: recipe.coldMinutes,
      source,
      target: recipe.tool ?? '.',
      cgo: recipe.cgo === true,
      output: join(next, name),
      ldflags: ldflags(recipe),
      toolchain,
      cacheDir: dir,
      say,
    });
    for (const asset of recipe.assets) await copyAsset(source, toolchain, asset.module, asset.from, join(next, 'assets', asset.to));
    await rename(next, dir);
  } finally {
    await rm(next, { recursive: true, force: true });
    process.off('exit', tidy);
  }
}

function ldflags(recipe: Recipe): string {
  return ['-s', '-w', ...Object.entries(recipe.stamps).map(([variable, value]) => `-X ${variable}=${value}`)].join(' ');
}

async function copyAsset(source: string, toolchain: Toolchain, module: string, from: string, to: string): Promise<void> {
  const { stdout } = await run(toolchain.go, ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', module], {
    cwd: source,
    env: { ...process.env, ...toolchain.env },
  });
  await cp(join(stdout.trim(), from), to, { recursive: true });
  await makeWritable(to);
}

/** The module cache is read-only; a copy of it could not be deleted. */
async function makeWritable(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await makeWritable(path);
    else await chmod(path, 0o644);
  }
}

/** Changes with every source file, go.mod, go.sum, the stamps, the toolchain and the platform. */
async function fingerprint(name: ProgramName, toolchain: Toolchain): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([RECIPES[name], toolchain.version, process.platform, process.arch]));
  for (const folder of [name, 'parent']) {
    for (const file of (await readdir(join(SOURCES, folder))).sort()) {
      hash.update(`${folder}/${file}\0`).update(await readFile(join(SOURCES, folder, file)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

let toolchain: Promise<Toolchain> | undefined;
function toolchainOnce(say: Say): Promise<Toolchain> {
  toolchain ??= findToolchain(say).catch((error: unknown) => {
    toolchain = undefined;
    throw error;
  });
  return toolchain;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
