// A lock between processes: a file that holds the owner's process id. A dead owner's lock is taken over.
import { open, readFile, rm } from 'node:fs/promises';
import { pidExists } from './process.ts';

export async function withLock<T>(file: string, options: { waiting(): void }, work: () => Promise<T>): Promise<T> {
  let told = false;
  while (!(await take(file))) {
    if (await ownerIsDead(file)) {
      await rm(file, { force: true });
      continue;
    }
    if (!told) options.waiting();
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function ownerIsDead(file: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const pid = Number(text);
  // Empty: created a moment ago and not written yet.
  if (!Number.isInteger(pid) || pid <= 0) return false;
  return !pidExists(pid);
}
