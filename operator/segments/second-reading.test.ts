// What the policies mean, by the reading that shares no code with this room, is what comes of them: NetworkPolicies and rights at the broker.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { brokerOf } from '../broker/testing/text.ts';
import { createIntent, type Intent, reachOf } from '../reach/reach.ts';
import { buildModel, type PolicyFacts, rightsOf } from './model.ts';
import { denyPolicy, type NetworkPolicy, networkPoliciesOf } from './networkpolicy.ts';
import { allows, type Pod } from './testing/evaluate.ts';
import { CONNECTIONS, fleet, NOW, PODS } from './testing/fleet.ts';
import { compare, emitted, SUBSETS } from './testing/small-model.ts';
import { asked, topicFleet } from './testing/topic-fleet.ts';

const manifest = (object: unknown) => ({ source: 'test', object });
const podObject = ({ name, namespace, labels }: Pod) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels },
  spec: {},
});

function intentOf(policies: readonly PolicyFacts[], more: readonly unknown[]): Intent {
  const objects = policies.map(({ name, namespace, spec }) => ({
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'SegmentPolicy',
    metadata: { name, namespace },
    spec,
  }));
  return createIntent([...objects, ...more].map(manifest), NOW);
}
const modelOf = (policies: readonly PolicyFacts[]) =>
  buildModel({ policies, maxTrust: () => 3, pods: (namespace) => PODS.filter((pod) => pod.namespace === namespace), now: NOW });

describe('three segments', () => {
  it('with every set of conduits, accepted and not, isolated and open: meant and made are the same', () => {
    const { models, allowed, different } = compare();
    expect(different).toEqual([]);
    expect(models).toBe(SUBSETS * 4);
    expect(allowed).toBeGreaterThan(10_000);
  }, 120_000);
});

describe('any fleet', () => {
  it('of pods, shared ones too: meant and made are the same', () => {
    let yes = 0;
    fc.assert(
      fc.property(fleet, (policies) => {
        const model = modelOf(policies);
        const network = [...model.verdicts.values()].flatMap(({ key, segment, shut }) => {
          const [namespace = '', name = ''] = key.split('/');
          if (segment !== undefined) return networkPoliciesOf(segment, model, { port: 8883, peers: [] });
          return shut.map((selector) => denyPolicy(namespace, name, selector));
        });
        const intent = intentOf(policies, PODS.map(podObject));
        const place = ({ namespace, name }: Pod) => ({ pods: `${namespace}/${name}[Pod]` });
        for (const connection of CONNECTIONS) {
          const { from, to, protocol, port } = connection;
          const meant = intent.can(place(from), place(to), { port: `${protocol} ${port}` }).allowed;
          if (meant) yes++;
          expect({ from: from.name, to: to.name, port, allowed: allows(network, connection) }).toEqual({
            from: from.name,
            to: to.name,
            port,
            allowed: meant,
          });
        }
      }),
      { numRuns: 150 },
    );
    expect(yes).toBeGreaterThan(1000);
  }, 120_000);

  it('of topics: what a device may at the broker is what was meant', () => {
    let yes = 0;
    fc.assert(
      fc.property(topicFleet, (policies) => {
        const broker = brokerOf(rightsOf(modelOf(policies)));
        const intents = new Map<string, Intent>();
        for (const attempt of asked) {
          const [segment = '', namespace = ''] = attempt.segment.split('.');
          const device = attempt.device.split('.')[0] ?? '';
          const object = { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name: device, namespace }, spec: { segment } };
          const intent = intents.get(attempt.segment) ?? intentOf(policies, [object]);
          intents.set(attempt.segment, intent);
          const meant = intent.may(`${namespace}/${device}`, attempt.action, attempt.topic).allowed;
          if (meant) yes++;
          expect({ ...attempt, allowed: broker(attempt) }).toEqual({ ...attempt, allowed: meant });
        }
      }),
      { numRuns: 200 },
    );
    expect(yes).toBeGreaterThan(200);
  }, 120_000);
});

describe('one byte of what was made', () => {
  /** Whoever a byte could let in instead: names, labels and namespaces that are one letter further. */
  const pods: Pod[] = [
    ...['x', 'y', 'z'].flatMap((namespace) => ['a', 'b', 'c', 'd'].map((app) => ({ namespace, name: app, labels: { app } }))),
    ...['q1', 'q2', 'r1'].flatMap((device) =>
      ['a', 'b'].map((app) => ({ namespace: 'x', name: `${app}-${device}`, labels: { app, 'hedgerow.dev/device': device } })),
    ),
    { namespace: 'kube-system', name: 'dns', labels: { 'k8s-app': 'kube-dns' } },
    { namespace: 'emqx', name: 'emqx', labels: {} },
  ];
  const numbers = [53, 54, 63, 80, 81, 90, 8883, 8884, 8893, 8983, 9883];

  function tables(policies: readonly NetworkPolicy[]): { evaluated: boolean[]; defined: boolean[]; omitted: number } {
    const reach = reachOf([...policies, ...pods.map(podObject)].map(manifest));
    const open = new Map(reach.connections.map(({ from, to, connections }) => [`${from.text} ${to.text}`, connections]));
    const [evaluated, defined]: [boolean[], boolean[]] = [[], []];
    for (const from of pods) {
      for (const to of pods) {
        if (from === to) continue;
        const connections = open.get([from, to].map(({ namespace, name }) => `${namespace}/${name}[Pod]`).join(' '));
        for (const port of numbers) {
          for (const protocol of ['TCP', 'UDP'] as const) {
            evaluated.push((connections?.get(protocol) ?? []).some(([first, last]) => first <= port && port <= last));
            defined.push(allows(policies, { from, to, protocol, port }));
          }
        }
      }
    }
    return { evaluated, defined, omitted: reach.omitted.length };
  }

  it('is refused, or changes an answer, or changes none by the words of the API reference either', () => {
    const seen = { refused: 0, changed: 0, neutral: 0 };
    fc.assert(
      fc.property(fc.nat(SUBSETS - 1), fc.nat(3), fc.nat(), (subset, variant, where) => {
        const made = emitted(subset, variant);
        const text = JSON.stringify(
          made.map(({ apiVersion, kind, metadata: { name, namespace }, spec }) => ({
            apiVersion,
            kind,
            metadata: { name, namespace },
            spec,
          })),
        );
        const at = where % text.length;
        const other = `${text.slice(0, at)}${String.fromCharCode(text.charCodeAt(at) + 1)}${text.slice(at + 1)}`;
        let policies: NetworkPolicy[];
        try {
          policies = JSON.parse(other) as NetworkPolicy[];
        } catch {
          seen.refused++;
          return;
        }
        // What is no NetworkPolicy any more the API server refuses.
        const isWhole = policies.every(
          ({ apiVersion, kind, spec, metadata }) =>
            apiVersion === 'networking.k8s.io/v1' &&
            kind === 'NetworkPolicy' &&
            spec?.podSelector !== undefined &&
            metadata?.namespace !== undefined,
        );
        if (!isWhole) return void seen.refused++;
        const [before, after] = [tables(made), tables(policies)];
        if (after.omitted > 0) return void seen.refused++;
        expect(after.evaluated).toEqual(after.defined);
        if (JSON.stringify(before.evaluated) === JSON.stringify(after.evaluated)) seen.neutral++;
        else seen.changed++;
      }),
      { numRuns: 150 },
    );
    expect(Math.min(seen.refused, seen.changed)).toBeGreaterThan(0);
  }, 120_000);
});
