import { defineConfig } from 'vitest/config';

// Two projects: `unit` needs no process; `system` starts the real control plane once (global set-up) and shares it.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          // A test that hangs must end; none is to fail because the machine is slow.
          testTimeout: 60_000,
          include: [
            'operator/**/*.test.ts',
            'edge-k3s/**/*.test.ts',
            'cloud/**/*.test.ts',
            'scripts/**/*.test.ts',
            'test/layers/**/*.test.ts',
            'test/simulator/**/*.test.ts',
            'test/demo/**/*.test.ts',
            'test/harness/**/*.test.ts',
            'test/est/**/*.test.ts',
            'test/crl/**/*.test.ts',
            'test/firmware/**/*.test.ts',
            'test/nodeagent/**/*.test.ts',
            'test/nab/**/*.test.ts',
            'test/detect/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'broker',
          include: ['test/broker/**/*.test.ts', 'test/rollout/**/*.test.ts', 'test/gateway/**/*.test.ts', 'test/cloud/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'system',
          globalSetup: ['test/controlplane/global-setup.ts'],
          include: [
            'test/controlplane/**/*.test.ts',
            'test/api/**/*.test.ts',
            'test/scenarios/**/*.test.ts',
            'test/faults/**/*.test.ts',
            'test/scale/**/*.test.ts',
          ],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
