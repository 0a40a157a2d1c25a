// Why the demo could not go on, in words for whoever started it: what, the cure, and the log of the part that failed.

export class Trouble extends Error {
  override readonly name = 'Trouble';
  readonly cure: string | undefined;
  readonly logFile: string | undefined;

  constructor(message: string, help: { cure?: string; logFile?: string; cause?: unknown } = {}) {
    super(message, help.cause === undefined ? undefined : { cause: help.cause });
    this.cure = help.cure;
    this.logFile = help.logFile;
  }
}
