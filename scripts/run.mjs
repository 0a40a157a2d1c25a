// Runs a .ts file of this tree with Node 24: `node scripts/run.mjs FILE.ts [ARG…]`. Plain JavaScript for any Node from 18 on with nothing installed:
// installs the npm packages when they are missing or other than the lock file says, and finds Node 24 in the `node` development dependency.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_MAJOR = 24;

/** Installs what is missing, then becomes `node FILE ARG…` as far as signals and the exit code go. stdout belongs to FILE alone. */
export async function run(file, args) {
  if (!isInstalled()) await npm(['ci', '--no-audit', '--no-fund'], 'installing the npm packages (about half a minute)');
  const node = await findNode();
  const child = spawn(node, [file, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // At a terminal Ctrl-C reaches the child directly; passing it on would count as pressing it twice.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  child.on('error', (error) => fail(`cannot run ${node}: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of ['SIGTERM', 'SIGHUP', 'SIGINT']) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** npm writes what it installed into a lock file of its own: every package of ours that is not optional has to be there in the same version. */
function isInstalled() {
  const wanted = readJson(join(ROOT, 'package-lock.json'))?.packages ?? {};
  const installed = readJson(join(ROOT, 'node_modules', '.package-lock.json'))?.packages;
  if (installed === undefined) return false;
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || entry.devOptional || installed[path]?.version === entry.version,
  );
}

/** npm's policy may have kept the `node` package from running its install script, which fetches the binary: then it is asked for by name. */
async function findNode() {
  const node = join(ROOT, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (isRightNode(node)) return node;
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) return process.execPath;
  await npm(['rebuild', 'node'], `fetching Node ${NODE_MAJOR}`).catch(() => undefined);
  if (isRightNode(node)) return node;
  await fetchNode(node);
  if (!isRightNode(node))
    fail(`Node ${NODE_MAJOR} could not be installed: install Node ${NODE_MAJOR} or newer yourself, then run this again`);
  return node;
}

/** The platform's package holds nothing but the binary and needs no install script. */
async function fetchNode(node) {
  const { version } = readJson(join(ROOT, 'node_modules', 'node', 'package.json'));
  const name = `${process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'}-${process.platform}-${process.arch}`;
  const prefix = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hedgerow', `node-${version}`);
  mkdirSync(prefix, { recursive: true });
  await npm(
    ['install', '--prefix', prefix, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@${version}`],
    `fetching ${name} ${version}`,
  );
  mkdirSync(dirname(node), { recursive: true });
  copyFileSync(join(prefix, 'node_modules', name, 'bin', 'node'), node);
  chmodSync(node, 0o755);
}

function isRightNode(node) {
  if (!existsSync(node)) return false;
  const { stdout, status } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return status === 0 && Number(stdout.slice(1).split('.')[0]) >= NODE_MAJOR;
}

/** npm with its words on stderr, and a sign of life every 15 s where nobody sees its spinner. */
function npm(args, what) {
  console.error(`hedgerow: ${what}: npm ${args[0]}`);
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  const ticker = process.stderr.isTTY ? undefined : setInterval(() => console.error(`  still at it, ${seconds()} s`), 15_000);
  return new Promise((done, failed) => {
    // npm run sets npm_execpath: the npm that called us. Its engine warnings concern the Node that is about to be replaced.
    const cli = process.env.npm_execpath;
    const [command, ...before] = cli?.endsWith('.js') ? [process.execPath, cli] : ['npm'];
    const child = spawn(command, [...before, ...args, '--loglevel=error'], {
      cwd: ROOT,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
    });
    child.on('error', (error) => failed(error));
    child.on('exit', (code) => {
      clearInterval(ticker);
      if (code !== 0) return failed(new Error(`npm ${args[0]} ended with ${code}`));
      console.error(`hedgerow: done in ${seconds()} s`);
      done();
    });
  });
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function fail(message) {
  console.error(`hedgerow: ${message}`);
  process.exit(1);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [file, ...args] = process.argv.slice(2);
  if (file === undefined) fail('usage: node scripts/run.mjs FILE.ts [ARG…]');
  run(resolve(ROOT, file), args).catch((error) => fail(error.message));
}
