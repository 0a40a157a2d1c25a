// One Device in the list of `devices`: what the API server says, and where the broker was asked what it says. Pure.
import type { Device } from '../api/device.ts';
import { deviceName, segmentName } from '../api/names.ts';
import type { FleetSight } from '../broker/broker.ts';
import { findCondition } from '../runtime/conditions.ts';

export type DeviceRow = {
  namespace: string;
  name: string;
  segment: string;
  ready: string;
  reason: string;
  /** RFC 3339. */
  certificateUntil: string;
  /** The reason of the newest refusal that is still in force, and since when. */
  lastRefusal: { why: string; since: string } | undefined;
  /** Where the broker was asked. `other`: this client id is held by another certificate or segment than the Device's newest. */
  connection?: { state: 'connected' | 'away' | 'never'; since: string; segment: string };
};

export function deviceRow(device: Device, broker: FleetSight | undefined): DeviceRow {
  const { name = '', namespace = '' } = device.metadata;
  const ready = findCondition(device.status?.conditions, 'Ready');
  return {
    namespace,
    name,
    segment: device.spec.segment,
    ready: ready?.status ?? 'Unknown',
    reason: ready === undefined ? 'NotSeenYet' : ready.status === 'True' ? '' : ready.reason,
    certificateUntil: device.status?.identity?.notAfter ?? '',
    lastRefusal: lastRefusal(device, broker),
    ...(broker === undefined ? {} : { connection: connectionOf(deviceName(name, namespace), broker) }),
  };
}

/** EMQX forgets whom it refused; it knows whom it bans. The API server knows what was refused a certificate. */
function lastRefusal(device: Device, broker: FleetSight | undefined): DeviceRow['lastRefusal'] {
  const { name = '', namespace = '' } = device.metadata;
  const client = deviceName(name, namespace);
  const ban = broker?.bans.find((one) => one.as === 'clientid' && one.who === client);
  if (ban !== undefined) return { why: `banned by ${ban.by}: ${ban.reason}`, since: '' };
  const refused = REFUSING.map((type) => findCondition(device.status?.conditions, type)).find(
    (condition) => condition?.status === (condition?.type === 'Certified' ? 'False' : 'True'),
  );
  return refused === undefined ? undefined : { why: refused.reason, since: refused.lastTransitionTime };
}

/** Of several that hold, the strictest. */
const REFUSING = ['Revoked', 'Quarantined', 'Stalled', 'Certified'];

function connectionOf(client: string, { clients }: FleetSight): NonNullable<DeviceRow['connection']> {
  const row = clients.get(client);
  if (row === undefined) return { state: 'never', since: '', segment: '' };
  return { state: row.connected ? 'connected' : 'away', since: row.since ?? '', segment: row.segment ?? '' };
}

/** Headings and cells in one order. */
export function columns(options: { allNamespaces: boolean; broker: boolean }): { headings: string[]; cells(row: DeviceRow): string[] } {
  const wanted = COLUMNS.filter(({ only }) => only === undefined || options[only]);
  return { headings: wanted.map(({ heading }) => heading), cells: (row) => wanted.map(({ cell }) => cell(row)) };
}

const COLUMNS: readonly { heading: string; only?: 'allNamespaces' | 'broker'; cell(row: DeviceRow): string }[] = [
  { heading: 'NAMESPACE', only: 'allNamespaces', cell: (row) => row.namespace },
  { heading: 'DEVICE', cell: (row) => row.name },
  { heading: 'SEGMENT', cell: (row) => row.segment },
  { heading: 'READY', cell: (row) => (row.reason === '' ? row.ready : `${row.ready}/${row.reason}`) },
  { heading: 'CONNECTED', only: 'broker', cell: connectionText },
  { heading: 'CERTIFICATE UNTIL', cell: (row) => inSeconds(row.certificateUntil) },
  {
    heading: 'LAST REFUSAL',
    cell: ({ lastRefusal: last }) => (last === undefined ? '' : `${last.why} ${inSeconds(last.since)}`.trimEnd()),
  },
];

/** The segment is that of the certificate in use; it is said where it is another than the manifest's. */
function connectionText({ connection, segment, namespace }: DeviceRow): string {
  if (connection === undefined || connection.state === 'never') return 'no';
  if (connection.state === 'away') return 'no, has a session';
  const other = connection.segment === '' || connection.segment === segmentName(segment, namespace) ? '' : ` as ${connection.segment}`;
  return `since ${inSeconds(connection.since)}${other}`;
}

/** Without fractions, in UTC; what is no time stays as it is. */
export function inSeconds(time: string): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? time : new Date(at).toISOString().replace(/[.]\d+Z$/, 'Z');
}
