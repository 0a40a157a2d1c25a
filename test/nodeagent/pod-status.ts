// What the node agent reports of a pod, as a kubelet would: pure.
import type { Pod } from './pod.ts';

/** `code` 137 with `lost`: nobody knows how it ended, as a kubelet says after its machine was lost. */
export type Fate = { state: 'running'; pid: number; startedAt: string } | Ended;
type Ended = { state: 'ended'; code: number; startedAt: string; finishedAt: string; lost?: true };

export function statusOf(pod: Pod, fate: Fate): object {
  const running = fate.state === 'running';
  const [container] = pod.spec.containers;
  const state = running
    ? { running: { startedAt: fate.startedAt } }
    : { terminated: { exitCode: fate.code, reason: reasonOf(fate), startedAt: fate.startedAt, finishedAt: fate.finishedAt } };
  return {
    phase: running ? 'Running' : fate.code === 0 ? 'Succeeded' : 'Failed',
    startTime: fate.startedAt,
    conditions: conditions(running, running ? fate.startedAt : fate.finishedAt),
    containerStatuses: [
      {
        ...{ name: container?.name ?? '', image: container?.image ?? '', imageID: '', restartCount: 0, ready: running, started: running },
        ...(running ? { containerID: `process://${fate.pid}` } : {}),
        state,
      },
    ],
  };
}

/** A pod that never ran: refused by the node, or deleted before. */
export function refusedStatus(reason: string, message: string): object {
  return { phase: 'Failed', reason, message };
}

function reasonOf({ code, lost }: Ended): string {
  if (lost) return 'ContainerStatusUnknown';
  return code === 0 ? 'Completed' : 'Error';
}

function conditions(ready: boolean, since: string): object[] {
  const status = ready ? 'True' : 'False';
  return [
    { type: 'Initialized', status: 'True', lastTransitionTime: since },
    ...['Ready', 'ContainersReady'].map((type) => ({
      ...{ type, status, lastTransitionTime: since },
      ...(ready ? {} : { reason: 'PodCompleted' }),
    })),
  ];
}
