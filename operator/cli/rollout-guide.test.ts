// The examples of "From the shell" in docs/guides/roll-out-firmware.md, typed one after the other against a release as the page has it: what comes out is what stands below them.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import type { KubeClient } from '../kube/client.ts';
import { runCli } from './cli.ts';
import { rolloutAbort, rolloutApprove, rolloutPause, rolloutResume, rolloutRollback } from './rollout-acts.ts';
import { rolloutStatus } from './rollout-status.ts';
import { listen } from './testing/heard.ts';
import { RolloutApi } from './testing/rollout.ts';

const COMMANDS = [rolloutStatus, rolloutPause, rolloutResume, rolloutApprove, rolloutAbort, rolloutRollback];
const page = readFileSync(fileURLToPath(new URL('../../docs/guides/roll-out-firmware.md', import.meta.url)), 'utf8');
const section = page.slice(page.indexOf('## From the shell'));
const examples = [...section.matchAll(/^```\n(\$ kubectl hedgerow rollout [\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
  block.split(/^(?=\$ )/m).map((one) => {
    const [typed = '', ...output] = one.split('\n');
    return { typed, output: output.join('\n') };
  }),
);

const api = new RolloutApi();
vi.mock('./cluster.ts', () => ({
  withCluster: (values: { namespace?: string }, work: (client: KubeClient, namespace: string) => unknown) =>
    work(api.client, values.namespace ?? 'default'),
}));

it('the page shows what is printed', async () => {
  expect(examples.map(({ typed }) => typed.split(' ')[4])).toEqual(['status', 'approve', 'pause', 'resume']);
  for (const { typed, output } of examples) {
    const said = listen();
    const words = [...typed.slice('$ kubectl hedgerow '.length).matchAll(/"([^"]*)"|(\S+)/g)].map(
      ([, quoted, bare]) => quoted ?? bare ?? '',
    );
    expect(await runCli(COMMANDS, words, said.output), typed).toBe(0);
    expect(said.heard.err + said.heard.out, typed).toBe(output);
    // What was made is there for the next one.
    api.interventions.push(...api.made.splice(0));
  }
});
