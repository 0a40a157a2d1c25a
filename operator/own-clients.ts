// The clients at the broker that Hedgerow is itself: the canary, the listener, the drivers of rollouts. They have no Device: their certificates, and who knows them.
import { isRolloutClient, LISTENER } from './api/names.ts';
import { type Broker, CANARY, type DesiredBroker, LISTENER_RIGHTS, ROLLOUT_RIGHTS } from './broker/broker.ts';
import {
  createDriverApprover,
  type DriverApprover,
  type Identity,
  type OwnCertificate,
  obtainOwnCertificate,
} from './identity/identity.ts';
import { createInventory, type Inventory, type InventoryDeps } from './inventory/inventory.ts';
import type { KubeClient } from './kube/client.ts';
import { createProbe, type Probe, type ProbeMetrics } from './probe/probe.ts';
import type { ProbeFlags } from './probe-options.ts';
import type { RolloutFlags, RolloutIssuer } from './rollout-options.ts';
import type { Clock } from './runtime/clock.ts';
import type { Log } from './runtime/log.ts';
import type { Metrics } from './runtime/metrics.ts';
import type { Random } from './runtime/random.ts';
import type { Segments } from './segments/segments.ts';

type Parts = { client: KubeClient; namespace: string; clock: Clock; random: Random; log: Log; metrics: Metrics };

/** Undefined where there is none. */
type OwnClients = {
  probe: Pick<Probe, 'isCanary'> | undefined;
  drivers: Pick<DriverApprover, 'judge'> | undefined;
  inventory: Pick<Inventory, 'isListener'> | undefined;
};

const CERTIFICATE_MS = 24 * 3_600_000;

/** What the broker should hold, with their rights, and who of them is genuine. */
export function withOwnClients(wanted: DesiredBroker, { probe, drivers, inventory }: OwnClients): DesiredBroker {
  const judge: DesiredBroker['judge'] = (client, md5) => {
    if (client === CANARY) return probe?.isCanary(md5) === true ? 'ok' : 'unknown';
    if (client === LISTENER) return inventory?.isListener(md5) === true ? 'ok' : 'unknown';
    return isRolloutClient(client) && drivers !== undefined ? drivers.judge(client, md5) : wanted.judge(client, md5);
  };
  const own = [...(drivers === undefined ? [] : [ROLLOUT_RIGHTS]), ...(inventory === undefined ? [] : [LISTENER_RIGHTS])];
  return { ...wanted, segments: [...own, ...wanted.segments], judge };
}

export function probeOf(flags: ProbeFlags, parts: Parts, rooms: { broker: Broker; segments: Segments; measured: ProbeMetrics }): Probe {
  const { clock, log, metrics } = parts;
  const { broker, segments, measured } = rooms;
  const probe = createProbe({
    ...{ target: flags, caFile: flags.caFile, clock, log, metrics, measured },
    certificate: (signal) => certificateOf(CANARY, 'hedgerow-probe', flags, parts, signal),
    text: () => broker.textInForce(),
    rights: () => segments.rights(),
  });
  broker.onText(() => probe.textChanged());
  probe.onChange((changed) => segments.brokerSaysElse(changed));
  return probe;
}

/** Devices are heard where the broker is tried, by a client of the same issuer. */
export function inventoryOf(flags: ProbeFlags, parts: Parts, rooms: Pick<InventoryDeps, 'recorder' | 'devices'>): Inventory {
  const { client, clock, random, log, metrics } = parts;
  return createInventory({
    ...{ client, target: flags, caFile: flags.caFile, clock, random, log, metrics, ...rooms },
    certificate: (signal) => certificateOf(LISTENER, 'hedgerow-listener', flags, parts, signal),
  });
}

/** Asked for where its issuer is; the key stays in this process. */
function certificateOf(client: string, name: string, { issuer }: ProbeFlags, parts: Parts, signal: AbortSignal): Promise<OwnCertificate> {
  const subject = { organization: 'hedgerow', organizationalUnit: client, commonName: client } as const;
  const wish = { subject, issuer: { ...issuer, namespace: issuer.namespace ?? parts.namespace }, name, durationMs: CERTIFICATE_MS };
  return obtainOwnCertificate(wish, parts, signal);
}

/** Which certificates drivers get, and which of them are at the broker. */
export function driversOf(flags: RolloutFlags, parts: Parts): DriverApprover {
  const { client, clock, random, log, metrics, namespace } = parts;
  const terms = { namespace, user: `system:serviceaccount:${namespace}:${flags.account}`, issuers: issuersOf(flags, namespace) };
  return createDriverApprover({ client, terms, clock, random, log, metrics });
}

/** Who else may approve for the issuers of drivers; undefined while it is not known. */
export function approversOfDrivers(flags: RolloutFlags | undefined, namespace: string, identity: Pick<Identity, 'openApprovers'>) {
  const issuers = flags === undefined ? [] : Object.values(issuersOf(flags, namespace));
  const found = issuers.flatMap((issuer) => {
    const who = identity.openApprovers(issuer);
    return who === undefined ? [] : [{ issuer: issuer.replace('//', '/'), who }];
  });
  return found.length === issuers.length ? found : undefined;
}

/** By the keys that the identity room has for issuers. */
function issuersOf({ mqttIssuer, directiveIssuer }: RolloutFlags, namespace: string): { directive: string; mqtt: string } {
  const key = ({ kind, name, namespace: own = namespace }: RolloutIssuer): string => `${kind}/${kind === 'Issuer' ? own : ''}/${name}`;
  return { directive: key(directiveIssuer), mqtt: key(mqttIssuer) };
}
