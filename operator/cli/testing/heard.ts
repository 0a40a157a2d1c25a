// What a command said, for tests.
import { runCli } from '../cli.ts';
import type { Command, Output } from '../command.ts';

export type Heard = { out: string; err: string };

export function listen(): { heard: Heard; output: Output } {
  const heard: Heard = { out: '', err: '' };
  const output: Output = {
    out: (text) => {
      heard.out += text;
    },
    err: (text) => {
      heard.err += text;
    },
  };
  return { heard, output };
}

/** The command as typed. */
export async function typed(command: Command, ...argv: string[]): Promise<Heard & { code: number }> {
  const { heard, output } = listen();
  const code = await runCli([command], argv, output);
  return { code, ...heard };
}
