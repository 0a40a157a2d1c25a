// The sample on real nodes: Devices become Ready, and what its segments grant is what pods reach, no more and no less.
import type { Cluster } from '../controlplane/cluster.ts';
import { apply, get } from '../controlplane/testing.ts';
import { SAMPLE_DIR } from '../harness/manifests.ts';
import type { Fleet } from './fleet.ts';
import { IMAGES } from './images.ts';
import { kubectl } from './kubectl.ts';
import type { Lab } from './lab.ts';
import type { PolicyText } from './oracle.ts';
import { ARCHIVE, HARBOUR, ownNamespaces, ownPolicies, podsFor, startAddresses } from './places.ts';
import type { Step } from './runner.ts';
import { sampleDevices, sampleNamespaces, samplePolicies } from './sample.ts';

export function policySteps(lab: Lab, fleet: Fleet): Step[] {
  return [
    {
      sentence: 'kubectl apply of the smart-office sample makes every Device of it Ready',
      foundation: true,
      run: async () => {
        await kubectl(lab.cluster(), 'apply', '-f', SAMPLE_DIR);
        const devices = sampleDevices();
        if (devices.length === 0) throw new Error('the sample has no Device');
        for (const namespace of sampleNamespaces()) {
          await kubectl(lab.cluster(), 'wait', '--for=condition=Ready', 'device', '--all', '-n', namespace, '--timeout=60s');
        }
        return `${devices.length} Devices`;
      },
    },
    {
      sentence: 'pods on both nodes reach exactly what segments of both sides grant',
      foundation: true,
      run: async () => {
        await apply(lab.cluster(), ownNamespaces());
        await apply(lab.cluster(), ownPolicies());
        fleet.rules.policies = [...samplePolicies(), ...ownPolicies()];
        fleet.rules.sites = new Set(await sites(lab.cluster()));
        const pods = podsFor(fleet.rules.policies);
        fleet.addresses = await startAddresses(lab.cluster(), pods, IMAGES.podtool.reference);
        return `${pods.length} pods; ${await fleet.isExact()}`;
      },
    },
    {
      sentence: 'a NetworkPolicy that somebody widens is put back, and one that somebody deletes is there again',
      run: async () => {
        const policies = await hedgerowPolicies(lab.cluster(), HARBOUR);
        const deny = policies.find((name) => name.endsWith('-deny') && name.includes('crane'));
        const site = policies.find((name) => name === 'hedgerow-site-deny');
        if (deny === undefined || site === undefined) throw new Error(`no deny among ${policies.join(', ')}`);
        await kubectl(
          lab.cluster(),
          'patch',
          'networkpolicy',
          deny,
          '-n',
          HARBOUR,
          '--type=merge',
          '-p',
          JSON.stringify({ spec: { ingress: [{}], egress: [{}] } }),
        );
        await kubectl(lab.cluster(), 'delete', 'networkpolicy', site, '-n', HARBOUR);
        const startedAt = performance.now();
        await fleet.isExact();
        return `as granted again after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
      },
    },
    {
      sentence: 'deleting SegmentPolicies opens nothing, not in a site and not outside one',
      run: async () => {
        const doomed = [`${HARBOUR}/gateway`, `${ARCHIVE}/historian`];
        const goes = ({ metadata }: PolicyText): boolean => doomed.includes(`${metadata.namespace}/${metadata.name}`);
        const before = { ...fleet.rules };
        const note = await fleet.opensNothing(async () => {
          for (const name of doomed) {
            const [namespace = '', policy = ''] = name.split('/');
            await kubectl(lab.cluster(), 'delete', 'segmentpolicy', policy, '-n', namespace);
          }
        });
        fleet.rules = { ...before, policies: before.policies.filter((policy) => !goes(policy)), gone: before.policies.filter(goes) };
        return `${note}; then ${await fleet.isExact()}`;
      },
    },
    {
      sentence: 'the policies, applied again, grant again what they granted',
      run: async () => {
        await apply(lab.cluster(), ownPolicies());
        fleet.rules = { ...fleet.rules, policies: [...fleet.rules.policies, ...fleet.rules.gone], gone: [] };
        return fleet.isExact();
      },
    },
  ];
}

type Named = { items: { metadata: { name: string } }[] };

async function sites(cluster: Cluster): Promise<string[]> {
  return (await get<Named>(cluster, 'namespaces', '-l', 'hedgerow.dev/site')).items.map(({ metadata }) => metadata.name);
}

async function hedgerowPolicies(cluster: Cluster, namespace: string): Promise<string[]> {
  const { items } = await get<Named>(cluster, 'networkpolicies', '-n', namespace, '-l', 'app.kubernetes.io/managed-by=hedgerow');
  return items.map(({ metadata }) => metadata.name);
}
