// What the bench and its processes of sockets say to each other. Keys go this way and no other: neither files nor command lines.
/** `filters`: what it subscribes to with QoS 1, in a session that lasts. */
export type Client = { clientId: string; keyPem: string; certPem: string; filters?: readonly string[] };
export type Order =
  | { kind: 'join'; host: string; port: number; caPem: string; lanes: number; clients: Client[] }
  /** Subscribe again, all or the one. */
  | { kind: 'ask'; clientId?: string }
  | { kind: 'tally' };
/** `at`: ms since the epoch, of the machine that all of them share. */
export type News =
  | { kind: 'connected'; clientId: string }
  | { kind: 'closed'; clientId: string; at: number }
  | { kind: 'failed'; clientId: string; why: string }
  /** Whether the broker granted all its subscriptions. */
  | { kind: 'answered'; clientId: string; granted: boolean }
  /** How many different messages each client was sent. */
  | { kind: 'tally'; heard: [clientId: string, messages: number][] };
