// What people may meet of the runtime, with cause and cure (docs/reference/errors.md is made from this).
export const ERRORS = {
  'HR-RUN-001': {
    title: 'The Lease was lost',
    cause:
      'The API server could not be reached for 10 s, or another process took the Lease over; this process ended with exit code 75 so that it cannot write beside its successor.',
    cure: 'Nothing, when it happens once: Kubernetes starts it again and it waits for its turn. Often: look at the API server’s latency and the node’s CPU.',
  },
  'HR-RUN-002': {
    title: 'The caches were not filled in time',
    cause:
      'A kind could not be listed within two minutes: the API server is down, the CRDs are missing, or the role lacks "list" and "watch".',
    cure: 'Read the warnings above it in the log: they name the kind and the answer of the API server.',
  },
  'HR-RUN-003': {
    title: 'A part of the operator ended by itself',
    cause:
      'Something that should run until the end returned or threw; the log names it. The process ends with exit code 1 rather than run without it.',
    cure: 'Kubernetes starts it again. If it repeats, report it with the log line.',
  },
  'HR-RUN-004': {
    title: 'A reconcile failed',
    cause: 'Something unexpected was thrown; the log line has the text and the number of attempts.',
    cure: 'It is retried with growing delay up to 1000 s. If it does not pass, report it with the log line.',
  },
  'HR-RUN-005': {
    title: 'A reconcile missed its deadline',
    cause: 'A call did not answer in time; the work of this key was aborted and is retried.',
    cure: 'Look at the latency of the API server and of the broker.',
  },
  'HR-RUN-006': {
    title: 'The process did not stop in time',
    cause: 'A part did not end within the grace time after it was told to stop.',
    cure: 'The process ended all the same; state in the cluster is repaired at the next start.',
  },
} as const;
