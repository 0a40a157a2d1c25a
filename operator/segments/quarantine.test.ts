import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actualPolicy } from './actual-policy.ts';
import { buildModel, type PolicyFacts } from './model.ts';
import { type BrokerAccess, denyPolicy, type NetworkPolicy, networkPoliciesOf, quarantinePolicy } from './networkpolicy.ts';
import { quarantineStep } from './quarantine.ts';
import { allows, type Pod } from './testing/evaluate.ts';
import { fleet, NAMESPACES, NOW, PODS, policyOf } from './testing/fleet.ts';

const BROKER: BrokerAccess = { port: 8883, peers: [{ namespace: 'emqx', podLabels: { app: 'emqx' } }] };
const EMQX: Pod = { name: 'emqx', namespace: 'emqx', labels: { app: 'emqx' } };
/** Every pod twice: as it is, and running as a Device that has the pod's name. */
const ALL: Pod[] = PODS.flatMap((pod) => [
  pod,
  { ...pod, name: `${pod.name}-d`, labels: { ...pod.labels, 'hedgerow.dev/device': pod.name } },
]);
const CONNECTIONS = ALL.flatMap((from) => ALL.flatMap((to) => [80, 443].map((port) => ({ from, to, protocol: 'TCP', port }))));
const deviceOf = ({ labels }: Pod): string => labels['hedgerow.dev/device'] ?? '';

function emit(policies: readonly PolicyFacts[], shut: readonly string[]): NetworkPolicy[] {
  const pods = (namespace: string): Pod[] => ALL.filter((pod) => pod.namespace === namespace);
  const model = buildModel({ policies, maxTrust: () => 3, pods, now: NOW });
  const of = (namespace: string): string[] => shut.filter((name) => name.startsWith(namespace));
  return [
    ...[...model.verdicts.values()].flatMap((verdict) => {
      const [namespace = '', name = ''] = verdict.key.split('/');
      if (verdict.segment === undefined) return verdict.shut.map((selector) => denyPolicy(namespace, name, selector));
      return networkPoliciesOf(verdict.segment, model, BROKER, of(namespace));
    }),
    ...NAMESPACES.flatMap((namespace) => (of(namespace).length === 0 ? [] : [quarantinePolicy(namespace, of(namespace), BROKER)])),
  ];
}

describe('the pods of Devices in quarantine', () => {
  it('reach DNS and the broker and nobody else, nobody reaches them, and everybody else notices nothing', () => {
    let closed = 0;
    fc.assert(
      fc.property(fleet, fc.subarray(PODS.map(({ name }) => name)), (policies, shut) => {
        const [before, after] = [emit(policies, []), emit(policies, shut)];
        for (const connection of CONNECTIONS) {
          const isShut = [connection.from, connection.to].some((pod) => shut.includes(deviceOf(pod)));
          if (isShut && allows(before, connection)) closed++;
          expect(allows(after, connection)).toBe(!isShut && allows(before, connection));
        }
        for (const pod of ALL.filter((one) => shut.includes(deviceOf(one))))
          expect(allows(after, { from: pod, to: EMQX, protocol: 'TCP', port: 8883 })).toBe(true);
      }),
      { numRuns: 100 },
    );
    expect(closed).toBeGreaterThan(100);
  });

  it('released, everything is as it was, to the letter', () => {
    const policies = [policyOf('sensors', 'berlin', { workloads: [{ podSelector: { matchLabels: { app: 'a' } } }] })];
    const names = (list: NetworkPolicy[]): string[] => list.map(({ metadata }) => metadata.name);
    const before = emit(policies, []);
    const during = emit(policies, ['berlin-a']);
    // The same objects, changed and changed back: only one comes and goes.
    expect(names(during)).toEqual([...names(before), 'hedgerow-quarantine']);
    expect(emit(policies, [])).toEqual(before);
    expect(JSON.stringify(during)).toContain('NotIn');
    expect(JSON.stringify(before)).not.toContain('hedgerow.dev/device');
  });
});

describe('the NetworkPolicy of a namespace with Devices in quarantine', () => {
  const live = (shut: string[], change: object = {}) =>
    actualPolicy({ ...quarantinePolicy('berlin', shut, BROKER), ...change } as Parameters<typeof actualPolicy>[0]);

  it.each<[what: string, shut: string[], actual: ReturnType<typeof live> | undefined, step: object | undefined]>([
    ['is made when the first one goes in', ['thermo'], undefined, { do: 'apply', why: 'missing' }],
    ['is left alone when it is as it should be', ['thermo'], live(['thermo']), undefined],
    ['follows who is in it', ['air', 'thermo'], live(['thermo']), { do: 'apply', why: 'changed' }],
    ['goes when the last one is released', [], live(['thermo']), { do: 'delete', name: 'hedgerow-quarantine', namespace: 'berlin' }],
    ['is not there where nobody is in it', [], undefined, undefined],
  ])('%s', (_what, shut, actual, step) => {
    const decided = quarantineStep('berlin', shut, actual, BROKER);
    if (step === undefined) expect(decided).toBeUndefined();
    else expect(decided).toMatchObject(step);
  });

  it('is put back when somebody opened it, and taken over when somebody else made one of its name', () => {
    const { spec } = quarantinePolicy('berlin', ['thermo'], BROKER);
    const opened = live(['thermo'], { spec: { ...spec, ingress: [{}] } });
    expect(quarantineStep('berlin', ['thermo'], opened, BROKER)?.do).toBe('apply');
    const theirs = live(['thermo'], { metadata: { name: 'hedgerow-quarantine', namespace: 'berlin' } });
    expect(quarantineStep('berlin', ['thermo'], theirs, BROKER)?.do).toBe('apply');
    expect(quarantineStep('berlin', [], theirs, BROKER)).toBeUndefined();
  });
});
