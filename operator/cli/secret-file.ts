// A new file for secrets: only its owner may read it, from its first byte on, and nothing that is there is overwritten.
import { open, unlink } from 'node:fs/promises';
import { CliError } from './errors.ts';

/** On the disk when it resolves. */
export async function createSecretFile(path: string, text: string): Promise<{ remove(): Promise<void> }> {
  // 'wx' also refuses a symbolic link that leads elsewhere.
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? new CliError('HR-CLI-043', path) : new CliError('HR-CLI-044', `${path} (${error.code ?? 'unknown'})`);
  });
  const remove = (): Promise<void> => unlink(path).catch(() => undefined);
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await remove();
    throw new CliError('HR-CLI-044', `${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  } finally {
    await file.close();
  }
  return { remove };
}
