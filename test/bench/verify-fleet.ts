// What the bench `verify` reads: policies with ways between neighbours, Devices, a pod of each segment, and the NetworkPolicies that the operator makes of them.
import type { SegmentPolicySpec } from '../../operator/api/segment-policy.ts';
import { sentText } from '../../operator/broker/testing/sent-text.ts';
import type { BrokerRead, Manifest } from '../../operator/reach/reach.ts';
import { buildModel, type PolicyFacts } from '../../operator/segments/model.ts';
import { networkPoliciesOf } from '../../operator/segments/networkpolicy.ts';
import { rightsOfAll, servicePolicies } from '../../operator/segments/testing/service-fleet.ts';

const NEIGHBOURS = 5;
const PORTS = [443, 8443].map((port) => ({ protocol: 'TCP' as const, port }));
const BROKER = { port: 8883, peers: [{ namespace: 'emqx', podLabels: { app: 'emqx' } }] };

/** Each segment leads to the next five, which accept it. */
export function verifyPolicies(count: number): PolicyFacts[] {
  const policies = servicePolicies(count);
  const place = (at: number): { namespace: string; segment: string } => {
    const { namespace, name } = policies[(at + count) % count] as PolicyFacts;
    return { namespace, segment: name };
  };
  const steps = Array.from({ length: Math.min(NEIGHBOURS, count - 1) }, (_, step) => step + 1);
  return policies.map((policy, at) => {
    const spec: SegmentPolicySpec = {
      ...policy.spec,
      workloads: [{ podSelector: { matchLabels: { app: policy.name } } }],
      conduits: steps.map((step) => ({ name: `next-${step}`, to: place(at + step), ports: PORTS, justification: 'bench' })),
      acceptFrom: [...(policy.spec.acceptFrom ?? []), ...steps.map((step) => ({ ...place(at - step), ports: PORTS }))],
    };
    return { ...policy, spec };
  });
}

export const policyManifest = ({ namespace, name, spec }: PolicyFacts): object => ({
  ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'SegmentPolicy', metadata: { name, namespace } },
  spec,
});

export function deviceManifests(policies: readonly PolicyFacts[], count: number): object[] {
  return Array.from({ length: count }, (_, at) => {
    const { namespace, name } = policies[at % policies.length] as PolicyFacts;
    return {
      ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name: `device-${at}`, namespace } },
      spec: { segment: name },
    };
  });
}

/** A pod of each segment, and what the operator makes of the policies. */
export function networkManifests(policies: readonly PolicyFacts[]): object[] {
  const model = buildModel({ policies, maxTrust: () => 3, pods: () => [], now: 0 });
  const pods = policies.map(({ namespace, name }) => ({
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels: { app: name } } },
    spec: { containers: [{ name: 'c' }] },
  }));
  return [...pods, ...[...model.verdicts.values()].flatMap(({ segment }) => (segment ? networkPoliciesOf(segment, model, BROKER) : []))];
}

/** What EMQX gives back of the text that the operator sends it for these policies, as bytes. */
export function aclOf(policies: readonly PolicyFacts[]): BrokerRead {
  const bytes = Buffer.from(JSON.stringify({ type: 'file', enable: true, rules: sentText(rightsOfAll(policies)) }));
  return { sources: { sources: [JSON.parse(bytes.toString())] }, settings: { no_match: 'deny' } };
}

export const manifestsOf = (objects: readonly object[]): Manifest[] => objects.map((object) => ({ source: 'bench', object }));
