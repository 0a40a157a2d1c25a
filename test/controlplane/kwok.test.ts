import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from './cluster.ts';
import { fakeNode } from './kwok.ts';
import { apply, get } from './testing.ts';

describe('nodes played by kwok', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ name: `kwok-${process.pid}`, freshData: true, with: ['kwok'] });
  });
  afterAll(() => cluster?.down());

  it('let the real scheduler and Job controller complete a Job of five pods', async () => {
    await apply(
      cluster,
      ['a', 'b', 'c'].map((letter) => fakeNode(`node-${letter}`)),
    );
    const { code, stderr } = await cluster.kubectl(['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=30s']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const pod = { restartPolicy: 'Never', containers: [{ name: 'work', image: 'none' }] };
    await apply(cluster, [
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'work', namespace: 'default' },
        spec: { completions: 5, parallelism: 5, template: { spec: pod } },
      },
    ]);
    await cluster.kubectl(['wait', '--for=condition=Complete', 'job/work', '--timeout=60s']);
    const job = await get<{ status: { succeeded?: number } }>(cluster, 'job', 'work', '-n', 'default');
    expect(job.status.succeeded).toBe(5);
    const { items } = await get<{ items: { spec: { nodeName?: string } }[] }>(cluster, 'pods', '-n', 'default');
    expect(items.every((item) => item.spec.nodeName?.startsWith('node-'))).toBe(true);
  });
});
