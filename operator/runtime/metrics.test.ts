// Names and labels as controller-runtime and client-go export them (controller-runtime v0.24 pkg/internal/controller/metrics, pkg/metrics; client-go tools/metrics):
// a dashboard made for any Go operator must find them here.
import { describe, expect, it } from 'vitest';
import { createMetrics } from './metrics.ts';

const EXPECTED: Record<string, { type: string; labels: string[] }> = {
  controller_runtime_reconcile_total: { type: 'counter', labels: ['controller', 'result'] },
  controller_runtime_reconcile_errors_total: { type: 'counter', labels: ['controller'] },
  controller_runtime_terminal_reconcile_errors_total: { type: 'counter', labels: ['controller'] },
  controller_runtime_reconcile_panics_total: { type: 'counter', labels: ['controller'] },
  controller_runtime_reconcile_timeouts_total: { type: 'counter', labels: ['controller'] },
  controller_runtime_reconcile_time_seconds: { type: 'histogram', labels: ['controller'] },
  controller_runtime_active_workers: { type: 'gauge', labels: ['controller'] },
  controller_runtime_max_concurrent_reconciles: { type: 'gauge', labels: ['controller'] },
  workqueue_depth: { type: 'gauge', labels: ['controller', 'name', 'priority'] },
  workqueue_adds_total: { type: 'counter', labels: ['controller', 'name'] },
  workqueue_queue_duration_seconds: { type: 'histogram', labels: ['controller', 'name'] },
  workqueue_work_duration_seconds: { type: 'histogram', labels: ['controller', 'name'] },
  workqueue_retries_total: { type: 'counter', labels: ['controller', 'name'] },
  workqueue_unfinished_work_seconds: { type: 'gauge', labels: ['name'] },
  workqueue_longest_running_processor_seconds: { type: 'gauge', labels: ['name'] },
  rest_client_requests_total: { type: 'counter', labels: ['code', 'host', 'method'] },
  leader_election_master_status: { type: 'gauge', labels: ['name'] },
};

/** A process that has done one of everything. */
function used() {
  const metrics = createMetrics();
  const queue = metrics.queue('device');
  queue.depth('user', 1);
  queue.depth('background', 2);
  queue.added();
  queue.waited(0.001);
  queue.worked(0.2);
  queue.retried();
  queue.running(
    () => 3,
    () => 2,
  );
  const controller = metrics.controller('device');
  controller.reconciled('success', 0.02);
  for (const how of ['error', 'terminal', 'panic', 'timeout'] as const) controller.failed(how);
  controller.active(1);
  controller.limit(4);
  metrics.request({ method: 'GET', code: '200', host: 'h:1', seconds: 0.01 });
  metrics.requestRetried('GET', '429');
  metrics.relisted('devices', 'gone');
  metrics.watchEnded('devices', 'cut');
  metrics.storeObjects('devices', 7);
  metrics.watchAge('devices', () => 12);
  metrics.leader('op', true);
  metrics.applied('networkpolicies', 'skipped');
  metrics.events('dropped');
  return metrics;
}

type Family = { type: string; labels: Set<string>; samples: Map<string, number> };

/** Prometheus' text format, as far as it is needed here. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type?.[1] !== undefined) families.set(type[1], { type: type[2] ?? '', labels: new Set(), samples: new Map() });
    const sample = /^([a-z_]+?)(?:_bucket|_sum|_count)?(\{.*\})? (\S+)$/.exec(line);
    const name = [line.split(/[ {]/)[0] ?? '', sample?.[1] ?? ''].find((candidate) => families.has(candidate));
    const family = families.get(name ?? '');
    if (family === undefined || sample === null) continue;
    for (const label of (sample[2] ?? '').matchAll(/([a-z]+)="/g)) if (label[1] !== 'le') family.labels.add(label[1] ?? '');
    family.samples.set(line.slice(0, line.lastIndexOf(' ')), Number(sample[3]));
  }
  return families;
}

describe('metrics', () => {
  it.each(Object.entries(EXPECTED))('%s has the type and labels that dashboards expect', async (name, { type, labels }) => {
    const family = parse(await used().registry.metrics()).get(name);
    expect(family?.type).toBe(type);
    expect([...(family?.labels ?? [])].sort()).toEqual(labels);
    expect(family?.samples.size).toBeGreaterThan(0);
  });

  it('are there with zeroes before anything happened, so that a rate can be computed from the first failure', async () => {
    const metrics = createMetrics();
    metrics.controller('device');
    metrics.queue('device');
    const families = parse(await metrics.registry.metrics());
    for (const result of ['success', 'error', 'requeue', 'requeue_after'])
      expect(
        families
          .get('controller_runtime_reconcile_total')
          ?.samples.get(`controller_runtime_reconcile_total{controller="device",result="${result}"}`),
      ).toBe(0);
    expect(families.get('workqueue_adds_total')?.samples.get('workqueue_adds_total{name="device",controller="device"}')).toBe(0);
  });

  it('read what is going on at the moment of the scrape', async () => {
    const metrics = createMetrics();
    let seconds = 1;
    metrics.watchAge('devices', () => seconds);
    const age = async () =>
      parse(await metrics.registry.metrics())
        .get('fleet_watch_last_event_age_seconds')
        ?.samples.values()
        .next().value;
    expect(await age()).toBe(1);
    seconds = 9;
    expect(await age()).toBe(9);
  });

  it('never carry a label for a single object: with 100,000 devices that would be 100,000 series', async () => {
    const allowed = new Set([
      'controller',
      'result',
      'name',
      'priority',
      'code',
      'method',
      'host',
      'verb',
      'kind',
      'reason',
      'how',
      'outcome',
    ]);
    for (const family of parse(await used().registry.metrics()).values())
      expect([...family.labels].filter((label) => !allowed.has(label))).toEqual([]);
  });

  it('of two processes in one test do not mix', async () => {
    const [one, other] = [used(), createMetrics()];
    expect(await one.registry.metrics()).toContain('controller="device"');
    expect(await other.registry.metrics()).not.toContain('controller="device"');
  });
});
