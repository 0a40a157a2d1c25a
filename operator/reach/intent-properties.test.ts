// What holds of the intent whatever the policies say.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { intentDifference } from './reach.ts';
import { anyPolicy, conduit, device, fleet, identityOf, intentOf, intervention, type Json, NOW, reached, table } from './testing/fleet.ts';

const RUNS = { numRuns: 150 };
type Policy = Json & { metadata: { namespace: string; name: string }; spec: { conduits: Json[]; acceptFrom: Json[] } };

const isPolicy = (object: Json): object is Policy => object.kind === 'SegmentPolicy';
const policiesOf = (objects: Json[]): Policy[] => objects.filter(isPolicy);
const withoutPods = (objects: Json[]): Json[] => objects.filter(({ kind }) => kind !== 'Pod');
/** One policy of the fleet, changed. */
const changed = (objects: Json[], at: number, change: (policy: Policy) => Json): Json[] => {
  const policies = policiesOf(objects);
  const chosen = policies[at % policies.length];
  return objects.map((object) => (object === chosen ? change(chosen) : object));
};
const subset = (some: string[], all: string[]): void => {
  const there = new Set(all);
  expect(some.filter((question) => !there.has(question))).toEqual([]);
};
const isAbout = (question: string, key: string): boolean => question.includes(`"${key}"`);

describe('who reaches whom', () => {
  it('shrinks by no conduit and no acceptFrom that is added', () => {
    let more = 0;
    fc.assert(
      fc.property(fleet, fc.nat(), conduit, fc.nat(), (objects, at, added, from) => {
        const before = reached(intentOf(objects));
        const policies = policiesOf(objects);
        const asking = policies[from % policies.length];
        const withConduit = changed(objects, at, (one) => ({
          ...one,
          spec: { ...one.spec, conduits: [...one.spec.conduits, { name: 'new', ...added }] },
        }));
        const accept = { namespace: asking?.metadata.namespace, segment: asking?.metadata.name, ports: [{ port: 80 }, { port: 443 }] };
        const withAccept = changed(objects, at, (one) => ({ ...one, spec: { ...one.spec, acceptFrom: [...one.spec.acceptFrom, accept] } }));
        for (const after of [withConduit, withAccept].map((changedTo) => reached(intentOf(changedTo)))) {
          subset(before, after);
          if (after.length > before.length) more++;
        }
      }),
      RUNS,
    );
    expect(more).toBeGreaterThan(0);
  }, 60_000);

  it('grows by no policy for those who are not in it, but on the topics that it owns', () => {
    fc.assert(
      fc.property(fleet, anyPolicy, (objects, added) => {
        fc.pre(!objects.some((object) => identityOf(object) === identityOf(added)));
        const { namespace, name } = (added as Policy).metadata;
        const difference = intentDifference(intentOf(objects), intentOf([...objects, added]));
        const ofOthers = difference.added.filter((line) => !line.split(' by ')[0]?.split(' -> ').includes(`${namespace}/${name}`));
        // Two others may meet on the topics of the new segment, when both ask for them and it accepts both.
        expect(ofOthers.filter((line) => !line.includes(` by dt/${name}.${namespace}/`))).toEqual([]);
      }),
      RUNS,
    );
  }, 60_000);

  it('is the same when everything is said twice, or in another order', () => {
    fc.assert(
      fc.property(fleet, (objects) => {
        const once = table(intentOf(objects));
        expect(table(intentOf([...objects, ...objects]))).toEqual(once);
        const turned = objects.toReversed().map((object) =>
          isPolicy(object)
            ? {
                ...object,
                spec: { ...object.spec, conduits: object.spec.conduits.toReversed(), acceptFrom: object.spec.acceptFrom.toReversed() },
              }
            : object,
        );
        expect(table(intentOf(turned))).toEqual(once);
      }),
      RUNS,
    );
  }, 60_000);

  it('grows by no policy that is deleted, but for what a conflict had closed', () => {
    fc.assert(
      fc.property(fleet, fc.nat(), (objects, at) => {
        const policies = policiesOf(objects);
        const left = objects.filter((object) => object !== policies[at % policies.length]);
        // A pod of two segments closes both; without pods there is no such conflict.
        subset(reached(intentOf(left)), reached(intentOf(withoutPods(objects))));
        subset(reached(intentOf(withoutPods(left))), reached(intentOf(withoutPods(objects))));
      }),
      RUNS,
    );
  }, 60_000);

  it('leaves a device in quarantine its firmware and recovery topics, and nobody who reaches it', () => {
    let had = 0;
    fc.assert(
      fc.property(fleet, fc.boolean(), (objects, byHand) => {
        const others = objects.filter((object) => !['Device berlin/t1', 'Intervention berlin/t1-x'].includes(identityOf(object)));
        const active = [...others, device('berlin', 't1', { segment: 'a' })];
        const shut = byHand
          ? [...active, intervention('berlin', 't1', { action: 'Quarantine' })]
          : [...others, device('berlin', 't1', { segment: 'a', lifecycle: 'Quarantined' })];
        if (reached(intentOf(active)).some((question) => isAbout(question, 'berlin/t1'))) had++;
        const intent = intentOf(shut);
        expect(reached(intent).filter((question) => isAbout(question, 'berlin/t1'))).toEqual([]);
        expect(intent.topicsOf('berlin/t1').every(({ filter }) => /^(ota\/v1\/d|recovery|trust\/v1)\//.test(filter))).toBe(true);
        expect(intent.may('berlin/t1', 'subscribe', 'recovery/t1.berlin/now').allowed).toBe(true);
        expect(intent.may('berlin/t1', 'publish', 'ota/v1/d/t2.berlin/state').allowed).toBe(false);
      }),
      RUNS,
    );
    expect(had).toBeGreaterThan(5);
  }, 60_000);

  it('changes at the end of a conduit exactly as if that conduit were not there', () => {
    let flips = 0;
    fc.assert(
      fc.property(fleet, fc.constantFrom('2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'), (objects, end) => {
        const t = Date.parse(end);
        const without = objects.map((object) =>
          isPolicy(object)
            ? { ...object, spec: { ...object.spec, conduits: object.spec.conduits.filter(({ expires }) => expires !== end) } }
            : object,
        );
        const [before, after] = [table(intentOf(objects, t - 1)), table(intentOf(objects, t))];
        expect(after).toEqual(table(intentOf(without, t - 1)));
        if ([...before].some(([question, yes]) => yes !== after.get(question))) flips++;
      }),
      RUNS,
    );
    expect(flips).toBeGreaterThan(5);
  }, 60_000);
});

describe('the difference of two fleets', () => {
  it('turned round is what was added as removed and what was removed as added', () => {
    fc.assert(
      fc.property(fleet, fleet, (one, other) => {
        const [a, b] = [intentOf(one), intentOf(other)];
        const there = intentDifference(a, b);
        expect(intentDifference(b, a)).toEqual({ added: there.removed, removed: there.added });
        expect(intentDifference(a, intentOf(one))).toEqual({ added: [], removed: [] });
      }),
      RUNS,
    );
  }, 60_000);

  it('is empty only when every answer is the same', () => {
    let same = 0;
    let other = 0;
    fc.assert(
      fc.property(fleet, fc.nat(), fc.constantFrom('conduits', 'acceptFrom', 'topics', 'trust'), (objects, at, field) => {
        const after = changed(objects, at, (one) => ({ ...one, spec: { ...one.spec, [field]: undefined } }));
        const [a, b] = [intentOf(objects), intentOf(after)];
        const { added, removed } = intentDifference(a, b);
        const equal = JSON.stringify([...table(a)]) === JSON.stringify([...table(b)]);
        if (added.length + removed.length === 0) expect(equal).toBe(true);
        if (equal) same++;
        else other++;
      }),
      RUNS,
    );
    expect(Math.min(same, other)).toBeGreaterThan(5);
  }, 60_000);

  it('says what a change opens, in words', () => {
    const policies = (accepts: boolean): Json[] => [
      {
        apiVersion: 'hedgerow.dev/v1alpha1',
        kind: 'SegmentPolicy',
        metadata: { namespace: 'berlin', name: 'a' },
        spec: { conduits: [{ name: 'up', to: { segment: 'b' }, ports: [{ port: 443 }] }] },
      },
      {
        apiVersion: 'hedgerow.dev/v1alpha1',
        kind: 'SegmentPolicy',
        metadata: { namespace: 'berlin', name: 'b' },
        spec: { trust: 3, acceptFrom: accepts ? [{ segment: 'a', ports: [{ port: 443 }] }] : [] },
      },
    ];
    expect(intentDifference(intentOf(policies(false), NOW), intentOf(policies(true), NOW))).toEqual({
      added: ['berlin/a -> berlin/b by TCP 443'],
      removed: [],
    });
  });
});
