// What this room needs from the process around it. operator/runtime implements these; kube may not import it (layers).

export interface Clock {
  /** Wall clock, ms since the epoch: for timestamps that leave the process. */
  now(): number;
  /** ms since an arbitrary start; never goes back, whatever happens to the wall clock: for deadlines, ages and delays. */
  elapsed(): number;
  /** `afterMs` may be longer than setTimeout's 24.8 days. */
  setTimer(afterMs: number, fn: () => void): { cancel(): void };
  /** Rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A number in [0, 1). */
export type Random = () => number;

export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
};

/** Never a name of an object among the labels: `kind` is a plural such as `devices`. */
export interface KubeMetrics {
  request(sample: { method: string; code: string; host: string; seconds: number }): void;
  requestRetried(method: string, code: string): void;
  relisted(kind: string, reason: string): void;
  watchEnded(kind: string, how: string): void;
  storeObjects(kind: string, count: number): void;
  /** Called once a reflector: `ageSeconds` is read at scrape time. */
  watchAge(kind: string, ageSeconds: () => number): void;
}

export const noKubeMetrics: KubeMetrics = {
  request: () => undefined,
  requestRetried: () => undefined,
  relisted: () => undefined,
  watchEnded: () => undefined,
  storeObjects: () => undefined,
  watchAge: () => undefined,
};
