// The flags by which the operator is told whom it trusts for firmware, and with what it runs rollouts. Pure: text in, options or a thrown complaint out.
import type { RolloutFlags, RolloutIssuer } from './rollout-options.ts';

/** As `RolloutSettings` of operator/releases. */
export type ReleaseFlags = {
  roots: string[];
  image: string;
  pullSecrets: string[];
  account: string;
  brokerMqtt: string;
  brokerCa: { kind: 'Secret' | 'ConfigMap'; name: string; key: string } | undefined;
  mqttIssuer: string;
  directiveIssuer: string;
  artifactsUrl: string;
  metricsPort: number;
  logLevel: string;
};

export const RELEASE_FLAGS = {
  'firmware-root': { type: 'string', multiple: true },
  'rollout-image': { type: 'string' },
  'rollout-pull-secret': { type: 'string', multiple: true },
  'rollout-broker-ca': { type: 'string' },
  'rollout-metrics-port': { type: 'string' },
  'artifacts-url': { type: 'string' },
} as const;

export const RELEASE_HELP = `  --firmware-root HEX          SHA-256 of a 1.root.json: whose firmware is trusted; may be repeated (default: FirmwareReleases are stalled)
                               With it --rollout-account, --broker-mqtt and the next two are required
  --rollout-image IMAGE        image of the pods that carry rollouts out: the operator's own
  --artifacts-url URL          https://host:port where devices fetch firmware
  --rollout-broker-ca REF      CA of the broker's MQTT certificate in the operator's namespace: Secret/NAME/KEY or ConfigMap/NAME/KEY (default: the system's)
  --rollout-pull-secret NAME   imagePullSecret of these pods; may be repeated
  --rollout-metrics-port PORT  /metrics of these pods; 0: any that is free (default: 8080)
`;

type Values = Record<string, unknown>;

/** What other flags say: where the broker is, and who the drivers are. */
type Around = {
  broker: { host: string; port: number } | undefined;
  drivers: RolloutFlags | undefined;
  logLevel: string;
};

export function releaseOptions(values: Values, { broker, drivers, logLevel }: Around): ReleaseFlags | undefined {
  const given = (flag: string): string | undefined => (typeof values[flag] === 'string' && values[flag] !== '' ? values[flag] : undefined);
  const list = (flag: string): string[] => (Array.isArray(values[flag]) ? values[flag].map(String) : []);
  const roots = list('firmware-root');
  if (roots.length === 0) {
    const without = Object.keys(RELEASE_FLAGS).find((flag) => given(flag) !== undefined || list(flag).length > 0);
    if (without !== undefined) throw new Error(`--${without} means nothing without --firmware-root`);
    return undefined;
  }
  const needed = (flag: string): string => {
    const value = given(flag);
    if (value === undefined) throw new Error(`--firmware-root needs --${flag}`);
    return value;
  };
  const wrong = roots.find((root) => !/^[0-9a-f]{64}$/.test(root));
  if (wrong !== undefined) throw new Error(`--firmware-root ${wrong} is not the SHA-256 of a file: 64 hexadecimal digits in lower case`);
  if (broker === undefined) throw new Error('--firmware-root needs --broker-mqtt');
  if (drivers === undefined) throw new Error('--firmware-root needs --rollout-account');
  const { host, port } = broker;
  return {
    ...{ roots, logLevel, image: needed('rollout-image'), account: drivers.account, pullSecrets: list('rollout-pull-secret') },
    brokerMqtt: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    brokerCa: caOf(given('rollout-broker-ca')),
    mqttIssuer: issuerText(drivers.mqttIssuer),
    directiveIssuer: issuerText(drivers.directiveIssuer),
    artifactsUrl: httpsOf(needed('artifacts-url')),
    metricsPort: portOf(given('rollout-metrics-port') ?? '8080'),
  };
}

const WORD = '[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?';

const issuerText = ({ kind, namespace, name }: RolloutIssuer): string =>
  [kind, ...(namespace === undefined ? [] : [namespace]), name].join('/');

function caOf(text: string | undefined): ReleaseFlags['brokerCa'] {
  if (text === undefined) return undefined;
  const [, kind, name, key] = new RegExp(`^(Secret|ConfigMap)/(${WORD})/([-._a-zA-Z0-9]+)$`).exec(text) ?? [];
  if (kind === undefined || name === undefined || key === undefined)
    throw new Error(`--rollout-broker-ca ${text} is neither Secret/NAME/KEY nor ConfigMap/NAME/KEY`);
  return { kind: kind === 'Secret' ? 'Secret' : 'ConfigMap', name, key };
}

/** Devices prove themselves there, and are to meet the right one. */
function httpsOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') throw new Error(`--artifacts-url ${text} is no https URL`);
  return text.replace(/\/+$/, '');
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new Error(`--rollout-metrics-port ${text} is no port`);
  return port;
}
