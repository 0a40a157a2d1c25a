// What a quarantine of one device takes from it, and what it leaves. Pure.
import { graphOf } from './arrows.ts';
import type { Edge } from './intent.ts';
import type { TopicRight } from './intent-grants.ts';
import { portWords } from './intent-relation.ts';
import { createVerifier, type Verifier } from './verifier.ts';
import type { Manifest } from './world.ts';

export type Way = { peer: string; ports: readonly string[]; topics: readonly string[] };
export type Quarantined = {
  /** Whom it does not reach any more, and by whom it is not reached. */
  loses: readonly Way[];
  lostBy: readonly Way[];
  keeps: readonly TopicRight[];
};

/** `manifests` are those of the verifier; `device` is `<namespace>/<name>`. */
export function quarantineOf(before: Verifier, manifests: readonly Manifest[], device: string, now: number): Quarantined {
  const after = createVerifier([...manifests, orderOf(device)], now, before.survey.live);
  const left = new Set(after.intent.edges(device).map(({ to }) => to));
  const { segment } = before.survey.facts.devices.get(device) ?? {};
  const active = before.survey.lifecycles.get(device) === 'Active';
  const arriving = active ? graphOf(before.survey).arrows.filter(({ to, by }) => by === 'SegmentPolicies' && to.text === segment) : [];
  return {
    loses: before.intent.edges(device).flatMap((edge) => (left.has(edge.to) ? [] : [wayOf(edge)])),
    lostBy: arriving.map(({ from, ports, topics }) => ({ peer: from.text, ports, topics })),
    keeps: after.intent.topicsOf(device),
  };
}

const wayOf = ({ to, ports, topics }: Edge): Way => ({ peer: to, ports: portWords(ports), topics });

/** As a person would ask for it; the name is one that nobody has. */
function orderOf(device: string): Manifest {
  const [namespace, name] = device.split('/');
  const metadata = { namespace, name: 'hedgerow.what-if' };
  const spec = { target: { kind: 'Device', name }, action: 'Quarantine' };
  return { source: 'what-if', object: { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Intervention', metadata, spec } };
}
