// The chart on real nodes: install, and what the operator's pod is once it runs.
import { startBroker } from './broker.ts';
import { target } from './calls.ts';
import type { Lab } from './lab.ts';
import { helmWait, operatorPod, operatorProcess, prepareNamespace, valuesFor } from './operator.ts';
import { reachableByPod } from './pods.ts';
import type { Step } from './runner.ts';

const METRICS_PORT = 8080;

export function operatorSteps(lab: Lab): Step[] {
  return [
    {
      sentence: 'helm install --wait brings the operator up as a pod in a namespace that enforces restricted pod security',
      foundation: true,
      run: async () => {
        await startBroker(lab);
        const broker = lab.broker();
        await prepareNamespace(lab.cluster(), broker);
        const startedAt = performance.now();
        await helmWait(lab.cluster(), 'install', valuesFor(lab.cluster(), broker));
        const { node } = await operatorPod(lab.cluster());
        return `helm ${((performance.now() - startedAt) / 1000).toFixed(1)} s, on ${node}`;
      },
    },
    {
      sentence: 'its process is nobody, has no capability, cannot gain any, sits behind seccomp and writes nowhere',
      run: async () => {
        const { status, rootMount, rssMb } = operatorProcess();
        // proc(5): Seccomp 2 is filter mode.
        const wanted = {
          Uid: '65532\t65532\t65532\t65532',
          CapEff: '0000000000000000',
          CapBnd: '0000000000000000',
          NoNewPrivs: '1',
          Seccomp: '2',
        };
        for (const [field, value] of Object.entries(wanted)) {
          if (status.get(field) !== value) throw new Error(`${field} is ${status.get(field)}, not ${value}`);
        }
        if (!/ ro[, ]/.test(rootMount)) throw new Error(`its root can be written to: ${rootMount}`);
        return `${rssMb.toFixed(0)} MB resident`;
      },
    },
    {
      sentence: "the broker's key is neither on its command line nor in its environment",
      run: async () => {
        const { command, environment } = operatorProcess();
        const { key, secret } = lab.broker().apiKey;
        if (!command.includes('--broker-api-key-file')) throw new Error(`an unexpected command line: ${command}`);
        for (const word of [key, secret])
          if (`${command}${environment}`.includes(word)) throw new Error('the key can be seen by every process of the node');
      },
    },
    {
      sentence: 'no pod reaches the operator, not even its metrics, while the kubelet does',
      run: async () => {
        const { ip } = await operatorPod(lab.cluster());
        for (const from of ['default/near', 'default/far']) {
          const open = await reachableByPod(lab.cluster(), from, [target('TCP', ip, METRICS_PORT)]);
          if (open.size > 0) throw new Error(`${from} reaches ${[...open].join()}`);
        }
      },
    },
  ];
}
