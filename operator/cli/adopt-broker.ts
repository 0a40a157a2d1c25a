// `kubectl hedgerow adopt broker`: says what taking a place in an EMQX that others use would do, and does it only with --yes.
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import type { Device } from '../api/device.ts';
import { deviceName } from '../api/names.ts';
import { CERTIFICATE_LEDGERS, DEVICES, NAMESPACES, SEGMENT_POLICIES } from '../api/resources.ts';
import type { SegmentPolicy } from '../api/segment-policy.ts';
import { type AdoptionReport, adopt } from '../broker/broker.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/object.ts';
import { systemClock } from '../runtime/clock.ts';
import { rightsOfListed } from '../segments/segments.ts';
import { type AdoptionView, adoptionText } from './adoption-text.ts';
import { withCluster } from './cluster.ts';
import type { Command } from './command.ts';
import { BROKER_FLAGS, CLUSTER_FLAGS, LEDGER_NAMESPACE, readable, requiredBroker, TEXT, text } from './flags.ts';
import { linesOf } from './ledger.ts';
import { type Values, WrongUse } from './parse.ts';

export const adoptBroker: Command = {
  words: ['adopt', 'broker'],
  summary: 'take a place in an EMQX that others use: says what it keeps and who would lose access, writes only with --yes',
  help: `usage: kubectl hedgerow adopt broker --broker-url URL --broker-api-key-file FILE [FLAG…]

An EMQX whose ACL text others wrote is left alone: Devices say Stalled, reason ForeignAcl. This command shows which rules stay, where Hedgerow's block
would stand, who is connected and would lose what, and which settings keep the broker unsafe. With --yes it writes the text, and nothing else.

  --broker-url URL             EMQX's REST API, https://host:18083 (required; the same as the operator's)
  --broker-api-key-file FILE   a file holding key:secret (required)
  --broker-ca-file FILE        CA of the REST API's certificate (default: the system's)
  --keep all|N,N…              rules of others to keep, by their numbers in the list (default: all)
  --yes                        write it
  --namespace, -n NS           the operator's namespace, where its ledger is (default: hedgerow-system)
  --kubeconfig FILE            (default: KUBECONFIG, else ~/.kube/config)
  --context NAME               (default: the kubeconfig's current one)

Your own rights are used: list on devices, segmentpolicies and namespaces, and on certificateledgers in the operator's namespace.
`,
  flags: {
    ...BROKER_FLAGS,
    keep: TEXT,
    yes: { type: 'boolean' },
    ...CLUSTER_FLAGS,
  },
  async run(values, { out }) {
    const broker = requiredBroker(values);
    const keep = keptNumbers(text(values, 'keep') ?? 'all');
    await readable(broker.apiKeyFile, broker.caFile);
    const fleet = await withCluster(values, (client) => readFleet(client, text(values, 'namespace') ?? LEDGER_NAMESPACE));
    const report = await adopt({ ...broker, clock: systemClock }, { segments: fleet.segments, keep, yes: values.yes === true }).catch(
      wrongNumber,
    );
    out(adoptionText({ url: broker.url, report, ...whoIsConnected(report, fleet), confirm: confirmation(values) }));
    return report.plan.state === 'unreadable' ? 1 : 0;
  },
};

/** `all`, or numbers from 1. */
export function keptNumbers(value: string): 'all' | number[] {
  if (value === 'all') return 'all';
  const numbers = value.split(',').map((word) => (/^[1-9]\d{0,5}$/.test(word.trim()) ? Number(word) : Number.NaN));
  if (numbers.some(Number.isNaN)) throw new WrongUse(`--keep ${value} is neither all nor numbers such as 1,3`);
  return [...new Set(numbers)];
}

function wrongNumber(error: unknown): never {
  throw error instanceof RangeError ? new WrongUse(`--keep: ${error.message}`) : error;
}

export type Fleet = {
  segments: ReturnType<typeof rightsOfListed>;
  devices: ReadonlySet<string>;
  /** MD5 of each certificate in the ledger → its device. */
  certificates: ReadonlyMap<string, string>;
};

async function readFleet(client: KubeClient, namespace: string): Promise<Fleet> {
  const [devices, policies, namespaces, pages] = await Promise.all([
    client.list<Device>(DEVICES),
    client.list<SegmentPolicy>(SEGMENT_POLICIES),
    client.list<KubeObject>(NAMESPACES),
    client.list<CertificateLedger>(CERTIFICATE_LEDGERS, { namespace }),
  ]);
  return {
    segments: rightsOfListed(policies, namespaces, systemClock.now()),
    devices: new Set(devices.map(({ metadata }) => deviceName(metadata.name ?? '', metadata.namespace ?? ''))),
    certificates: certificatesIn(pages),
  };
}

/** MD5 of each certificate that is not revoked → its device. */
export function certificatesIn(pages: readonly CertificateLedger[]): Map<string, string> {
  return new Map(linesOf(pages).flatMap(({ md5, device, revoked }) => (md5 === undefined || revoked !== undefined ? [] : [[md5, device]])));
}

function whoIsConnected({ plan, unsafe }: AdoptionReport, fleet: Fleet): Pick<AdoptionView, 'devices' | 'disconnected'> {
  if (plan.state !== 'foreign') return { devices: 0, disconnected: [] };
  const devices = plan.connected.filter(({ client }) => fleet.devices.has(client)).length;
  return { devices, disconnected: connectionLosses(plan.connected, fleet, unsafe.includes('HR-BRK-015')) };
}

type Connected = { client: string; md5: string; ours: boolean };

/**
 * Who loses its connection, and why. Before `mqtt.client_attrs_init` is set, EMQX does not say who has a certificate of our form: then the names of Devices
 * tell who is ours.
 */
export function connectionLosses(
  connected: readonly Connected[],
  fleet: Fleet,
  overrideIsMissing: boolean,
): { client: string; why: string }[] {
  return connected.flatMap(({ client, md5, ours }) => {
    if (fleet.devices.has(client)) return fleet.certificates.get(md5) === client ? [] : [{ client, why: NOT_RECORDED }];
    if (ours) return [{ client, why: NO_DEVICE }];
    return overrideIsMissing ? [{ client, why: OTHER_FORM }] : [];
  });
}

const NOT_RECORDED = 'its certificate is not in the ledger, or revoked';
const NO_DEVICE = 'there is no Device of this name';
const OTHER_FORM = 'not by this, but as soon as HR-BRK-015 below is cured, unless its certificate has the form of a device';

function confirmation(values: Values): string {
  const words = Object.entries(values).flatMap(([name, value]) => (value === true ? [] : [`--${name}`, quoted(String(value))]));
  return ['kubectl hedgerow adopt broker', ...words, '--yes'].join(' ');
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
