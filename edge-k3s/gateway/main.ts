// Flags in, gateway out; nothing else lives here.
import { KubeConfigError } from '../../operator/kube/config.ts';
import { runGateway } from './gateway.ts';
import { GATEWAY_HELP, parseGatewayOptions } from './options.ts';

/** As the operator's: 2 is what scripts expect of wrong flags, 78 is EX_CONFIG of sysexits.h. */
const EXIT_WRONG_FLAGS = 2;
const EXIT_NO_CLUSTER = 78;

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parseGatewayOptions(argv);
  if (parsed.kind === 'help') {
    process.stdout.write(GATEWAY_HELP);
    return 0;
  }
  if (parsed.kind === 'wrong') {
    process.stderr.write(`gateway: ${parsed.message}\n\n${GATEWAY_HELP}`);
    return EXIT_WRONG_FLAGS;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort(new Error(`${signal} received`)));
  try {
    return await runGateway(parsed.options, stop.signal);
  } catch (error) {
    if (!(error instanceof KubeConfigError)) throw error;
    process.stderr.write(`gateway: ${error.message}\n`);
    return EXIT_NO_CLUSTER;
  }
}

// Not process.exitCode: whatever still holds a timer or a socket must not keep a process that was told to end alive.
process.exit(await main(process.argv.slice(2)));
