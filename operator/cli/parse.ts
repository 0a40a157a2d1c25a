// What was typed, as a command with its flags or as a complaint. Pure.
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/** One command: its words, its flags and what `--help` says of it. */
export type CommandSpec = {
  words: readonly string[];
  /** What has to be named beside the flags, such as DEVICE; the value is found under this name. */
  operand?: string;
  /** The same where any number may be named, also none; the list is found under this name. */
  operands?: string;
  summary: string;
  help: string;
  flags: ParseArgsOptionsConfig;
};

export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** `exit` is the code of the process: 0 where help was asked for, 2 where something was wrong. */
export type Typed<C extends CommandSpec> =
  | { kind: 'run'; command: C; values: Values }
  | { kind: 'help'; text: string }
  | { kind: 'wrong'; complaint: string; text: string };

/** Flags that are there and contradict each other, or one that is missing: the complaint, for which the usage is printed. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse';
}

const NAME = 'kubectl hedgerow';

export function parseCommand<C extends CommandSpec>(commands: readonly C[], argv: readonly string[]): Typed<C> {
  const firstFlag = argv.findIndex((word) => word.startsWith('-'));
  const typed = firstFlag === -1 ? argv : argv.slice(0, firstFlag);
  const words = typed[0] === 'help' ? typed.slice(1) : typed;
  const wantsHelp = typed[0] === 'help' || argv.includes('--help') || argv.includes('-h');
  const command = commands.find((one) => startsWith(words, one.words));
  if (command !== undefined) return wantsHelp ? { kind: 'help', text: command.help } : withFlags(command, argv.slice(command.words.length));
  const group = commands.filter((one) => startsWith(one.words, words));
  if (group.length === 0) return { kind: 'wrong', complaint: `there is no command "${words.join(' ')}"`, text: overview(commands) };
  if (wantsHelp) return { kind: 'help', text: overview(group) };
  const complaint = words.length === 0 ? 'which command?' : `"${words.join(' ')}" is only the beginning of a command`;
  return { kind: 'wrong', complaint, text: overview(group) };
}

function withFlags<C extends CommandSpec>(command: C, args: readonly string[]): Typed<C> {
  try {
    const { operand, operands } = command;
    const allowPositionals = operand !== undefined || operands !== undefined;
    const parsed = parseArgs({ args: [...args], options: command.flags, strict: true, allowPositionals });
    const values = parsed.values as Values;
    if (operands !== undefined) return { kind: 'run', command, values: { ...values, [operands]: parsed.positionals } };
    if (operand === undefined) return { kind: 'run', command, values };
    const [named, ...tooMany] = parsed.positionals;
    if (named === undefined || named === '') return { kind: 'wrong', complaint: `which ${operand}?`, text: command.help };
    if (tooMany.length > 0)
      return { kind: 'wrong', complaint: `one ${operand} at a time, not also "${tooMany.join(' ')}"`, text: command.help };
    return { kind: 'run', command, values: { ...values, [operand]: named } };
  } catch (error) {
    return { kind: 'wrong', complaint: plain(error), text: command.help };
  }
}

const startsWith = (words: readonly string[], beginning: readonly string[]): boolean => beginning.every((word, at) => words[at] === word);

/** Every command with its sentence. */
function overview(commands: readonly CommandSpec[]): string {
  const width = Math.max(...commands.map((command) => command.words.join(' ').length));
  const lines = commands.map((command) => `  ${command.words.join(' ').padEnd(width)}   ${command.summary}\n`);
  return `usage: ${NAME} COMMAND [FLAG…]\n\n${lines.join('')}\n${NAME} COMMAND --help says more of one.\n`;
}

/** The library's advice to quote a positional argument is for programmers. */
function plain(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\. .*$/s, '');
}
