// The ground: two real nodes, images without a registry, pods that reach each other. What is shut later is shut by policies, because here it is open.
import { podNetworks, reachable, target } from './calls.ts';
import { ctr } from './containerd.ts';
import { IMAGES } from './images.ts';
import type { Lab } from './lab.ts';
import { CENTRE_IP, NODES } from './layout.ts';
import { reachableByPod, startPods, type TestPod } from './pods.ts';
import { tcp } from './ports.ts';
import type { Step } from './runner.ts';
import { startCentre, startNodes } from './world.ts';

const PODS: readonly TestPod[] = [
  { name: 'near', namespace: 'default', labels: {}, node: NODES[0].name, ports: tcp(8883) },
  { name: 'beside', namespace: 'default', labels: {}, node: NODES[0].name, ports: tcp(8883) },
  { name: 'far', namespace: 'default', labels: {}, node: NODES[1].name, ports: tcp(8883) },
];

export function clusterSteps(lab: Lab): Step[] {
  return [
    {
      sentence: 'the control plane and cert-manager answer on the bridge, both nodes hold the images',
      foundation: true,
      run: async () => {
        lab.setCluster(await startCentre());
        for (const node of NODES) {
          const images = await ctr(node, '-n', 'k8s.io', 'images', 'ls', '-q');
          for (const { reference } of Object.values(IMAGES)) {
            if (!images.split('\n').includes(reference)) throw new Error(`${node.name} lacks ${reference}; it has ${images}`);
          }
        }
      },
    },
    { sentence: 'two real nodes become Ready', foundation: true, run: () => startNodes(lab.cluster()) },
    {
      sentence: 'without policies every pod reaches every other, on its node and across',
      foundation: true,
      run: async () => {
        const ips = await startPods(lab.cluster(), PODS, IMAGES.podtool.reference);
        for (const [name, ip] of ips) lab.ips.set(name, ip);
        const targets = [...ips.values()].map((ip) => target('TCP', ip, 8883));
        // Nothing listens there: what counts as shut has to be possible.
        const deaf = target('TCP', CENTRE_IP, 9);
        for (const [name, ip] of ips) {
          // From now on calls are made beside the pods; here it shows that both ways see the same.
          const seen = await Promise.all([
            reachableByPod(lab.cluster(), name, [...targets, deaf]),
            reachable(podNetworks().get(ip) ?? '', [...targets, deaf]),
          ]);
          for (const open of seen) {
            if (open.has(deaf)) throw new Error('a port where nothing listens counts as open');
            if (open.size < targets.length)
              throw new Error(`${name} reaches only ${[...open].join(', ') || 'nobody'} of ${targets.join(', ')}`);
          }
        }
      },
    },
  ];
}
