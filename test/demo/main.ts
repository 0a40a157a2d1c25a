// `npm run demo`: flags in, exit code out, and whatever happens in between nothing is left behind but what `--keep` asks for.
import { cpSync, existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheRoot } from '../controlplane/cache.ts';
import { clusterDir } from '../controlplane/layout.ts';
import { lastLines } from '../controlplane/process.ts';
import { createCleanup } from './cleanup.ts';
import { runDemo } from './demo.ts';
import { releaseName, stopDemo, takeName } from './instance.ts';
import { type DemoOptions, HELP, parseOptions } from './options.ts';
import { createScreen, type Screen } from './screen.ts';
import { createSteps, type Steps } from './steps.ts';
import { duration } from './text.ts';
import { Trouble } from './trouble.ts';

const EXIT_WRONG_FLAGS = 2;
/** 128 + the number of the signal, as shells report it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parseOptions(argv);
  if (parsed.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (parsed.kind === 'wrong') {
    process.stderr.write(`demo: ${parsed.message}\n\n${HELP}`);
    return EXIT_WRONG_FLAGS;
  }
  const { options } = parsed;
  if (options.action === 'stop') {
    console.log(await stopDemo(options.name));
    return 0;
  }
  const screen = createScreen(process.stdout, process.env);
  return run(options, screen);
}

async function run(options: DemoOptions, screen: Screen): Promise<number> {
  const cleanup = createCleanup();
  const steps = createSteps(screen);
  const interrupted = firstSignal();
  // `npm run demo | head`: nobody reads any more, which is no reason to leave something running.
  let unread = false;
  process.stdout.on('error', () => {
    if (!unread) process.kill(process.pid, 'SIGHUP');
    unread = true;
  });
  let code: number;
  try {
    await takeName(options.name);
  } catch (error) {
    // The folder is another demo's: nothing of it is touched.
    screen.close();
    console.error(`demo: ${messageOf(error)}${cureOf(error)}`);
    return 1;
  }
  cleanup.add('name', async () => releaseName(options.name));
  try {
    const demo = runDemo({ options, screen, steps, cleanup });
    // After a signal nobody waits for it any more, and what it throws then is no news.
    demo.catch(() => undefined);
    const first = await Promise.race([demo.then((ended) => ({ ended })), interrupted.then((signal) => ({ signal }))]);
    code = 'ended' in first ? first.ended : first.signal;
    if (options.keep && 'ended' in first) await interrupted;
  } catch (error) {
    code = 1;
    report(error, { screen, steps, options });
  }
  // From here on nothing that is still under way writes any more.
  screen.close();
  // What is taken away under the feet of something half started may be missed there; it ends with this process in a moment.
  process.on('uncaughtException', () => undefined);
  // The name alone: nothing had been started yet.
  const started = cleanup.pending() > 1;
  const last = options.kubeconfig === undefined ? 'control plane' : 'what was made in the cluster';
  if (started) console.log(`\ncleaning up: devices, operator, broker, ${last}`);
  const beganAt = performance.now();
  const troubles = await cleanup.run();
  for (const trouble of troubles) console.error(`demo: could not end ${trouble}`);
  rmSync(clusterDir(options.name), { recursive: true, force: true });
  if (started && troubles.length === 0) console.log(`nothing is left running (${duration(performance.now() - beganAt)})`);
  return code;
}

/** A second signal does not wait for anything. */
function firstSignal(): Promise<number> {
  return new Promise((resolve) => {
    let count = 0;
    for (const [name, code] of Object.entries(SIGNALS))
      process.on(name, () => {
        count += 1;
        if (count > 1) process.exit(code);
        resolve(code);
      });
  });
}

function report(error: unknown, { screen, steps, options }: { screen: Screen; steps: Steps; options: DemoOptions }): void {
  const { paint } = screen;
  const during = steps.current();
  screen.doing(undefined);
  screen.table(undefined);
  screen.line();
  screen.text(`The demo cannot go on${during === undefined ? '' : ` (${during})`}: ${messageOf(error)}`, 0, paint.red);
  for (const line of cureOf(error).trimStart().split('\n')) screen.text(line);
  const dir = clusterDir(options.name);
  const log = error instanceof Trouble && error.logFile !== undefined ? error.logFile : join(dir, 'operator.log');
  if (existsSync(log) && statSync(log).size > 0) {
    screen.line(paint.dim(`The end of ${log}:`));
    for (const line of lastLines(log, 15).split('\n')) screen.text(`  ${line}`, 4);
  }
  const kept = keepLogs(dir, options.name);
  if (kept !== undefined) screen.line(`All logs of this run: ${kept}`);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const cureOf = (error: unknown): string => (error instanceof Trouble && error.cure !== undefined ? `\nWhat helps: ${error.cure}` : '');

/** The folder of the demo goes at its end; its logs are wanted longer when something failed. No kubeconfig, key or data of the cluster is among them. */
function keepLogs(dir: string, name: string): string | undefined {
  const kept = join(cacheRoot(), 'demos', `${name}-logs`);
  const found = ['operator.log', 'logs', join('broker', 'stand-in.log')].filter((path) => existsSync(join(dir, path)));
  if (found.length === 0) return undefined;
  rmSync(kept, { recursive: true, force: true });
  for (const path of found) cpSync(join(dir, path), join(kept, path.replace('broker/', '')), { recursive: true });
  return kept;
}

process.exit(await main(process.argv.slice(2)));
