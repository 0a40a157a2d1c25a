// Keeps the model equal to the caches and the clock, and says which segments changed. One build for a burst of changes.
import type { Labels } from '../api/label-selector.ts';
import type { Key } from '../kube/object.ts';
import type { Store } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Membership, membershipOf } from './membership.ts';
import { buildModel, type Model, type PolicyFacts, type Verdict } from './model.ts';
import { reachOf } from './pairs.ts';

import type { NamespaceView, PolicyView } from './views.ts';

export type ModelCache = {
  /** Up to date with the caches and the clock. */
  current(): Model;
  /** The model of now with this policy in the place of the one of the same name. Built for this call. */
  modelWith(policy: PolicyFacts): Model;
  membership(segment: Key): Membership;
  /** Something that the model is made of changed. */
  invalidate(afterMs?: number): void;
};

export type ModelCacheDeps = {
  policies: Store<PolicyView>;
  namespaces: Store<NamespaceView>;
  pods: (namespace: string) => Iterable<{ labels: Labels }>;
  /** Whether all of them were read. A model of half-read caches would take rights away that are about to be read. */
  ready: () => boolean;
  clock: Clock;
  /** Segments whose NetworkPolicies or status may change. */
  onCompiled: (segments: Key[]) => void;
  /** Segments whose devices have other rights, or are in or out of their segment now. */
  onRights: (segments: Key[]) => void;
};

/** A burst of changes (a whole directory applied) costs one build; nobody notices 20 ms. */
const BURST_MS = 20;
/** The wall clock may jump while timers do not: an expiry is looked at this often. */
const LONGEST_WAIT_MS = 600_000;

export function createModelCache(deps: ModelCacheDeps): ModelCache {
  const { clock } = deps;
  let model: Model = { verdicts: new Map() };
  let prints = new Map<Key, Print>();
  let dirty = true;
  let soon: { cancel(): void; dueAt: number } | undefined;
  let expiry: { cancel(): void } | undefined;

  function current(): Model {
    const over = model.nextExpiry !== undefined && clock.now() >= model.nextExpiry;
    if (!deps.ready() || (!dirty && !over)) return model;
    dirty = false;
    model = build(deps.policies.values());
    waitForExpiry();
    tell();
    return model;
  }

  function build(policies: Iterable<PolicyFacts>): Model {
    return buildModel({
      policies,
      maxTrust: (namespace) => deps.namespaces.get(namespace)?.maxTrust,
      pods: deps.pods,
      now: clock.now(),
    });
  }

  function tell(): void {
    const before = prints;
    prints = new Map([...model.verdicts].map(([key, verdict]) => [key, printOf(verdict, model)]));
    const keys = [...new Set([...before.keys(), ...prints.keys()])];
    const compiled = keys.filter((key) => before.get(key)?.compiled !== prints.get(key)?.compiled);
    const rights = keys.filter((key) => before.get(key)?.rights !== prints.get(key)?.rights);
    if (compiled.length > 0) deps.onCompiled(compiled);
    if (rights.length > 0) deps.onRights(rights);
  }

  function waitForExpiry(): void {
    expiry?.cancel();
    expiry = undefined;
    if (model.nextExpiry === undefined) return;
    const afterMs = Math.min(LONGEST_WAIT_MS, Math.max(1, model.nextExpiry - clock.now()));
    expiry = clock.setTimer(afterMs, () => {
      current();
      if (model.nextExpiry !== undefined && model.nextExpiry > clock.now()) waitForExpiry();
    });
  }

  return {
    current,
    modelWith: (policy) => build([...deps.policies.values()].map((one) => (one.key === policy.key ? policy : one))),
    membership: (segment) => membershipOf(segment, deps.ready() ? current().verdicts.get(segment) : 'unknown'),
    invalidate(afterMs = BURST_MS) {
      dirty = true;
      if (!deps.ready()) return;
      const dueAt = clock.elapsed() + afterMs;
      if (soon !== undefined && soon.dueAt <= dueAt) return;
      soon?.cancel();
      const timer = clock.setTimer(afterMs, () => {
        soon = undefined;
        current();
      });
      soon = { cancel: () => timer.cancel(), dueAt };
    },
  };
}

type Print = { compiled: string; rights: string };

function printOf(verdict: Verdict, model: Model): Print {
  const { segment } = verdict;
  const peers = [...(segment?.outgoing ?? []).map(({ to }) => to), ...(segment?.incoming ?? []).map(({ from }) => from)];
  return {
    compiled: JSON.stringify([
      verdict,
      peers.map((peer) => model.verdicts.get(peer)?.segment?.workloads),
      reachOf(model, verdict.key).modelDigest,
      audited(verdict, model),
    ]),
    rights: JSON.stringify([segment?.rights, membershipOf(verdict.key, verdict)]),
  };
}

/** What its status says of a text that is only audited. */
function audited({ audited: is, key }: Verdict, { trial }: Model): string | undefined {
  const verdict = is ? trial?.verdicts.get(key) : undefined;
  return verdict === undefined || trial === undefined ? undefined : printOf(verdict, trial).compiled;
}
