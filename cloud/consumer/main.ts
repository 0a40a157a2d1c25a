// Flags in, consumer or answer out; nothing else lives here.
import { systemClock } from '../../operator/runtime/clock.ts';
import { runConsumer } from './consumer.ts';
import { Refused } from './errors.ts';
import { HELP, parseOptions } from './options.ts';
import { query } from './query.ts';

/** As the operator's: 2 is what scripts expect of wrong flags. */
const EXIT_WRONG_FLAGS = 2;
const EXIT_REFUSED = 1;

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parseOptions(argv);
  if (parsed.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (parsed.kind === 'wrong') {
    process.stderr.write(`consumer: ${parsed.message}\n\n${HELP}`);
    return EXIT_WRONG_FLAGS;
  }
  if (parsed.kind === 'query') return await answer(parsed.storeFile, parsed.sql);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort(new Error(`${signal} received`)));
  return await runConsumer(parsed.options, stop.signal);
}

async function answer(storeFile: string, sql: string): Promise<number> {
  try {
    const text = await query(storeFile, sql, systemClock);
    await new Promise<void>((resolve, reject) => void process.stdout.write(text, (error) => (error ? reject(error) : resolve())));
    return 0;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    process.stderr.write(`consumer: ${error.message}\n`);
    return EXIT_REFUSED;
  }
}

// Not process.exitCode: whatever still holds a timer or a socket must not keep a process that was told to end alive.
process.exit(await main(process.argv.slice(2)));
