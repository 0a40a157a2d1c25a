// The plugin as a function: words in, exit code out.
import { explanationOf } from '../broker/broker.ts';
import { KubeConfigError } from '../kube/config.ts';
import { redactText } from '../runtime/log.ts';
import type { Command, Output } from './command.ts';
import { parseCommand, WrongUse } from './parse.ts';

const FAILED = 1;
const WRONG_USE = 2;

/** Exit codes: 0 done or help, 1 not done (the line on stderr has code and cure), 2 wrong words or flags. */
export async function runCli(commands: readonly Command[], argv: readonly string[], output: Output): Promise<number> {
  const typed = parseCommand(commands, argv);
  if (typed.kind === 'help') {
    output.out(typed.text);
    return 0;
  }
  if (typed.kind === 'wrong') return complain(output, typed.complaint, typed.text);
  try {
    return await typed.command.run(typed.values, output);
  } catch (error) {
    if (error instanceof WrongUse) return complain(output, error.message, typed.command.help);
    output.err(`kubectl hedgerow: ${redactText(lineOf(error))}\n`);
    return typed.command.failed ?? FAILED;
  }
}

function complain(output: Output, complaint: string, usage: string): number {
  output.err(`kubectl hedgerow: ${complaint}\n\n${usage}`);
  return WRONG_USE;
}

function lineOf(error: unknown): string {
  const known = explanationOf(error);
  if (known !== undefined) return known;
  if (error instanceof KubeConfigError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
