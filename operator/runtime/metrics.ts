// Prometheus metrics under controller-runtime's exact names, so that existing dashboards work. Never a device's name as a label.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { KubeMetrics } from '../kube/ports.ts';
import type { Band } from './queue.ts';

export interface QueueMetrics {
  depth(band: Band, count: number): void;
  added(): void;
  waited(seconds: number): void;
  worked(seconds: number): void;
  retried(): void;
  /** Called once a queue; both are read at scrape time, in seconds. */
  running(unfinished: () => number, longest: () => number): void;
}

export type ReconcileResult = 'success' | 'error' | 'requeue' | 'requeue_after';

export interface ControllerMetrics {
  reconciled(result: ReconcileResult, seconds: number): void;
  failed(how: 'error' | 'terminal' | 'panic' | 'timeout'): void;
  active(count: number): void;
  limit(count: number): void;
}

export interface Metrics extends KubeMetrics {
  readonly registry: Registry;
  queue(name: string): QueueMetrics;
  controller(name: string): ControllerMetrics;
  leader(name: string, leads: boolean): void;
  applied(kind: string, outcome: 'changed' | 'skipped' | 'conflict'): void;
  events(outcome: 'sent' | 'dropped' | 'failed'): void;
}

/** workqueue's buckets: 10 ns x 10, twelve of them. */
const QUEUE_BUCKETS = Array.from({ length: 12 }, (_, i) => 1e-8 * 10 ** i);
/** controller-runtime, pkg/internal/controller/metrics/metrics.go */
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5,
  5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

export function createMetrics(options: { processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.processMetrics === true) collectDefaultMetrics({ register: registry });
  return {
    registry,
    ...kubeMetrics(registry),
    queue: queueMetrics(registry),
    controller: controllerMetrics(registry),
    ...processWide(registry),
  };
}

const counter = <L extends string>(registry: Registry, name: string, help: string, labelNames: L[]): Counter<L> =>
  new Counter({ name, help, labelNames, registers: [registry] });
const gauge = <L extends string>(registry: Registry, name: string, help: string, labelNames: L[]): Gauge<L> =>
  new Gauge({ name, help, labelNames, registers: [registry] });
const histogram = <L extends string>(registry: Registry, name: string, help: string, labelNames: L[], buckets: number[]): Histogram<L> =>
  new Histogram({ name, help, labelNames, buckets, registers: [registry] });

/** A gauge whose values are read at scrape time, one reader a label value. */
function readGauge(registry: Registry, name: string, help: string, label: string): (value: string, read: () => number) => void {
  const readers = new Map<string, () => number>();
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      for (const [value, read] of readers) this.set({ [label]: value }, read());
    },
  });
  return (value, read) => void readers.set(value, read);
}

function kubeMetrics(registry: Registry): KubeMetrics {
  const requests = counter(registry, 'rest_client_requests_total', 'Requests to the API server by status code, method and host', [
    'code',
    'method',
    'host',
  ]);
  const seconds = histogram(
    registry,
    'rest_client_request_duration_seconds',
    'Time to the head of the answer',
    ['verb', 'host'],
    REQUEST_BUCKETS,
  );
  const retries = counter(registry, 'rest_client_request_retries_total', 'Requests made again', ['code', 'verb']);
  const relists = counter(registry, 'fleet_relists_total', 'Complete states asked of the API server', ['kind', 'reason']);
  const endings = counter(registry, 'fleet_watch_endings_total', 'Watches that ended, by how', ['kind', 'how']);
  const objects = gauge(registry, 'fleet_store_objects', 'Objects held in memory', ['kind']);
  const watchAge = readGauge(
    registry,
    'fleet_watch_last_event_age_seconds',
    'Seconds since the watch last said anything, bookmarks included',
    'kind',
  );
  return {
    request: ({ method, code, host, seconds: took }) => {
      requests.inc({ code, method, host });
      seconds.observe({ verb: method, host }, took);
    },
    requestRetried: (method, code) => retries.inc({ code, verb: method }),
    relisted: (kind, reason) => relists.inc({ kind, reason }),
    watchEnded: (kind, how) => endings.inc({ kind, how }),
    storeObjects: (kind, count) => objects.set({ kind }, count),
    watchAge,
  };
}

function queueMetrics(registry: Registry): Metrics['queue'] {
  const labels = ['name', 'controller'] as ['name', 'controller'];
  const depth = gauge(registry, 'workqueue_depth', 'Keys waiting in the queue', [...labels, 'priority']);
  const adds = counter(registry, 'workqueue_adds_total', 'Keys added', labels);
  const waited = histogram(registry, 'workqueue_queue_duration_seconds', 'Time a key waits before it is worked on', labels, QUEUE_BUCKETS);
  const worked = histogram(registry, 'workqueue_work_duration_seconds', 'Time a key is worked on', labels, QUEUE_BUCKETS);
  const retries = counter(registry, 'workqueue_retries_total', 'Keys added again after a failure', labels);
  const unfinished = readGauge(registry, 'workqueue_unfinished_work_seconds', 'Seconds of work in progress', 'name');
  const longest = readGauge(registry, 'workqueue_longest_running_processor_seconds', 'Seconds of the longest work in progress', 'name');
  return (name) => {
    const label = { name, controller: name };
    adds.inc(label, 0);
    retries.inc(label, 0);
    waited.zero(label);
    worked.zero(label);
    return {
      depth: (band, count) => depth.set({ ...label, priority: PRIORITY[band] }, count),
      added: () => adds.inc(label),
      waited: (seconds) => waited.observe(label, seconds),
      worked: (seconds) => worked.observe(label, seconds),
      retried: () => retries.inc(label),
      running: (unfinishedSeconds, longestSeconds) => {
        unfinished(name, unfinishedSeconds);
        longest(name, longestSeconds);
      },
    };
  };
}

/** controller-runtime's LowPriority is -100. */
const PRIORITY: Record<Band, string> = { user: '0', background: '-100' };

function controllerMetrics(registry: Registry): Metrics['controller'] {
  const totals = counter(registry, 'controller_runtime_reconcile_total', 'Reconciles by result', ['controller', 'result']);
  const seconds = histogram(
    registry,
    'controller_runtime_reconcile_time_seconds',
    'Time of a reconcile',
    ['controller'],
    RECONCILE_BUCKETS,
  );
  const active = gauge(registry, 'controller_runtime_active_workers', 'Reconciles in progress', ['controller']);
  const limit = gauge(registry, 'controller_runtime_max_concurrent_reconciles', 'Most reconciles at a time', ['controller']);
  const failures = {
    error: counter(registry, 'controller_runtime_reconcile_errors_total', 'Reconciles that threw', ['controller']),
    terminal: counter(
      registry,
      'controller_runtime_terminal_reconcile_errors_total',
      'Reconciles that only a change of the spec can help',
      ['controller'],
    ),
    panic: counter(registry, 'controller_runtime_reconcile_panics_total', 'Reconciles that threw something that is a defect of ours', [
      'controller',
    ]),
    timeout: counter(registry, 'controller_runtime_reconcile_timeouts_total', 'Reconciles that missed their deadline', ['controller']),
  };
  return (name) => {
    for (const result of ['success', 'error', 'requeue', 'requeue_after']) totals.inc({ controller: name, result }, 0);
    for (const failure of Object.values(failures)) failure.inc({ controller: name }, 0);
    seconds.zero({ controller: name });
    active.set({ controller: name }, 0);
    return {
      reconciled: (result, took) => {
        totals.inc({ controller: name, result });
        seconds.observe({ controller: name }, took);
      },
      failed: (how) => failures[how].inc({ controller: name }),
      active: (count) => active.set({ controller: name }, count),
      limit: (count) => limit.set({ controller: name }, count),
    };
  };
}

function processWide(registry: Registry): Pick<Metrics, 'leader' | 'applied' | 'events'> {
  const leads = gauge(registry, 'leader_election_master_status', '1 while this process leads', ['name']);
  const applies = counter(registry, 'fleet_apply_total', 'Objects that should be as declared: written, or found to be so', [
    'kind',
    'outcome',
  ]);
  const events = counter(registry, 'fleet_events_total', 'Events for people, by what became of them', ['outcome']);
  return {
    leader: (name, now) => leads.set({ name }, now ? 1 : 0),
    applied: (kind, outcome) => applies.inc({ kind, outcome }),
    events: (outcome) => events.inc({ outcome }),
  };
}
