// Everything that a round leaves behind, as text that is equal for equal worlds: objects of the API server, what the broker holds, who is connected.
// Left out is what differs between two undisturbed runs: uids, times, versions, serial numbers, hashes, the prefix of the round.
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { API_VERSION } from '../../../operator/api/resources.ts';
import type { FleetDevice } from '../../harness/fleet.ts';
import { collection, type Round } from './story.ts';
import type { CrashWorld } from './world.ts';

type Json = Record<string, unknown>;
type Meta = { name: string; labels?: Record<string, string>; annotations?: Record<string, string>; generation?: number };
type Thing = { metadata: Meta; spec?: Json; status?: Json };
type Entry = {
  device: string;
  md5: string;
  sha256: string;
  spki: string;
  segment: string;
  via: string;
  revoked?: { reason: string; by: string };
};

/** One text a round; names of other rounds are not in it. Throws while API server or broker do not answer. */
export async function dumpRound(world: CrashWorld, round: Round): Promise<string> {
  const entries = (await ledgerEntries(world)).filter(({ device }) => device.startsWith(`${round.prefix}-`));
  const keys = new Map(round.fleet.map((device) => [spkiOf(createPublicKey(device.key.privateKeyPem)), device.name]));
  const holders = new Map(entries.map((entry) => [entry.md5, entry.device]));
  const devices = await list(world, 'devices');
  const seen = {
    devices: devices.filter((one) => belongs(one, round)).map((device) => deviceState(device, round.fleet)),
    interventions: (await list(world, 'interventions')).filter((one) => belongs(one, round)).map(plainState),
    segmentPolicies: segmentStates(await list(world, 'segmentpolicies'), devices),
    networkPolicies: (await listPath(world, `/apis/networking.k8s.io/v1/namespaces/${world.site}/networkpolicies`)).map((one) =>
      withoutOthers(withoutGeneration(one), round),
    ),
    requests: (await listPath(world, `/apis/cert-manager.io/v1/namespaces/${world.site}/certificaterequests`))
      .filter((one) => belongs(one, round))
      .map(({ metadata }) => metadata.name),
    ledger: entries
      .map(({ device, segment, via, spki, revoked }) => ({
        device,
        segment,
        via,
        key: keys.get(spki),
        revoked: revoked && { ...revoked, at: '-' },
      }))
      .sort(byText),
    broker: await brokerState(world, round, holders),
  };
  return withoutAccidents(JSON.stringify(seen, sortedKeys, 1), round);
}

/** Devices that were shut in earlier rounds are named in the policies of the site too. */
function withoutOthers<T>(value: T, { prefix }: Round): T {
  const kept: unknown = JSON.parse(JSON.stringify(value), (_key, inner: unknown) =>
    Array.isArray(inner) ? inner.filter((one) => typeof one !== 'string' || !/^r\d+-/.test(one) || one.startsWith(`${prefix}-`)) : inner,
  );
  return kept as T;
}

const belongs = ({ metadata }: Thing, { prefix }: Round): boolean => metadata.name.startsWith(`${prefix}-`);

const list = (world: CrashWorld, plural: string): Promise<Thing[]> => listPath(world, collection(world, plural));

async function listPath(world: CrashWorld, path: string): Promise<Thing[]> {
  const { items } = await world.admin.send<{ items: Thing[] }>('GET', path);
  return items.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function plainState({ metadata: { name, labels, annotations, generation }, spec, status }: Thing): object {
  return { name, labels, annotations, generation, spec, status };
}

/** The API server counts a NetworkPolicy up when the same text with an empty list is applied again: stored, it is no list (reflect.DeepEqual in its strategy). */
function withoutGeneration(policy: Thing): object {
  const { generation: _counted, ...metadata } = policy.metadata;
  return plainState({ ...policy, metadata });
}

/** The request and the certificate are told by what they have to be: made with this device's key. */
function deviceState(device: Thing, fleet: readonly FleetDevice[]): object {
  const { identity, ...spec } = device.spec as { identity: { csr?: string } };
  const { certificate, ...status } = (device.status ?? {}) as { certificate?: string };
  const own = fleet.find(({ name }) => name === device.metadata.name);
  return {
    ...plainState({ metadata: device.metadata, spec: { ...spec, csrIsOurs: identity.csr === own?.key.csrPem }, status }),
    certificateIsForItsKey:
      certificate === undefined || own === undefined
        ? false
        : spkiOf(new X509Certificate(certificate).publicKey) === spkiOf(createPublicKey(own.key.privateKeyPem)),
  };
}

/** The counter of devices runs on from round to round, so it is compared with the Devices there are. */
function segmentStates(policies: readonly Thing[], devices: readonly Thing[]): object[] {
  return policies.map((policy) => {
    const { counts, ...status } = (policy.status ?? {}) as { counts?: { devices?: number } };
    const members = devices.filter(({ spec }) => spec?.segment === policy.metadata.name).length;
    return {
      ...plainState({ ...policy, status }),
      counts: { ...counts, devices: counts?.devices === members ? 'right' : counts?.devices },
    };
  });
}

/** Every certificate of every round, as the operator recorded it. */
export async function ledgerEntries(world: CrashWorld): Promise<Entry[]> {
  const pages = (await listPath(world, `/apis/${API_VERSION}/namespaces/${world.system.namespace}/certificateledgers`)) as {
    spec?: { entries?: Record<string, string> };
  }[];
  return pages.flatMap((page) => Object.values(page.spec?.entries ?? {})).map((text) => JSON.parse(text) as Entry);
}

type Ban = { as: string; who: string; by: string; reason: string; until: string };

async function brokerState(world: CrashWorld, { prefix }: Round, holders: Map<string, string>): Promise<object> {
  const read = async (path: string): Promise<unknown> => {
    const { status, body } = await world.system.standIn().request('GET', path);
    if (status !== 200) throw new Error(`GET ${path} at the broker: ${status}`);
    return body;
  };
  const rows = async <T>(path: string): Promise<T[]> => ((await read(`${path}?limit=10000`)) as { data: T[] }).data;
  // The MD5 of a certificate is told by whose it is.
  const named = (who: string): string => (holders.has(who) ? `certificate of ${holders.get(who)}` : who);
  const ofRound = (who: string): boolean => named(who).replace('certificate of ', '').startsWith(`${prefix}-`);
  return {
    bans: (await rows<Ban>('/banned'))
      .filter(({ who }) => ofRound(who) || !/-device-|^[0-9a-f]{32}$/.test(who))
      .map(({ as, who, by, reason, until }) => ({ as, who: named(who), by, reason, until: until === 'infinity' ? until : 'its end' }))
      .sort(byText),
    records: (await rows<{ clientid: string }>('/authorization/sources/built_in_database/rules/clients'))
      .filter(({ clientid }) => ofRound(clientid) || !clientid.includes('-device-'))
      .sort(byText),
    recordsForAll: await read('/authorization/sources/built_in_database/rules/all'),
    text: await read('/authorization/sources/file'),
    sources: await read('/authorization/sources'),
    settings: await read('/authorization/settings'),
    zone: await read('/configs/global_zone'),
    connected: (await world.system.standIn().clients())
      .filter(({ clientid }) => ofRound(clientid) || !clientid.includes('-device-'))
      .map(({ clientid, username }) => ({ clientid, with: named(username) }))
      .sort(byText),
  };
}

/** What is left of accidents in free text: times, serial numbers and hashes in messages, the round's own prefix. */
function withoutAccidents(text: string, { prefix }: Round): string {
  return text
    .replaceAll(`${prefix}-`, '')
    .replaceAll(`"${prefix}"`, '"round"')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/\b[0-9a-f]{16,64}\b/g, '<number>');
}

const spkiOf = (key: ReturnType<typeof createPublicKey>): string =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
const byText = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
