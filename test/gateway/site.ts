// A site for tests of the gateway as a process: a local broker, the cloud's broker, devices with certificates, and the gateway, which can be killed. Nothing of it shares
// code with the gateway.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GatewayConfig, GatewaySegment } from '../../operator/api/gateway-config.ts';
import { type StandIn, startStandIn } from '../broker/stand-in.ts';
import { type BrokerAddress, type Device, type DeviceOptions, tryConnect } from '../broker/testing/device.ts';
import { type DeviceCa, type Identity, makeDeviceCa, subject } from '../broker/testing/pki.ts';
import { makeServerCertificate } from '../harness/certificates.ts';
import { freePort, type OperatorProcess, startProgram } from '../harness/operator-process.ts';
import { waitFor } from '../harness/wait.ts';

export const SITE = 'berlin';
export const SEGMENT = `office.${SITE}`;
const MAIN = fileURLToPath(new URL('../../edge-k3s/gateway/main.ts', import.meta.url));

/** As in the file of --devices-file. */
export type SiteDevice = {
  name: string;
  uid: string;
  segment: string;
  labels: Record<string, string>;
  lifecycle: 'Active' | 'Quarantined' | 'Revoked';
};

/** A client of a broker that its certificate names `<device>.<site>`. */
export type Speaker = {
  readonly name: string;
  readonly client: Device;
  /** The next message of this start, wrapped; resolves with what the broker says. */
  say(stream: string, m: unknown, envelope?: Partial<{ boot: number; seq: number; ts: number; backfill: boolean }>): Promise<string>;
  /** Any bytes. */
  send(topic: string, payload: string | Buffer): Promise<string>;
};

export type GatewayProcess = OperatorProcess & {
  /** The value of a metric with exactly these labels, in order; 0 when there is none. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
};

export type GatewaySite = {
  readonly dir: string;
  readonly stateDir: string;
  readonly local: StandIn;
  readonly cloud: StandIn;
  readonly localAddress: BrokerAddress;
  readonly cloudAddress: BrokerAddress;
  readonly ca: DeviceCa;
  /** Of the CA of both brokers' clients. */
  identity(device: string, segment?: string): Promise<Identity>;
  /** Written at once; the gateway looks every ten seconds. */
  configure(config: GatewayConfig): void;
  setDevices(devices: readonly SiteDevice[]): void;
  /** Resolves when it has its session at the local broker. `args`: more flags. */
  startGateway(args?: readonly string[]): Promise<GatewayProcess>;
  /** At the local broker, as `<device>.berlin`. */
  speaker(device: string, options?: DeviceOptions & { boot?: number; segment?: string }): Promise<Speaker>;
  /** At a broker of choice, with a certificate of the site's CA. */
  connect(address: BrokerAddress, device: string, segment: string, options?: DeviceOptions): Promise<Device>;
  log(): string;
  /** Whether a file of the gateway's state holds the text. */
  onDisk(text: string): boolean;
  stop(): Promise<void>;
};

export const segmentOf = (more: Partial<GatewaySegment> = {}): GatewaySegment => ({
  ...{ name: SEGMENT, egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 5, detect: [], rules: [] },
  retentionMs: { trend: 30 * 86_400_000, alert: 90 * 86_400_000, security: 365 * 86_400_000 },
  ...more,
});

export const configOf = (...segments: GatewaySegment[]): GatewayConfig => ({ version: 1, site: SITE, segments });

export const deviceOf = (device: string, more: Partial<SiteDevice> = {}): SiteDevice => ({
  ...{ name: `${device}.${SITE}`, uid: `uid-${device}`, segment: SEGMENT, labels: {}, lifecycle: 'Active' },
  ...more,
});

/** Both brokers allow everything that is not otherwise ruled: what they refuse is tested elsewhere. */
export async function startGatewaySite(o: { config?: GatewayConfig; devices?: readonly SiteDevice[] } = {}): Promise<GatewaySite> {
  const dir = mkdtempSync(join(tmpdir(), 'hedgerow-gateway-'));
  const [ca, server] = [await makeDeviceCa('devices'), await makeServerCertificate()];
  const tls = { ca: ca.certPem, cert: server.certPem, key: server.keyPem };
  const [local, cloud] = await Promise.all([
    startStandIn({ dir: join(dir, 'local'), tls }),
    startStandIn({ dir: join(dir, 'cloud'), tls }),
  ]);
  for (const broker of [local, cloud])
    await broker.request('PUT', '/authorization/sources/file', { body: { type: 'file', enable: true, rules: '{allow, all}.\n' } });
  // As a node's broker is set (docs/guides/edge-gateway.md): a gateway that is away for a while finds what came.
  const { body: zone } = await local.request('GET', '/configs/global_zone');
  const { mqtt, ...others } = zone as { mqtt: Record<string, boolean | number | string> };
  const wanted = { ...others, mqtt: { ...mqtt, max_inflight: 10_000, max_mqueue_len: 100_000 } };
  const set = await local.request('PUT', '/configs/global_zone', { body: wanted });
  if (set.status !== 200) throw new Error(`the broker did not take its settings: ${set.text}`);
  const addressOf = ({ mqttPort }: StandIn): BrokerAddress => ({ host: '127.0.0.1', port: mqttPort, caPem: server.caPem });
  const [localAddress, cloudAddress] = [addressOf(local), addressOf(cloud)];
  const file = (name: string): string => join(dir, name);
  const issued = new Map<string, Promise<Identity>>();
  const identity = (device: string, segment = SEGMENT): Promise<Identity> => {
    const known = issued.get(`${device} ${segment}`) ?? ca.issue(subject('hedgerow', segment, device));
    issued.set(`${device} ${segment}`, known);
    return known;
  };
  const own = await identity(`gateway.${SITE}`, `gateways.${SITE}`);
  for (const [name, text] of Object.entries({ 'ca.pem': server.caPem, 'gateway.crt': own.certPem, 'gateway.key': own.keyPem }))
    writeFileSync(file(name), text);
  const configure = (config: GatewayConfig): void => writeFileSync(file('gateway.json'), JSON.stringify(config));
  const setDevices = (devices: readonly SiteDevice[]): void => writeFileSync(file('devices.json'), JSON.stringify(devices));
  configure(o.config ?? configOf(segmentOf()));
  setDevices(o.devices ?? [deviceOf('thermo-1')]);
  const running: OperatorProcess[] = [];
  const clients: Device[] = [];

  async function startGateway(more: readonly string[] = []): Promise<GatewayProcess> {
    const port = await freePort();
    const args = [
      ...['--broker', `localhost:${local.mqttPort}`, '--broker-ca-file', file('ca.pem')],
      ...['--broker-cert-file', file('gateway.crt'), '--broker-key-file', file('gateway.key')],
      ...['--config-file', file('gateway.json'), '--devices-file', file('devices.json'), '--state-dir', file('state')],
      ...['--metrics-port', String(port), '--metrics-host', '127.0.0.1', ...more],
    ];
    const process = await startProgram(MAIN, args, { name: 'the gateway', port, logFile: file('gateway.log') });
    running.push(process);
    return { ...process, metric: (name, labels) => metricOf(process, name, labels) };
  }

  async function connect(address: BrokerAddress, device: string, segment: string, options?: DeviceOptions): Promise<Device> {
    const made = await tryConnect(address, await identity(device, segment), options);
    if (!made.ok) throw new Error(`${device} could not connect: ${made.error}`);
    clients.push(made.device);
    return made.device;
  }

  return {
    ...{
      dir,
      stateDir: file('state'),
      local,
      cloud,
      localAddress,
      cloudAddress,
      ca,
      identity,
      configure,
      setDevices,
      startGateway,
      connect,
    },
    async speaker(device, { boot = 1, segment = SEGMENT, ...options } = {}) {
      const name = `${device}.${SITE}`;
      return speakerOf(name, segment, boot, await connect(localAddress, name, segment, options));
    },
    log: () => readFileSync(file('gateway.log'), 'utf8'),
    onDisk: (text) =>
      readdirSync(file('state'), { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .some(({ parentPath, name }) => readIfThere(join(parentPath, name)).includes(text)),
    async stop() {
      for (const process of running) await process.kill();
      for (const { client } of clients) client.end(true);
      await Promise.all([local.stop(), cloud.stop()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A file may be renamed while somebody looks. */
function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function speakerOf(name: string, segment: string, boot: number, client: Device): Speaker {
  let seq = 0;
  const send = (topic: string, payload: string | Buffer): Promise<string> =>
    client.client.publishAsync(topic, payload, { qos: 1 }).then(
      () => 'accepted',
      (error: { code?: number }) => `refused ${error.code}`,
    );
  return {
    ...{ name, client, send },
    say(stream, m, envelope = {}) {
      seq += 1;
      return send(`dt/${segment}/${name}/${stream}`, JSON.stringify({ v: 1, boot, seq, ts: Date.now(), ...envelope, m }));
    },
  };
}

/** The value of a metric with exactly these labels, in order; 0 when there is none. */
export async function metricOf({ metricsUrl }: OperatorProcess, name: string, labels: Record<string, string> = {}): Promise<number> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  const all = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const line = text.split('\n').find((one) => one.startsWith(`${name}${all.length === 0 ? ' ' : `{${all.join(',')}} `}`));
  return Number(line?.split(' ').at(-1) ?? 0);
}

/** Until the gateway has counted so many results. */
export async function counted(gateway: GatewayProcess, result: string, count: number): Promise<void> {
  let last = 0;
  await waitFor(
    `${count} × ${result}`,
    async () => {
      last = await gateway.metric('fleet_gateway_messages_total', { result });
      return last >= count ? true : undefined;
    },
    { timeoutMs: 60_000, describe: () => `${last} so far` },
  );
}
