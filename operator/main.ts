// Flags in, manager out; nothing else lives here.
import { crlHelp, parseCrl, runCrl } from './crl/crl.ts';
import { parseRollout, rolloutHelp, runRollout } from './driver/driver.ts';
import { estHelp, parseEst, runEst } from './est/est.ts';
import { findConnection, KubeConfigError, type KubeConnection } from './kube/config.ts';
import { HELP, parseOptions } from './options.ts';
import { runCanary } from './probe/probe.ts';
import { environment } from './runtime/environment.ts';
import { runStandalone } from './standalone.ts';

/** BSD sysexits.h: EX_USAGE is 64, but 2 is what people's scripts expect of wrong flags; 78 is EX_CONFIG. */
const EXIT_WRONG_FLAGS = 2;
const EXIT_NO_CLUSTER = 78;

type Run = (connection: KubeConnection, stop: AbortSignal) => Promise<number>;
type Wish =
  | { kind: 'run'; kubeconfig: string | undefined; run: Run }
  | { kind: 'alone'; run: (stop: AbortSignal) => Promise<number> }
  | { kind: 'help' }
  | { kind: 'wrong'; message: string };

/** `operator` reconciles; `operator est` serves enrolment; `operator crl` signs and serves CRLs; `operator rollout` carries a FirmwareWave out; `operator canary` is connected to, to try the network. */
async function main(argv: readonly string[]): Promise<number> {
  const { name, help, wish } = processOf(argv);
  if (wish.kind === 'help') {
    process.stdout.write(help);
    return 0;
  }
  if (wish.kind === 'wrong') {
    process.stderr.write(`${name}: ${wish.message}\n\n${help}`);
    return EXIT_WRONG_FLAGS;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort(new Error(`${signal} received`)));
  if (wish.kind === 'alone') return await wish.run(stop.signal);
  try {
    return await wish.run(await findConnection({ kubeconfig: wish.kubeconfig, env: environment }), stop.signal);
  } catch (error) {
    if (!(error instanceof KubeConfigError)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    return EXIT_NO_CLUSTER;
  }
}

function processOf(argv: readonly string[]): { name: string; help: string; wish: Wish } {
  if (argv[0] === 'est') return { name: 'operator est', help: estHelp, wish: est(argv.slice(1)) };
  if (argv[0] === 'crl') return { name: 'operator crl', help: crlHelp, wish: crl(argv.slice(1)) };
  if (argv[0] === 'rollout') return { name: 'operator rollout', help: rolloutHelp, wish: rollout(argv.slice(1)) };
  if (argv[0] === 'canary') return { name: 'operator canary', help: CANARY_HELP, wish: canary(argv.slice(1)) };
  return { name: 'operator', help: HELP, wish: standalone(argv) };
}

const CANARY_HELP = 'operator canary: takes connections on ports 7001 to 7003 and ends them at once; takes no flags\n';

function canary(argv: readonly string[]): Wish {
  if (argv[0] === '--help') return { kind: 'help' };
  return argv.length > 0 ? { kind: 'wrong', message: `${argv[0]} is no flag of it` } : { kind: 'alone', run: runCanary };
}

function standalone(argv: readonly string[]): Wish {
  const parsed = parseOptions(argv);
  if (parsed.kind !== 'options') return parsed;
  const { options } = parsed;
  return { kind: 'run', kubeconfig: options.kubeconfig, run: (connection, stop) => runStandalone(options, connection, stop) };
}

function est(argv: readonly string[]): Wish {
  const parsed = parseEst(argv);
  if (parsed.kind !== 'options') return parsed;
  const { options } = parsed;
  return { kind: 'run', kubeconfig: options.kubeconfig, run: (connection, stop) => runEst(options, connection, stop) };
}

function crl(argv: readonly string[]): Wish {
  const parsed = parseCrl(argv);
  if (parsed.kind !== 'options') return parsed;
  const { options } = parsed;
  return { kind: 'run', kubeconfig: options.kubeconfig, run: (connection, stop) => runCrl(options, connection, stop) };
}

function rollout(argv: readonly string[]): Wish {
  const parsed = parseRollout(argv, environment);
  if (parsed.kind !== 'options') return parsed;
  const { options } = parsed;
  return { kind: 'run', kubeconfig: options.kubeconfig, run: (connection, stop) => runRollout(options, connection, stop) };
}

// Not process.exitCode: whatever still holds a timer or a socket must not keep a process that lost its Lease alive.
process.exit(await main(process.argv.slice(2)));
