// What a quarantine of one device takes from it, and what it leaves. Pure.
import { graphOf } from './arrows.ts';
import type { BrokerRead } from './broker-view.ts';
import type { TopicRight } from './intent-grants.ts';
import { portWords } from './intent-relation.ts';
import { keptBy } from './intent-topics.ts';
import { isObject } from './label-selector.ts';
import { createVerifier, type Verifier } from './verifier.ts';
import type { Manifest } from './world.ts';

export type Way = { peer: string; ports: readonly string[]; topics: readonly string[] };
export type Quarantined = {
  /** Whom it does not reach any more, and by whom it is not reached. */
  loses: readonly Way[];
  lostBy: readonly Way[];
  /** Ways in and out that other rules of the broker leave it all the same. */
  stays: readonly Way[];
  keeps: readonly TopicRight[];
};

/** `manifests` are those of the verifier; `device` is `<namespace>/<name>`. */
export function quarantineOf(before: Verifier, manifests: readonly Manifest[], device: string, now: number): Quarantined {
  const { live, facts } = before.survey;
  const { segment, wireName = '' } = facts.devices.get(device) ?? {};
  const read = before.read && withRecord(before.read, wireName);
  const after = createVerifier([...manifests, orderOf(device)], now, live, read);
  const [then, later] = [leavingOf(before, device), leavingOf(after, device)];
  const heardLater = heardWays(after, device);
  const active = before.survey.lifecycles.get(device) === 'Active';
  const arrows = active ? graphOf(before).arrows.filter(({ to, by }) => by === 'SegmentPolicies' && to.text === segment) : [];
  const arriving = arrows.map(({ from, ports, topics }): Way => ({ peer: from.text, ports, topics }));
  return {
    loses: lost(then, later),
    lostBy: lost(together([...arriving, ...heardWays(before, device)]), heardLater),
    stays: [...later, ...heardLater],
    keeps: after.intent.topicsOf(device),
  };
}

function leavingOf({ intent, fleet }: Verifier, device: string): Way[] {
  const ways = fleet(device)?.from(device);
  const meant = intent.edges(device).map(({ to, ports, topics }): Way => {
    return { peer: to, ports: portWords(ports), topics: ways === undefined ? topics : [] };
  });
  return together([...meant, ...(ways ?? []).map(({ to, topics }): Way => ({ peer: to, ports: [], topics }))]);
}

const heardWays = ({ fleet }: Verifier, device: string): Way[] =>
  together((fleet(device)?.to(device) ?? []).map(({ from, topics }) => ({ peer: from, ports: [], topics })));

const together = (ways: readonly Way[]): Way[] =>
  [...Map.groupBy(ways, ({ peer }) => peer)].map(([peer, some]) => ({
    peer,
    ports: some.flatMap(({ ports }) => ports),
    topics: some.flatMap(({ topics }) => topics),
  }));

function lost(then: readonly Way[], later: readonly Way[]): Way[] {
  const left = new Map(later.map((way) => [way.peer, way]));
  return then.flatMap(({ peer, ports, topics }): Way[] => {
    const still = left.get(peer);
    const way = {
      peer,
      ports: ports.filter((port) => still?.ports.includes(port) !== true),
      topics: topics.filter((topic) => still?.topics.includes(topic) !== true),
    };
    return way.ports.length + way.topics.length > 0 ? [way] : [];
  });
}

const ENDS = ['#', '$SYS/#', '$events/#'];

/** The record that a quarantine is at the broker: what every Device keeps, and nothing else. Of a text alone it stands before it; a broker without the source for records keeps none. */
function withRecord(read: BrokerRead, wireName: string): BrokerRead {
  const kept = (['publish', 'subscribe'] as const).flatMap((action) =>
    keptBy(wireName, action).map((topic) => ({ topic, permission: 'allow', action })),
  );
  const rules = [...kept, ...ENDS.map((topic) => ({ topic, permission: 'deny', action: 'all' }))];
  const { clients = new Map<string, unknown>(), users = new Map<string, unknown>(), all = [] } = read.records ?? {};
  const records = { clients: new Map([...clients, [wireName, rules]]), users, all };
  if (read.live !== undefined) return read.records === undefined ? read : { ...read, records };
  const sources = isObject(read.sources) && Array.isArray(read.sources.sources) ? (read.sources.sources as unknown[]) : [];
  return { ...read, records, sources: { sources: [{ type: 'built_in_database', enable: true }, ...sources] } };
}

/** As a person would ask for it; the name is one that nobody has. */
function orderOf(device: string): Manifest {
  const [namespace, name] = device.split('/');
  const metadata = { namespace, name: 'hedgerow.what-if' };
  const spec = { target: { kind: 'Device', name }, action: 'Quarantine' };
  return { source: 'what-if', object: { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Intervention', metadata, spec } };
}
