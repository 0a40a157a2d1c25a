/** The broker's core: sessions, routing, retained and delayed messages, bans, flapping. Everything here lives in memory only. */

import { randomBytes } from 'node:crypto';
import type { AclClient } from './acl-rule.ts';
import { Authorizer } from './authorizer.ts';
import { type Config, durationMs } from './config.ts';
import type { Connection } from './connection.ts';
import { type ClientRecord, type Message, Session } from './session.ts';
import { type Ban, inForce, type Tables } from './tables.ts';
import { matches, parseDelayed } from './topic.ts';
import { type Subscriber, TopicTree } from './topic-tree.ts';

export type BrokerEvent = { event: string } & Record<string, unknown>;
type DelayedMessage = { message: Message; afterSeconds: number; dueAt: number; timer: NodeJS.Timeout };

export class Broker {
  readonly config: Config;
  readonly tables: Tables;
  readonly authorizer: Authorizer;
  readonly startedAt = Date.now();
  readonly sessions = new Map<string, Session>();
  readonly connections = new Set<Connection>();
  readonly retained = new Map<string, Message>();
  readonly delayed = new Map<string, DelayedMessage>();
  readonly tree = new TopicTree();
  readonly tally = new Map<string, number>();
  /** Set by the rule engine; undefined as long as no rule listens. */
  onEvent: ((event: BrokerEvent) => void) | undefined;
  readonly #flaps = new Map<string, number[]>();
  readonly #sweep: NodeJS.Timeout;
  #sequence = 0;

  constructor(config: Config, tables: Tables) {
    this.config = config;
    this.tables = tables;
    this.authorizer = new Authorizer(config, tables);
    this.#sweep = setInterval(() => this.#sweepOld(), 1000).unref();
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const { timer } of this.delayed.values()) clearTimeout(timer);
    for (const connection of this.connections) connection.destroy();
  }

  /** 16 bytes in hex, as emqx_guid prints: microseconds, node, sequence. */
  nextMessageId(): string {
    const sequence = (this.#sequence++ & 0xffff).toString(16).padStart(4, '0');
    return `${(Date.now() * 1000).toString(16).padStart(16, '0')}${NODE_PART}${sequence}`.toUpperCase();
  }

  /** The number of sessions reached. Retained messages are kept whether anybody listens or not. */
  publish(message: Message): number {
    const delayed = this.config.delayed.enable ? parseDelayed(message.topic) : undefined;
    if (delayed && delayed !== 'malformed') {
      this.#delay({ ...message, topic: delayed.topic }, delayed.afterSeconds);
      return 0;
    }
    if (message.retain && this.config.global_zone.mqtt.retain_available) {
      if (message.payload.length === 0) this.retained.delete(message.topic);
      else this.retained.set(message.topic, message);
    }
    const subscribers = this.tree.match(message.topic);
    for (const subscriber of subscribers) subscriber.session.deliver(message, subscriber);
    return subscribers.length;
  }

  /** Opens or resumes the client's session; whoever holds the id is thrown out with 0x8E. */
  openSession(client: ClientRecord, connection: Connection, expirySeconds: number): { session: Session; present: boolean } {
    const old = this.sessions.get(client.clientid);
    if (old?.connection) old.connection.takenOver();
    const held = this.sessions.get(client.clientid);
    if (held && client.cleanStart) this.#discard(held);
    const kept = this.sessions.get(client.clientid);
    const { max_mqueue_len: queue, mqueue_store_qos0: storeQos0 } = this.config.global_zone.mqtt;
    const session = kept ?? new Session(client.clientid, client, expirySeconds, { queue, storeQos0 });
    session.client = client;
    session.expirySeconds = expirySeconds;
    session.connection = connection;
    session.stats = connection.stats;
    this.sessions.set(client.clientid, session);
    return { session, present: kept !== undefined };
  }

  /** The connection is gone: the session stays for its expiry or ends now. */
  detach(session: Session, connection: Connection): void {
    if (session.connection !== connection) return;
    session.connection = undefined;
    session.client.disconnectedAt = Date.now();
    if (session.expirySeconds === 0) this.#discard(session);
  }

  /** What DELETE /clients does: closes the connection with 0x98 and drops the session, also one that is offline. */
  kick(clientId: string, options: { will: boolean }): boolean {
    const session = this.sessions.get(clientId);
    if (!session) return false;
    session.expirySeconds = 0;
    session.connection?.kicked(options);
    this.#discard(session);
    return true;
  }

  /** By the names of GET /metrics. */
  counters(): Record<string, number> {
    const authorization = Object.entries(this.authorizer.counters).map(([name, value]) => [`authorization.${name}`, value]);
    return Object.fromEntries([...authorization, ...this.tally]);
  }

  count(name: 'client.connected' | 'client.disconnected' | 'messages.received'): void {
    this.tally.set(name, (this.tally.get(name) ?? 0) + 1);
  }

  subscribe(session: Session, subscriber: Subscriber): { existed: boolean } {
    const old = session.subscriptions.get(subscriber.raw);
    if (old) this.tree.remove(old);
    session.subscriptions.set(subscriber.raw, subscriber);
    this.tree.add(subscriber);
    return { existed: old !== undefined };
  }

  unsubscribe(session: Session, raw: string): boolean {
    const subscriber = session.subscriptions.get(raw);
    if (!subscriber) return false;
    session.subscriptions.delete(raw);
    this.tree.remove(subscriber);
    return true;
  }

  retainedMatching(filter: string): Message[] {
    if (!/[+#]/.test(filter)) return [this.retained.get(filter)].filter((message) => message !== undefined);
    return [...this.retained.values()].filter((message) => matches(message.topic, filter));
  }

  banned(client: Pick<AclClient, 'clientid' | 'username' | 'peerhost'>): Ban | undefined {
    return this.tables.banned(client, Date.now());
  }

  /** A ban by client id ends the live connection by itself; the other kinds leave it open. Its will is not published. */
  ban(ban: Ban): void {
    this.tables.putBan(ban);
    if (ban.as === 'clientid') this.kick(ban.who, { will: false });
  }

  /** Too many ends of connections in the window: five minutes of ban by client id, whoever it was (emqx_flapping). */
  countFlap(clientId: string): void {
    const { enable, max_count, window_time, ban_time } = this.config.global_zone.flapping_detect;
    if (!enable) return;
    const now = Date.now();
    const recent = (this.#flaps.get(clientId) ?? []).filter((at) => now - at < (durationMs(window_time) ?? 60_000));
    recent.push(now);
    this.#flaps.set(clientId, recent);
    if (recent.length < max_count) return;
    this.#flaps.delete(clientId);
    const at = Math.floor(now / 1000);
    const until = at + Math.floor((durationMs(ban_time) ?? 300_000) / 1000);
    this.tables.putBan({ as: 'clientid', who: clientId, by: 'flapping detector', reason: 'flapping is detected', at, until });
  }

  #discard(session: Session): void {
    if (this.sessions.get(session.id) === session) this.sessions.delete(session.id);
    for (const subscriber of session.subscriptions.values()) this.tree.remove(subscriber);
    session.subscriptions.clear();
  }

  #delay(message: Message, afterSeconds: number): void {
    const due = () => {
      this.delayed.delete(message.id);
      // A ban by client id or certificate stops what the client had parked; a quarantine record does not.
      if (!this.banned({ clientid: message.from, username: message.fromUsername, peerhost: '' })) this.publish(message);
    };
    const timer = setTimeout(due, Math.min(afterSeconds * 1000, 2 ** 31 - 1)).unref();
    this.delayed.set(message.id, { message, afterSeconds, dueAt: Date.now() + afterSeconds * 1000, timer });
  }

  #sweepOld(): void {
    const now = Date.now();
    for (const connection of this.connections) connection.checkKeepalive(now);
    for (const session of this.sessions.values()) {
      const since = session.client.disconnectedAt;
      if (!session.connection && since !== undefined && now - since > session.expirySeconds * 1000) this.#discard(session);
    }
    for (const ban of this.tables.bans.values()) {
      // EMQX lists an expired ban for a while more.
      if (!inForce(ban, now - EXPIRED_BAN_LISTED_MS)) this.tables.deleteBan(ban.as, ban.who);
    }
  }
}

const EXPIRED_BAN_LISTED_MS = 15_000;
const NODE_PART = randomBytes(6).toString('hex');
