// The verifier where SegmentPolicies, NetworkPolicies and pods meet: in Git, where what follows from policies is not there yet, and in a cluster, where it is.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInvariants } from './invariant.ts';
import { blastOf, createVerifier, graphText, reachChange } from './reach.ts';
import { device, fleet as fleets, type Json, NOW, pod, policy } from './testing/fleet.ts';

const verifierOf = (objects: readonly unknown[], live = false) =>
  createVerifier(
    objects.map((object) => ({ source: 'test', object })),
    NOW,
    live,
  );
const networkPolicy = (name: string, spec: Json): Json => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace: 'berlin', name },
  spec,
});

const FLEET = [
  policy('berlin', 'a', {
    workloads: [{ podSelector: { matchLabels: { app: 'a' } } }],
    conduits: [{ name: 'up', to: { segment: 'b' }, ports: [{ port: 443 }] }],
  }),
  policy('berlin', 'b', {
    trust: 3,
    workloads: [{ podSelector: { matchLabels: { app: 'b' } } }],
    acceptFrom: [{ segment: 'a', ports: [{ port: 443 }] }],
  }),
  pod('berlin', 'a', { app: 'a' }),
  pod('berlin', 'b', { app: 'b' }),
  pod('berlin', 'free', { app: 'free' }),
  pod('berlin', 'other', { app: 'other' }),
];
const A = { pods: 'berlin/a[Pod]' };
const B = { pods: 'berlin/b[Pod]' };
const FREE = { pods: 'berlin/free[Pod]' };
const OTHER = { pods: 'berlin/other[Pod]' };
const web = { port: 'TCP 443' };
const ssh = { port: 'TCP 22' };
const to = (app: string, port: number): Json => ({
  podSelector: { matchLabels: { app: 'a' } },
  policyTypes: ['Egress'],
  egress: [{ to: [{ podSelector: { matchLabels: { app } } }], ports: [{ port }] }],
});
const from = (app: string, port: number): Json => ({
  podSelector: { matchLabels: { app: 'b' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { app } } }], ports: [{ port }] }],
});

describe('in Git', () => {
  it('pods of segments have what the policies grant and nothing else, and pods of nobody everything', () => {
    const { can } = verifierOf(FLEET);
    expect(can(A, B, web).allowed).toBe(true);
    expect(can(A, B, ssh).allowed).toBe(false);
    expect(can(B, A, web).allowed).toBe(false);
    expect(can(FREE, B, web).allowed).toBe(false);
    expect(can(FREE, OTHER, ssh).allowed).toBe(true);
  });

  it('NetworkPolicies add what both directions let through; one of two directions is not enough', () => {
    const one = verifierOf([...FLEET, networkPolicy('out', to('b', 22))]);
    expect(one.can(A, B, ssh).allowed).toBe(false);
    const both = verifierOf([...FLEET, networkPolicy('out', to('b', 22)), networkPolicy('in', from('a', 22))]);
    const [way] = both.can(A, B, ssh).ways;
    expect(way).toMatchObject({ allowed: true, by: 'NetworkPolicies' });
    expect(way?.grants.map(({ policy: name, path }) => `${name} ${path}`)).toEqual([
      'NetworkPolicy berlin/out spec.egress[0]',
      'NetworkPolicy berlin/in spec.ingress[0]',
    ]);
    expect(both.can(A, B, web).allowed).toBe(true);
  });

  it('a segment as a whole reaches what one of its pods reaches', () => {
    const { can } = verifierOf([...FLEET, networkPolicy('out', to('free', 22))]);
    expect(can({ segment: 'berlin/a' }, FREE, ssh).allowed).toBe(true);
    expect(can({ segment: 'berlin/a' }, OTHER, ssh).allowed).toBe(false);
  });

  it('a policy that is refused is said to be', () => {
    expect(verifierOf([policy('berlin', 'x', { trust: 4 })]).survey.omitted).toEqual([
      'SegmentPolicy berlin/x is not in force as written: spec.trust: 4 is above 3, the highest trust of namespace berlin',
    ]);
  });
});

describe('in a cluster', () => {
  it('NetworkPolicies decide about pods, whatever the SegmentPolicies say', () => {
    const { can } = verifierOf([...FLEET, networkPolicy('out', to('b', 22))], true);
    expect(can(A, B, web).allowed).toBe(false);
    expect(can(A, B, ssh).allowed).toBe(true);
    expect(can(B, A, web).allowed).toBe(true);
    expect(can(A, B, web).ways[0]?.missing[0]).toBe(
      'NetworkPolicy berlin/out: no rule of egress lets berlin/a[Pod] => berlin/b[Pod] : TCP 443 through',
    );
  });

  it('pods in the network of their node are named', () => {
    const host = { ...pod('berlin', 'host', { app: 'h' }), spec: { hostNetwork: true } };
    expect(verifierOf([...FLEET, host], true).can({ pods: 'berlin/host[Pod]' }, B).notes).toEqual([
      'in the network of their node, where NetworkPolicies do not hold: berlin/host[Pod]',
    ]);
  });
});

describe('of any fleet', () => {
  it('a change and its way back are each other turned round, and no change is none', () =>
    fc.assert(
      fc.property(fleets, fleets, (old, now) => {
        const [before, after] = [verifierOf(old), verifierOf(now)];
        const [there, back] = [reachChange(before, after), reachChange(after, before)];
        expect([there.reachable, there.blocked]).toEqual([back.blocked, back.reachable]);
        expect(reachChange(before, before)).toEqual({ reachable: [], blocked: [], devices: [] });
      }),
      { numRuns: 60 },
    ));

  it('the blast radius only grows with the hops', () =>
    fc.assert(
      fc.property(fleets, fc.integer({ min: 1, max: 4 }), (fleet, hops) => {
        const verifier = verifierOf(fleet);
        for (const name of verifier.survey.facts.devices.keys()) {
          const [near, far] = [blastOf(verifier, name, hops), blastOf(verifier, name, hops + 1)];
          expect(far.devices).toBeGreaterThanOrEqual(near.devices);
          expect(far.reached.map((one) => one.to)).toEqual(expect.arrayContaining(near.reached.map((one) => one.to)));
        }
      }),
      { numRuns: 60 },
    ));

  it('the order of the manifests changes no picture', () =>
    fc.assert(
      fc.property(fleets, (fleet) => {
        for (const form of ['mermaid', 'svg'] as const)
          expect(graphText(verifierOf(fleet.toReversed()), form)).toBe(graphText(verifierOf(fleet), form));
      }),
      { numRuns: 60 },
    ));
});

describe('hostile texts', () => {
  it('no function of a policy is read as Mermaid or XML', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const fleet = [policy('berlin', 'a', { function: `${text}"]<script>&|;` }), device('berlin', 't', { segment: 'a' })];
        const [mermaid, svg] = [graphText(verifierOf(fleet), 'mermaid'), graphText(verifierOf(fleet), 'svg')];
        expect(mermaid.trimEnd().split('\n')).toHaveLength(2);
        expect(mermaid.match(/"/g)).toHaveLength(2);
        expect(mermaid.replaceAll('<br/>', '')).not.toMatch(/[<>&|;](?<!#\d+;)/);
        expect(svg).not.toMatch(/<script|&(?!#\d+;)/);
        expect(svg.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
      }),
    ));

  it('whatever stands in a file of invariants is read or refused, never thrown at', () =>
    fc.assert(
      fc.property(
        fc.oneof(fc.anything(), fc.record({ invariants: fc.array(fc.record({ name: fc.string(), never: fc.anything() })) })),
        (document) => {
          const { invariants, faults } = readInvariants(document);
          expect(invariants.length > 0 || faults.length > 0).toBe(true);
        },
      ),
    ));
});
