/** Whom the contract is put to: the stand-in, and a real EMQX where the environment names one. */

import { readFileSync } from 'node:fs';
import type { JsonObject } from '../config.ts';
import { basic, createRestClient, type RestAnswer, type RestRequest } from '../rest-client.ts';
import { type Attempt, type BrokerAddress, type Device, type DeviceOptions, tryConnect } from '../testing/device.ts';
import { type DeviceCa, type Identity, loadDeviceCa, subject } from '../testing/pki.ts';
import { startWorld } from '../testing/world.ts';

export type Target = {
  rest(method: string, path: string, request?: RestRequest): Promise<RestAnswer>;
  /** A fresh certificate. `as`: `device.segment`, both in the suite's own namespace. */
  issue(device: string, segment?: string): Promise<Identity>;
  ca: DeviceCa;
  connect(identity: Identity, options?: DeviceOptions): Promise<Device>;
  attempt(identity: Identity, options?: DeviceOptions): Promise<Attempt>;
  /** Puts the ACL text that was there before back in force. */
  stop(): Promise<void>;
};

/** The namespace of every name that the suite uses, so that it can be run against a broker that holds other things. */
export const NAMESPACE = 'contract-suite';

/**
 * `EMQX_URL` (REST), `EMQX_API_KEY` (`key:secret`), `EMQX_MQTT` (`host:port` of `ssl:default`), `EMQX_SERVER_CA`, `EMQX_DEVICE_CA` and
 * `EMQX_DEVICE_CA_KEY` (PEM files; the key PKCS#8, P-256). The broker must stand in the profile of the guide; its ACL text is put back at the end.
 */
export const TARGETS: [string, () => Promise<Target>][] = [
  ['the stand-in', startStandInTarget],
  ...(process.env.EMQX_URL === undefined ? [] : ([['EMQX', startEmqxTarget]] as [string, () => Promise<Target>][])),
];

async function startStandInTarget(): Promise<Target> {
  const world = await startWorld();
  return makeTarget(world.standIn.request, world.broker, world.ca, () => world.stop());
}

async function startEmqxTarget(): Promise<Target> {
  const env = (name: string): string => {
    const value = process.env[name];
    if (value === undefined) throw new Error(`EMQX_URL is set, so ${name} is needed too`);
    return value;
  };
  const file = (name: string) => readFileSync(env(name), 'utf8');
  const [key = '', secret = ''] = env('EMQX_API_KEY').split(':');
  const rest = createRestClient({ url: env('EMQX_URL'), trust: file('EMQX_SERVER_CA'), authorization: basic({ key, secret }) });
  const [host = '', port = '8883'] = env('EMQX_MQTT').split(':');
  const ca = await loadDeviceCa(file('EMQX_DEVICE_CA'), file('EMQX_DEVICE_CA_KEY'));
  return makeTarget(rest, { host, port: Number(port), caPem: file('EMQX_SERVER_CA') }, ca, async () => rest.close());
}

async function makeTarget(rest: Target['rest'], broker: BrokerAddress, ca: DeviceCa, stop: () => Promise<void>): Promise<Target> {
  const devices: Device[] = [];
  const before = (await rest('GET', '/authorization/sources/file')).body as JsonObject;
  const attempt = async (identity: Identity, options?: DeviceOptions) => {
    const made = await tryConnect(broker, identity, options);
    if (made.ok) devices.push(made.device);
    return made;
  };
  return {
    rest,
    ca,
    issue: (device, segment = 'office') => ca.issue(subject('hedgerow', `${segment}.${NAMESPACE}`, `${device}.${NAMESPACE}`)),
    attempt,
    async connect(identity, options) {
      const made = await attempt(identity, options);
      if (!made.ok) throw new Error(`the device could not connect: ${made.error}`);
      return made.device;
    },
    async stop() {
      for (const device of devices) device.client.end(true);
      const bans = (await rest('GET', `/banned?like_clientid=.${NAMESPACE}`)).body as { data: { who: string }[] };
      for (const { who } of bans.data) await rest('DELETE', `/banned/clientid/${who}`);
      await rest('PUT', '/authorization/sources/file', { body: before });
      await stop();
    },
  };
}

/** The shape of text that Hedgerow writes, for the suite's own segments. */
export const TEXT = `{allow, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, {publish,[{qos,[0,1]},{retain,false}]}, ["ota/v1/d/\${cert_common_name}/hello"]}.
{allow, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, {publish,[{qos,[0,1]}]}, ["ota/v1/d/\${cert_common_name}/state"]}.
{allow, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, subscribe, ["ota/v1/d/\${cert_common_name}/directive"]}.
{allow, {client_attr,"seg",{re,"^(?:office[.]${NAMESPACE}|lab[.]${NAMESPACE})$"}}, {publish,[{qos,[0,1]},{retain,false}]}, ["dt/\${client_attrs.seg}/\${cert_common_name}/#"]}.
{allow, {client_attr,"seg",{re,"^(?:office[.]${NAMESPACE}|lab[.]${NAMESPACE})$"}}, subscribe, ["cmd/\${client_attrs.seg}/\${cert_common_name}/#"]}.
{allow, {client_attr,"seg","ingest.${NAMESPACE}"}, subscribe, ["dt/office.${NAMESPACE}/#"]}.
{allow, {client_attr,"seg","ingest.${NAMESPACE}"}, {publish,[{qos,[0,1,2]},{retain,false}]}, ["cmd/office.${NAMESPACE}/+/#"]}.
{deny, all}.
`;
