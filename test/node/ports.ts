// What a pod of the node test listens on.
export type Protocol = 'TCP' | 'UDP' | 'SCTP';
/** `name` as policies may use it. */
export type Port = { protocol: Protocol; port: number; name?: string };

export const tcp = (...ports: readonly number[]): Port[] => ports.map((port) => ({ protocol: 'TCP', port }));
