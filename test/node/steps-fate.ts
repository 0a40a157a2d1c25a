// What becomes of everything when the operator is killed, upgraded, uninstalled and installed again.

import type { Fleet } from './fleet.ts';
import { kubectl } from './kubectl.ts';
import type { Lab } from './lab.ts';
import { helmWait, OPERATOR_NAMESPACE, operatorPod, valuesFor } from './operator.ts';
import type { Step } from './runner.ts';
import { expectSame, lastingParts, settledState, stateOf } from './state.ts';

export function fateSteps(lab: Lab, fleet: Fleet): Step[] {
  const cluster = () => lab.cluster();
  const values = (more: object = {}): object => ({ ...valuesFor(cluster(), lab.broker()), ...more });
  return [
    {
      sentence: "the operator's pod is killed: a new one takes over, changes nothing and opens nothing",
      run: async () => {
        const { name, uid } = await operatorPod(cluster());
        const before = await settledState(cluster());
        const startedAt = performance.now();
        let readyAt = startedAt;
        const note = await fleet.opensNothing(async () => {
          await kubectl(cluster(), 'delete', 'pod', name, '-n', OPERATOR_NAMESPACE, '--grace-period=0', '--force');
          await operatorPod(cluster(), uid);
          readyAt = performance.now();
        });
        expectSame('the state', before, await stateOf(cluster()));
        return `Ready again after ${((readyAt - startedAt) / 1000).toFixed(1)} s; ${note}`;
      },
    },
    {
      sentence: 'helm upgrade --wait replaces the pod and leaves kinds, policies and Devices as they are',
      run: async () => {
        const { uid } = await operatorPod(cluster());
        const before = { state: await stateOf(cluster()), lasting: await lastingParts(cluster()) };
        const note = await fleet.opensNothing(() => helmWait(cluster(), 'upgrade', values({ logLevel: 'debug' })));
        await operatorPod(cluster(), uid);
        expectSame('the state', before.state, await stateOf(cluster()));
        expectSame('kinds and admission policies', before.lasting, await lastingParts(cluster()));
        return note;
      },
    },
    {
      sentence:
        'helm uninstall takes operator and rights away, leaves kinds, admission policies, Devices and NetworkPolicies, and opens nothing',
      run: async () => {
        const before = { state: await stateOf(cluster()), lasting: await lastingParts(cluster()) };
        if (before.lasting.length < 6) throw new Error(`few kinds and admission policies to begin with: ${before.lasting.join(', ')}`);
        const note = await fleet.opensNothing(async () => {
          await cluster().helm(['uninstall', 'hedgerow', '--namespace', OPERATOR_NAMESPACE, '--wait', '--timeout', '60s']);
          await kubectl(
            cluster(),
            'wait',
            '--for=delete',
            'pod',
            '-l',
            'app.kubernetes.io/name=hedgerow',
            '-n',
            OPERATOR_NAMESPACE,
            '--timeout=60s',
          );
        });
        expectSame('the state', before.state, await stateOf(cluster()));
        expectSame('kinds and admission policies', before.lasting, await lastingParts(cluster()));
        const roles = await kubectl(
          cluster(),
          'get',
          'clusterroles,clusterrolebindings',
          '-l',
          'app.kubernetes.io/name=hedgerow',
          '-o',
          'name',
        );
        if (roles.trim() !== '') throw new Error(`rights that stayed: ${roles}`);
        return `${note}; ${await fleet.isExact()}`;
      },
    },
    {
      sentence: 'helm install afterwards takes over what is there and changes nothing',
      run: async () => {
        const before = { state: await stateOf(cluster()), lasting: await lastingParts(cluster()) };
        await helmWait(cluster(), 'install', values());
        await kubectl(cluster(), 'wait', '--for=condition=Ready', 'device', '--all', '-A', '--timeout=60s');
        expectSame('the state', before.state, await stateOf(cluster()));
        expectSame('kinds and admission policies', before.lasting, await lastingParts(cluster()));
        return fleet.isExact();
      },
    },
  ];
}
