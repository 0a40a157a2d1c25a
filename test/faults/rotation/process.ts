// A process that may be killed at any moment: whoever dies is started again at once, as a kubelet would.
import type { OperatorProcess } from '../../harness/operator-process.ts';
import { pause, waitFor } from '../../harness/wait.ts';

export type Supervised = { running(): Promise<unknown>; kill(): Promise<void>; stop(): Promise<void> };

export function supervise(name: string, start: () => Promise<OperatorProcess>): Supervised {
  let current: OperatorProcess | undefined;
  let stopping = false;
  let trouble: unknown;
  const life = (async () => {
    while (!stopping) {
      try {
        current = await start();
        await current.exited;
      } catch (error) {
        trouble = error;
        await pause(200);
      }
      current = undefined;
    }
  })();
  const running = (): Promise<unknown> =>
    waitFor(`${name} to run`, () => current, { timeoutMs: 180_000, everyMs: 20, describe: () => String(trouble) });
  return {
    running,
    async kill() {
      await running();
      await current?.kill();
    },
    async stop() {
      stopping = true;
      await current?.stop();
      await life;
    },
  };
}
