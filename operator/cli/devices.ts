// `kubectl hedgerow devices`: the fleet in a table, once or for as long as one looks.
import type { Device } from '../api/device.ts';
import { DEVICES } from '../api/resources.ts';
import { type FleetSight, fleetAtBroker } from '../broker/broker.ts';
import type { KubeClient } from '../kube/client.ts';
import { keyOf } from '../kube/object.ts';
import { noKubeMetrics } from '../kube/ports.ts';
import { createReflector } from '../kube/reflector.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { systemRandom } from '../runtime/random.ts';
import { withCluster } from './cluster.ts';
import type { Command, Output } from './command.ts';
import { columns, type DeviceRow, deviceRow } from './device-row.ts';
import { BROKER_FLAGS, BROKER_HELP, CLUSTER_FLAGS, CLUSTER_HELP, OUTPUT_FLAG, optionalBroker, wantsJson } from './flags.ts';
import { WrongUse } from './parse.ts';
import { growingTable } from './table.ts';

export const devices: Command = {
  words: ['devices'],
  summary: 'the fleet: segment, ready or why not, certificate, last refusal; with the broker also who is connected',
  help: `usage: kubectl hedgerow devices [-n NS|-A] [--watch] [FLAG…]

Lists Devices. Where the broker's flags are given, also who is connected and since when, and who is banned there.
LAST REFUSAL is what keeps a device out now: a ban, a revocation or quarantine, or why it gets no certificate.

  --all-namespaces, -A         of all namespaces
  --watch, -w                  go on and print a line for each device that changes; the broker is asked again every 5 s
  --output, -o json            a list for scripts (with --watch one object a line)
${BROKER_HELP}${CLUSTER_HELP}
Your own rights are used: list on devices, with --watch also watch.
`,
  flags: {
    'all-namespaces': { type: 'boolean', short: 'A' },
    watch: { type: 'boolean', short: 'w' },
    ...OUTPUT_FLAG,
    ...BROKER_FLAGS,
    ...CLUSTER_FLAGS,
  },
  async run(values, output) {
    const everywhere = values['all-namespaces'] === true;
    if (everywhere && values.namespace !== undefined) throw new WrongUse('--namespace and --all-namespaces contradict each other');
    const json = wantsJson(values);
    const address = await optionalBroker(values);
    const broker = address === undefined ? undefined : () => fleetAtBroker({ ...address, clock: systemClock });
    return withCluster(values, async (client, namespace) => {
      const view: View = { client, ...(everywhere ? {} : { namespace }), json, broker, clock: systemClock };
      return values.watch === true ? watchDevices(view, output, new AbortController().signal) : listDevices(view, output);
    });
  },
};

export type View = {
  client: Pick<KubeClient, 'list' | 'listPage' | 'watch'>;
  /** Absent: all. */
  namespace?: string;
  json: boolean;
  broker: (() => Promise<FleetSight>) | undefined;
  clock: Clock;
};

export async function listDevices(view: View, { out, err }: Output): Promise<number> {
  const [found, sight] = await Promise.all([view.client.list<Device>(DEVICES, placeOf(view)), view.broker?.()]);
  const rows = found.map((device) => deviceRow(device, sight)).sort(byPlace);
  if (view.json) out(`${JSON.stringify(rows, undefined, 2)}\n`);
  else if (rows.length === 0) err(`no devices in ${view.namespace ?? 'any namespace'}\n`);
  else out(linesOf(view)(rows));
  return 0;
}

/** How often the broker is asked while somebody looks: a list of 10,000 clients costs EMQX about 0.1 s. */
const BROKER_EVERY_MS = 5_000;

/** Until the signal aborts. First the table, then a line for each row that reads differently. */
export async function watchDevices(view: View, { out }: Output, signal: AbortSignal): Promise<number> {
  // A right that is missing is said at once; the reflector would try for ever.
  await view.client.listPage(DEVICES, { ...placeOf(view), limit: 1 }, signal);
  let sight = await view.broker?.();
  const shown = new Map<string, string>();
  const lines = linesOf(view);
  const project = (device: Device) => ({
    ...{ key: keyOf(device), uid: device.metadata.uid ?? '', resourceVersion: device.metadata.resourceVersion ?? '' },
    device,
  });
  const reflector = createReflector({
    ...{ client: view.client, type: DEVICES, project, ...placeOf(view) },
    ...{ clock: view.clock, random: systemRandom, log: silentLog, metrics: noKubeMetrics },
    onChange: ({ key, after, initial }) => {
      if (initial || !reflector.store.synced) return;
      if (after !== undefined) show([deviceRow(after.device, sight)]);
      else if (shown.delete(key)) out(view.json ? `${JSON.stringify({ key, deleted: true })}\n` : `${key} deleted\n`);
    },
  });
  const rows = (): DeviceRow[] => [...reflector.store.values()].map(({ device }) => deviceRow(device, sight)).sort(byPlace);
  const show = (candidates: readonly DeviceRow[]): void => {
    const changed = candidates.filter((row) => shown.get(keyOfRow(row)) !== JSON.stringify(row));
    for (const row of changed) shown.set(keyOfRow(row), JSON.stringify(row));
    if (changed.length > 0) out(view.json ? changed.map((row) => `${JSON.stringify(row)}\n`).join('') : lines(changed));
  };
  const ended = new AbortController();
  const running = reflector.run(AbortSignal.any([signal, ended.signal]));
  try {
    await reflector.whenSynced(signal);
    show(rows());
    for (;;) {
      await view.clock.sleep(BROKER_EVERY_MS, signal);
      if (view.broker === undefined) continue;
      sight = await view.broker();
      show(rows());
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return 0;
  } finally {
    ended.abort(new Error('nobody looks any more'));
    await running;
  }
}

function linesOf(view: View): (rows: readonly DeviceRow[]) => string {
  const { headings, cells } = columns({ allNamespaces: view.namespace === undefined, broker: view.broker !== undefined });
  const lines = growingTable(headings);
  return (rows) => lines(rows.map(cells));
}

const placeOf = ({ namespace }: View): { namespace?: string } => (namespace === undefined ? {} : { namespace });
const keyOfRow = ({ namespace, name }: DeviceRow): string => `${namespace}/${name}`;
const byPlace = (a: DeviceRow, b: DeviceRow): number => (keyOfRow(a) < keyOfRow(b) ? -1 : 1);
