import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createInterner } from './intern.ts';
import { createStore } from './store.ts';

type P = { key: string; uid: string; resourceVersion: string; segments: string[] };
const thing = (key: string, uid: string, resourceVersion: string, ...segments: string[]): P => ({ key, uid, resourceVersion, segments });
const bySegment = { segment: (p: P) => p.segments };

describe('store', () => {
  it('tells nothing when the same version comes again', () => {
    const store = createStore<P>();
    expect(store.put(thing('a', 'u1', '1'))).toHaveLength(1);
    expect(store.put(thing('a', 'u1', '1'))).toEqual([]);
  });

  it('takes the same name with a new uid as a deletion and an addition', () => {
    const store = createStore<P>(bySegment);
    store.put(thing('a', 'u1', '1', 'red'));
    const changes = store.put(thing('a', 'u2', '5', 'blue'));
    expect(changes.map((change) => [change.before?.uid, change.after?.uid])).toEqual([
      ['u1', undefined],
      [undefined, 'u2'],
    ]);
    expect(store.by('segment', 'red')).toEqual([]);
  });

  it('refuses to answer for an index that nobody declared', () => {
    expect(() => createStore<P>().by('colour', 'red')).toThrow('there is no index "colour"');
  });

  it('marks changes as initial until it is synced', () => {
    const store = createStore<P>();
    expect(store.put(thing('a', 'u1', '1'))[0]?.initial).toBe(true);
    store.markSynced();
    expect(store.put(thing('a', 'u1', '2'))[0]?.initial).toBe(false);
  });

  it('its indexes always say what a search through all objects would', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const segment = fc.constantFrom('red', 'blue', 'green');
    const step = fc.oneof(
      fc.record({ put: name, uid: fc.constantFrom('1', '2'), version: fc.nat(5), segments: fc.uniqueArray(segment) }),
      fc.record({ remove: name }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const store = createStore<P>(bySegment);
        const model = new Map<string, P>();
        for (const action of steps) {
          if ('remove' in action) {
            store.remove(action.remove);
            model.delete(action.remove);
          } else {
            const p = thing(action.put, action.uid, `${action.version}-${action.segments.join()}`, ...action.segments);
            store.put(p);
            model.set(p.key, p);
          }
          for (const value of ['red', 'blue', 'green']) {
            const expected = [...model.values()].filter((p) => p.segments.includes(value)).map((p) => p.key);
            expect(
              store
                .by('segment', value)
                .map((p) => p.key)
                .sort(),
            ).toEqual(expected.sort());
          }
          expect(store.size).toBe(model.size);
        }
      }),
    );
  });
});

describe('interner', () => {
  it('stops remembering at its limit and still answers', () => {
    const intern = createInterner(2);
    expect(['a', 'b', 'c', 'a'].map(intern)).toEqual(['a', 'b', 'c', 'a']);
  });
});
