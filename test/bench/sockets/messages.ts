// What the bench and its processes of sockets say to each other. Keys go this way and no other: neither files nor command lines.
export type Client = { clientId: string; keyPem: string; certPem: string };
export type Order = { host: string; port: number; caPem: string; lanes: number; clients: Client[] };
/** `at`: ms since the epoch, of the machine that all of them share. */
export type News =
  | { kind: 'connected'; clientId: string }
  | { kind: 'closed'; clientId: string; at: number }
  | { kind: 'failed'; clientId: string; why: string };
