/** Who subscribed what: a tree of topic words, so that one publish costs the number of its levels, not of all subscriptions. */

import type { Session } from './session.ts';

export type SubscriptionOptions = { qos: 0 | 1 | 2; nl: boolean; rap: boolean; rh: number; id?: number };
export type Subscriber = { session: Session; raw: string; filter: string; group?: string; options: SubscriptionOptions };

type Node = { children: Map<string, Node>; plain: Set<Subscriber>; groups: Map<string, { members: Subscriber[]; next: number }> };

export class TopicTree {
  readonly #root = newNode();
  size = 0;

  add(subscriber: Subscriber): void {
    let node = this.#root;
    for (const word of subscriber.filter.split('/')) {
      let child = node.children.get(word);
      if (!child) {
        child = newNode();
        node.children.set(word, child);
      }
      node = child;
    }
    this.size++;
    if (subscriber.group === undefined) node.plain.add(subscriber);
    else {
      const group = node.groups.get(subscriber.group) ?? { members: [], next: 0 };
      group.members.push(subscriber);
      node.groups.set(subscriber.group, group);
    }
  }

  remove(subscriber: Subscriber): void {
    const path: [Node, string][] = [];
    let node = this.#root;
    for (const word of subscriber.filter.split('/')) {
      const child = node.children.get(word);
      if (!child) return;
      path.push([node, word]);
      node = child;
    }
    this.size--;
    node.plain.delete(subscriber);
    const group = subscriber.group === undefined ? undefined : node.groups.get(subscriber.group);
    if (group && subscriber.group !== undefined) {
      group.members = group.members.filter((member) => member !== subscriber);
      if (group.members.length === 0) node.groups.delete(subscriber.group);
    }
    for (const [parent, word] of path.toReversed()) {
      if (node.plain.size > 0 || node.groups.size > 0 || node.children.size > 0) return;
      parent.children.delete(word);
      node = parent;
    }
  }

  /** Every subscriber of this topic name; of a shared group one member, in turn, those with a connection first. */
  match(topic: string): Subscriber[] {
    const found: Subscriber[] = [];
    this.#walk(this.#root, topic.split('/'), 0, found);
    return found;
  }

  #walk(node: Node, words: string[], at: number, found: Subscriber[]): void {
    const hidden = at === 0 && words[0]?.startsWith('$') === true;
    const hash = hidden ? undefined : node.children.get('#');
    if (hash) collect(hash, found);
    const word = words[at];
    if (word === undefined) {
      collect(node, found);
      return;
    }
    const exact = node.children.get(word);
    if (exact) this.#walk(exact, words, at + 1, found);
    const plus = hidden ? undefined : node.children.get('+');
    if (plus) this.#walk(plus, words, at + 1, found);
  }
}

function newNode(): Node {
  return { children: new Map(), plain: new Set(), groups: new Map() };
}

function collect(node: Node, found: Subscriber[]): void {
  for (const subscriber of node.plain) found.push(subscriber);
  for (const group of node.groups.values()) {
    const online = group.members.filter((member) => member.session.connection);
    const candidates = online.length > 0 ? online : group.members;
    const chosen = candidates[group.next++ % candidates.length];
    if (chosen) found.push(chosen);
  }
}
