// `npm run cluster -- …`: the control plane of the tests by hand.

import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { attachCluster, type Cluster, startCluster } from './cluster.ts';
import { COMPONENTS, type Component, FEATURES, type Feature } from './components.ts';
import { clusterDir, clusterNames, readState } from './layout.ts';
import { program } from './programs.ts';

const HELP = `npm run cluster -- COMMAND [--name NAME]

  up [--with PART,…] [--audit] [--fresh]   start a cluster, or what is down of it; it goes on until \`down\`
                     PART: ${FEATURES.join(', ')}; what a part needs comes with it
                     --audit: log every request; --fresh: throw away what an earlier one left
  status             all clusters and their components
  kubeconfig         path of the administrator's kubeconfig:  export KUBECONFIG=$(npm run -s cluster -- kubeconfig)
  kubectl …          the matching kubectl as administrator
  kill COMPONENT     kill -9; \`start COMPONENT\` (or \`up\`) brings it back with the same data
  start COMPONENT
  pause COMPONENT    SIGSTOP: it hangs with its connections open; \`resume COMPONENT\`
  resume COMPONENT
  down [--keep-data] [--all]   stop in order and remove the data; --all: every cluster that \`up\` started
  build [PROGRAM …]  only compile: cp, addons, netpol, helm (all of them when none is named)

COMPONENT: ${COMPONENTS.join(', ')}
NAME is "dev" unless given; clusters of different names run side by side.`;

class Usage extends Error {}

type Flags = { name: string; with: string; audit: boolean; fresh: boolean; keepData: boolean; all: boolean };
type Command = (flags: Flags, rest: string[]) => Promise<void>;

const COMMANDS: Record<string, Command> = {
  up,
  status,
  kubeconfig: async (flags) => console.log((await running(flags.name)).adminKubeconfig),
  kill: onComponent((cluster, component) => cluster.kill(component), 'killed'),
  start: onComponent((cluster, component) => cluster.start(component), 'started'),
  pause: onComponent((cluster, component) => cluster.pause(component), 'paused'),
  resume: onComponent((cluster, component) => cluster.resume(component), 'resumed'),
  down,
  build,
};

export async function main(args: string[]): Promise<number> {
  try {
    // Everything after `kubectl` is kubectl's.
    if (args[0] === 'kubectl') return await kubectl(args.slice(1));
    const { values, positionals } = parse(args);
    const [name, ...rest] = positionals;
    if (values.help || name === undefined) {
      console.log(HELP);
      return name === undefined && !values.help ? 2 : 0;
    }
    const command = COMMANDS[name];
    if (command === undefined) throw new Usage(`there is no command "${name}"`);
    await command({ ...values, keepData: values['keep-data'] }, rest);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    if (error instanceof Usage) console.error('\nnpm run cluster -- --help shows all commands');
    return error instanceof Usage ? 2 : 1;
  }
}

const OPTIONS = {
  name: { type: 'string', default: 'dev' },
  with: { type: 'string', default: '' },
  audit: { type: 'boolean', default: false },
  fresh: { type: 'boolean', default: false },
  'keep-data': { type: 'boolean', default: false },
  all: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function parse(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw new Usage(error instanceof Error ? error.message : String(error));
  }
}

async function up(flags: Flags): Promise<void> {
  const startedAt = performance.now();
  const asked = parts(flags.with);
  const there = flags.fresh ? await stopped(flags.name) : await attachCluster(flags.name);
  const cluster =
    there ?? (await startCluster({ name: flags.name, with: asked, auditLog: flags.audit, freshData: flags.fresh, detached: true }));
  if (there !== undefined) {
    const missing = asked.filter((feature) => !there.features.includes(feature));
    if (missing.length > 0)
      throw new Error(
        `cluster ${flags.name} runs without ${missing.join(', ')}: npm run cluster -- down --name ${flags.name} --keep-data, then up again`,
      );
    for (const component of there.components) await there.start(component);
  }
  console.log(`cluster ${cluster.name} is up (${((performance.now() - startedAt) / 1000).toFixed(1)} s): ${cluster.server}`);
  console.log(table(cluster));
  console.log(
    `\n  export KUBECONFIG=${cluster.adminKubeconfig}\n  ${cluster.kubectlCommand} get namespaces\n  npm run cluster -- down${flags.name === 'dev' ? '' : ` --name ${flags.name}`}`,
  );
}

async function stopped(name: string): Promise<undefined> {
  await (await attachCluster(name))?.down();
}

async function status(): Promise<void> {
  const names = await clusterNames();
  if (names.length === 0) console.log('no cluster; start one with: npm run cluster -- up');
  for (const name of names) {
    const cluster = await attachCluster(name);
    if (cluster !== undefined) console.log(`${name}  ${cluster.server}\n${table(cluster)}`);
    else if ((await readState(clusterDir(name))) !== undefined) console.log(`${name}  down, its data kept in ${clusterDir(name)}`);
  }
}

async function down(flags: Flags): Promise<void> {
  for (const name of flags.all ? await detachedClusters() : [flags.name]) {
    const cluster = await attachCluster(name);
    if (cluster !== undefined) await cluster.down({ keepData: flags.keepData });
    else if (!flags.keepData) await rm(clusterDir(name), { recursive: true, force: true });
    console.log(
      cluster === undefined ? `${name} was not running` : `${name} is down${flags.keepData ? `, its data kept in ${cluster.dir}` : ''}`,
    );
  }
}

/** Those of running tests and demos belong to their programs. */
async function detachedClusters(): Promise<string[]> {
  const names: string[] = [];
  for (const name of await clusterNames()) if ((await readState(clusterDir(name)))?.detached === true) names.push(name);
  return names;
}

async function build(_flags: Flags, names: string[]): Promise<void> {
  const all = ['cp', 'addons', 'netpol', 'helm'] as const;
  const wanted = names.length === 0 ? all : all.filter((name) => names.includes(name));
  if (wanted.length < names.length) throw new Usage(`programs are ${all.join(', ')}`);
  for (const name of wanted) console.log((await program(name)).bin);
}

/** `kubectl [--name NAME] ARG…`: the name has to come first, all else is passed on. */
async function kubectl(args: string[]): Promise<number> {
  const named = args[0] === '--name';
  const cluster = await running(named ? (args[1] ?? '') : 'dev');
  const { stdout, stderr, code } = await cluster.kubectl(named ? args.slice(2) : args);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  return code;
}

function onComponent(act: (cluster: Cluster, component: Component) => Promise<void>, done: string): Command {
  return async (flags, [name]) => {
    const component = COMPONENTS.find((candidate) => candidate === name);
    if (component === undefined) throw new Usage(`"${name ?? ''}" is no component; they are ${COMPONENTS.join(', ')}`);
    await act(await running(flags.name), component);
    console.log(`${done} ${component} of ${flags.name}`);
  };
}

async function running(name: string): Promise<Cluster> {
  const cluster = await attachCluster(name);
  if (cluster === undefined)
    throw new Error(`no cluster "${name}" is running; start it with: npm run cluster -- up${name === 'dev' ? '' : ` --name ${name}`}`);
  return cluster;
}

function parts(list: string): Feature[] {
  return list
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const feature = FEATURES.find((candidate) => candidate === part);
      if (feature === undefined) throw new Usage(`--with knows no "${part}"; it knows ${FEATURES.join(', ')}`);
      return feature;
    });
}

function table(cluster: Cluster): string {
  return cluster.components
    .map((component) =>
      `  ${component.padEnd(24)} ${(cluster.status()[component] ?? 'down').padEnd(8)} ${cluster.status()[component] === 'down' ? '' : (cluster.pid(component) ?? '')}`.trimEnd(),
    )
    .join('\n');
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
