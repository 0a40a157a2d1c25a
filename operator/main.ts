// Flags in, manager out; nothing else lives here.
import { findConnection, KubeConfigError } from './kube/config.ts';
import { HELP, parseOptions } from './options.ts';
import { environment } from './runtime/environment.ts';
import { runStandalone } from './standalone.ts';

/** BSD sysexits.h: EX_USAGE is 64, but 2 is what people's scripts expect of wrong flags; 78 is EX_CONFIG. */
const EXIT_WRONG_FLAGS = 2;
const EXIT_NO_CLUSTER = 78;

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parseOptions(argv);
  if (parsed.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (parsed.kind === 'wrong') {
    process.stderr.write(`operator: ${parsed.message}\n\n${HELP}`);
    return EXIT_WRONG_FLAGS;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort(new Error(`${signal} received`)));
  try {
    const connection = await findConnection({ kubeconfig: parsed.options.kubeconfig, env: environment });
    return await runStandalone(parsed.options, connection, stop.signal);
  } catch (error) {
    if (!(error instanceof KubeConfigError)) throw error;
    process.stderr.write(`operator: ${error.message}\n`);
    return EXIT_NO_CLUSTER;
  }
}

// Not process.exitCode: whatever still holds a timer or a socket must not keep a process that lost its Lease alive.
process.exit(await main(process.argv.slice(2)));
