// `npm run demo` as a newcomer starts it: what it prints, what it proves, and that it leaves nothing behind, however it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { startCluster } from '../controlplane/cluster.ts';
import { runProcess } from '../controlplane/helm.ts';
import { clusterDir } from '../controlplane/layout.ts';
import { PLAY } from '../demo/scenes/play.ts';
import { ROOT } from '../harness/manifests.ts';
import { whyNoNodeAgent } from '../harness/node-agent.ts';
import { waitFor } from '../harness/wait.ts';

const NAME = `demo-${process.pid}`;
const DIR = clusterDir(NAME);
/** Far above the minute that it takes: the bound is for a demo that hangs. */
const WHOLE_MS = 420_000;
/** Scenes that need pods to run as processes. */
const CARRIED_OUT = whyNoNodeAgent() === undefined ? PLAY.length : PLAY.length - 2;
const TOTAL = (played: number): string =>
  `${played} of ${PLAY.length} held${played === PLAY.length ? '' : `, ${PLAY.length - played} cannot be played here`}`;
/** The house's promise for Ctrl-C is seconds; each part has a grace of two, one after the other. */
const END_MS = 30_000;

type Demo = { child: ChildProcess; output(): string; printed(text: string): Promise<void>; exited: Promise<number> };

const started: Demo[] = [];
afterEach(async () => {
  for (const { child, exited } of started.splice(0)) {
    if (child.exitCode === null) child.kill('SIGTERM');
    await exited;
  }
});

function startDemo(...flags: string[]): Demo {
  const args = [join(ROOT, 'scripts', 'run.mjs'), 'test/demo/main.ts', '--name', NAME, ...flags];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const read = (chunk: string): void => {
    text += chunk;
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', read);
  const exited = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  const demo: Demo = {
    child,
    output: () => text,
    printed: async (wanted) => {
      await waitFor(`the demo to print "${wanted}"`, () => text.includes(wanted) || undefined, {
        timeoutMs: WHOLE_MS,
        describe: () => text,
      });
    },
    exited,
  };
  started.push(demo);
  return demo;
}

/** Command lines of processes that belong to this demo: all of them name its folder, or are the demo itself. */
async function processesOfDemo(): Promise<string[]> {
  const lines = existsSync('/proc/self/cmdline') ? fromProc() : (await runProcess(['ps', '-eo', 'args'])).stdout.split('\n');
  return lines.filter((line) => line.includes(`${DIR}/`) || line.includes(`--name ${NAME}`));
}

function fromProc(): string[] {
  return globSync('/proc/[0-9]*/cmdline').map((file) => {
    try {
      return readFileSync(file, 'utf8').replaceAll('\0', ' ');
    } catch {
      return ''; // it ended meanwhile
    }
  });
}

async function nothingIsLeft(): Promise<void> {
  expect(await processesOfDemo()).toEqual([]);
  expect(existsSync(DIR)).toBe(false);
}

describe('npm run demo', () => {
  it('plays every scene, all of it holds, and nothing is left', { timeout: WHOLE_MS }, async () => {
    const demo = startDemo();
    await demo.printed('starting the operator');
    // Or the end of this test would prove nothing: this is how its processes are found.
    expect((await processesOfDemo()).length).toBeGreaterThan(5);
    const code = await demo.exited;
    const text = demo.output();
    expect(code, text).toBe(0);
    const summary = text.slice(text.indexOf('What was proved'));
    const heldLines = summary.split('\n').filter((line) => line.startsWith('   held'));
    expect(heldLines).toHaveLength(CARRIED_OUT);
    for (const [at, { proof }] of PLAY.entries()) expect(summary).toContain(`${at + 1}  ${proof}`);
    expect(summary).toContain(TOTAL(CARRIED_OUT));
    expect(text).not.toContain('FAILED');
    expect(text).toMatch(/its connection was closed: [\d.]+ m?s after kubectl apply was started/);
    expect(text).toMatch(/DEVICE +SEGMENT +READY/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: there must be none where the output is no terminal
    expect(text).not.toMatch(/\u001b/);
    expect(text, 'no key and no token is shown').not.toMatch(/PRIVATE KEY|eyJhbGciOi|client-key-data/);
    await nothingIsLeft();
  });

  it.each([
    ['while the control plane starts', 'nothing is recorded'],
    ['while the operator starts', 'starting the broker stand-in'],
    ['in the middle of the play', ' 3  A device cannot publish'],
  ])('Ctrl-C %s ends it within seconds and leaves nothing', { timeout: WHOLE_MS }, async (_when, line) => {
    const demo = startDemo();
    await demo.printed(line);
    demo.child.kill('SIGINT');
    const late = new Promise<string>((resolve) => setTimeout(() => resolve('it still runs'), END_MS).unref());
    expect(await Promise.race([demo.exited, late]), demo.output()).toBe(130);
    await nothingIsLeft();
  });

  it('--keep leaves a fleet to explore, in which the sample can be applied again; --stop ends it', { timeout: WHOLE_MS }, async () => {
    const demo = startDemo('--keep');
    await demo.printed('To end it: Ctrl-C here');
    const [, kubeconfig = ''] = /export KUBECONFIG=(\S+)/.exec(demo.output()) ?? [];
    const kubectl = (...args: string[]) => runProcess([join(DIR, 'bin', 'kubectl'), ...args], { env: { KUBECONFIG: kubeconfig } });

    const applied = await kubectl('apply', '-f', join(ROOT, 'crds', 'samples', 'smart-office'));
    expect(applied.code, applied.stderr).toBe(0);
    // The line of the README: no namespace is named.
    const ready = await kubectl('wait', '--for=condition=Ready', 'device', '--all', '--timeout=60s');
    expect(ready.code, ready.stderr).toBe(0);
    expect(ready.stdout.trim().split('\n')).toHaveLength(8);

    const second = startDemo();
    expect(await second.exited).toBe(1);
    expect(second.output()).toContain('is running already');
    expect((await kubectl('get', 'devices')).code, 'the first one was not disturbed').toBe(0);

    const stop = startDemo('--stop');
    expect(await stop.exited).toBe(0);
    expect(await demo.exited, 'an end that was asked for is no failure').toBe(0);
    await nothingIsLeft();
  });

  it('--kubeconfig uses a cluster that exists and leaves it as it was', { timeout: WHOLE_MS }, async () => {
    const cluster = await startCluster({ name: `${NAME}-host`, freshData: true, with: ['controller-manager', 'cert-manager'] });
    onTestFinished(() => cluster.down());
    const inventory = async (): Promise<string> => {
      const kinds =
        'namespaces,crd,clusterroles,clusterrolebindings,clusterissuers,validatingadmissionpolicies,validatingadmissionpolicybindings';
      return (await cluster.kubectl(['get', kinds, '-o', 'name'])).stdout;
    };
    const before = await inventory();
    const demo = startDemo('--kubeconfig', cluster.adminKubeconfig);
    const code = await demo.exited;
    expect(code, demo.output()).toBe(0);
    // No node of that cluster has an image of this checkout.
    expect(demo.output()).toContain(TOTAL(PLAY.length - 2));
    await waitFor('what the demo made to be gone', async () => ((await inventory()) === before ? true : undefined), { timeoutMs: 60_000 });
    await nothingIsLeft();

    await cluster.kubectl(['create', 'namespace', 'berlin']);
    const guest = startDemo('--kubeconfig', cluster.adminKubeconfig);
    expect(await guest.exited).toBe(1);
    expect(guest.output()).toContain('namespace berlin is in that cluster already');
    expect((await cluster.kubectl(['get', 'namespace', 'berlin'])).code, "what is not the demo's stays").toBe(0);
  });

  it.each([
    ['an unknown flag', ['--fast'], /Unknown option '--fast'/],
    ['--sites', ['--sites', '2'], /not supported yet/],
  ])('%s is refused with the usage and exit code 2', async (_name, flags, message) => {
    const demo = startDemo(...flags);
    expect(await demo.exited).toBe(2);
    expect(demo.output()).toMatch(message);
    expect(demo.output()).toContain('--kubeconfig FILE');
  });
});
