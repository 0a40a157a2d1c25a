// `kubectl hedgerow why`: why a device cannot connect, each finding with its code and cure.
import { readFile } from 'node:fs/promises';
import { NAMESPACES } from '../api/resources.ts';
import { type ClientSight, clientAtBroker, explanationOf } from '../broker/broker.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { systemClock } from '../runtime/clock.ts';
import { withCluster } from './cluster.ts';
import type { Command } from './command.ts';
import { type DeviceIdentity, identityOf } from './device-identity.ts';
import { diagnose, type Observed } from './diagnosis.ts';
import {
  BROKER_FLAGS,
  BROKER_HELP,
  type BrokerAddress,
  CLUSTER_FLAGS,
  CLUSTER_HELP,
  LEDGER_NAMESPACE,
  OUTPUT_FLAG,
  optionalBroker,
  readable,
  required,
  TEXT,
  text,
  wantsJson,
} from './flags.ts';
import { existingDevice, readableLedger } from './identity.ts';
import { NOT_SEEN } from './intervene.ts';
import { type Values, WrongUse } from './parse.ts';
import { type Probe, probe, targetOf } from './probe.ts';
import { type TlsAlert, tlsAlertOf } from './tls-alert.ts';
import { whyText } from './why-text.ts';

export const why: Command = {
  words: ['why'],
  operand: 'DEVICE',
  summary: 'why a device cannot connect: manifest, certificate, clock, network, ban, rights; each with the cure',
  help: `usage: kubectl hedgerow why DEVICE [--mqtt HOST:PORT] [FLAG…]

Looks at everything between a device and its rights, and says what stops it, what stops it first at the top. Nothing is changed anywhere.

  --mqtt HOST:PORT             the broker's address as devices know it: name, port, TLS and the server's certificates are tried from this machine
  --mqtt-ca-file FILE          the CA that devices trust the broker by; without it trust is not looked at
  --tls-alert TEXT             the TLS alert that the device logs: a number, a name, or the whole line
  --output, -o json            everything for scripts
  --ledger-namespace NS        the operator's namespace, where its ledger is (default: ${LEDGER_NAMESPACE})
${BROKER_HELP}${CLUSTER_HELP}
Your own rights are used: get on devices; with get on namespaces and list on certificateledgers in the operator's namespace it sees more. What was not
looked at is named.

Exit codes: 0 nothing was found that stops or limits it; 1 it could not be looked at; 2 wrong use; 3 something stops or limits it.
`,
  flags: {
    mqtt: TEXT,
    'mqtt-ca-file': TEXT,
    'tls-alert': TEXT,
    ...OUTPUT_FLAG,
    'ledger-namespace': TEXT,
    ...BROKER_FLAGS,
    ...CLUSTER_FLAGS,
  },
  async run(values, { out }) {
    const json = wantsJson(values);
    const network = await networkOf(values);
    const broker = await optionalBroker(values);
    const said = text(values, 'tls-alert');
    const alert = said === undefined ? undefined : tlsAlertOf(said);
    const seen = await withCluster(values, (client, namespace, skewMs) =>
      observe(client, namespace, values, { network, broker, skewMs, alert }),
    );
    const findings = diagnose(seen);
    const { identity, probe: probed, broker: atBroker, skewMs, namespaceEnds } = seen;
    if (json)
      out(
        `${JSON.stringify({ findings, identity, network: probed, broker: atBroker, clockSkewMs: skewMs, namespaceEnds }, undefined, 2)}\n`,
      );
    else out(whyText(seen, findings));
    return findings.some(({ weight }) => weight !== 'note') ? NOT_SEEN : 0;
  },
};

async function networkOf(values: Values): Promise<(() => Promise<Probe>) | undefined> {
  const [mqtt, caFile] = [text(values, 'mqtt'), text(values, 'mqtt-ca-file')];
  if (mqtt === undefined) {
    if (caFile !== undefined) throw new WrongUse('--mqtt-ca-file goes with --mqtt HOST:PORT');
    return undefined;
  }
  const target = targetOf(mqtt);
  await readable(caFile);
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  return () => probe(target, ca, systemClock);
}

type Ways = {
  network: (() => Promise<Probe>) | undefined;
  broker: BrokerAddress | undefined;
  skewMs: () => number | undefined;
  alert: TlsAlert | undefined;
};

async function observe(client: KubeClient, namespace: string, values: Values, ways: Ways): Promise<Observed> {
  const [device, ledger, namespaceEnds, probed] = await Promise.all([
    existingDevice(client, { name: required(values, 'DEVICE'), namespace }),
    readableLedger(client, text(values, 'ledger-namespace') ?? LEDGER_NAMESPACE),
    endOfNamespace(client, namespace),
    ways.network?.(),
  ]);
  const identity = identityOf(device, ledger);
  const broker = ways.broker === undefined ? undefined : await askBroker(ways.broker, identity);
  return { device, identity, namespaceEnds, now: systemClock.now(), skewMs: ways.skewMs(), probe: probed, alert: ways.alert, broker };
}

async function endOfNamespace(client: KubeClient, name: string): Promise<boolean | undefined> {
  try {
    return (await client.get<KubeObject>(NAMESPACES, { name }))?.metadata.deletionTimestamp !== undefined;
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}

/** The broker may be what is wrong: then the rest is said all the same. */
async function askBroker(
  address: BrokerAddress,
  { client, segment, certificate, ledger }: DeviceIdentity,
): Promise<ClientSight | { unreachable: string }> {
  const own = certificate?.seen?.md5 ?? ledger?.find(({ sha256 }) => sha256 !== undefined && sha256 === certificate?.sha256)?.md5;
  try {
    return await clientAtBroker({ ...address, clock: systemClock }, { client, segment, md5s: own === undefined ? [] : [own] });
  } catch (error) {
    const line = explanationOf(error);
    if (line === undefined) throw error;
    return { unreachable: line };
  }
}
