/** Hedgerow's own profile: names, topics and ACL shapes as they were tried on a running broker. */

import type { JsonObject } from '../../config.ts';
import { subject } from '../../testing/pki.ts';
import { readRfc2253, type StringKind } from '../../testing/subject-der.ts';
import { type Entry, type Exchange, recordings } from '../recording.ts';
import type { Stage } from '../stage.ts';
import { observeProfile } from './profile-observed.ts';
import type { Script } from './script.ts';

const THERMO = 'thermo-17.berlin';
const RECORDED_MD5 = '4793e73cf18dd1765c8c5b89e6ab577a';
const RULES = '/authorization/sources/built_in_database/rules';
const OLD_ATTRIBUTE =
  "nth(1, regex_extract(dn, '^CN=[a-z0-9-]{1,62}[.][a-z0-9-]{1,62},OU=([a-z0-9-]{1,62}[.][a-z0-9-]{1,62}),O=hedgerow$'))";

function entryOf(name: string): Entry {
  const found = recordings()
    .get('hedgerow-profile')
    ?.find((entry) => entry.name === name);
  if (!found) throw new Error(`no entry ${name}`);
  return found;
}

/** The text of three segments by hand, under which most of it was recorded. */
export function handText(): string {
  const { request } = entryOf('2 PUT file, three segments by hand') as Exchange;
  return String((request.body as JsonObject).rules);
}

async function issueAll(stage: Stage): Promise<void> {
  for (const entry of recordings().get('hedgerow-profile') ?? []) {
    const name = /^1 cert (\S+)$/.exec(entry.name)?.[1];
    if (name === undefined) continue;
    const rdns = readRfc2253(String(entry['openssl subject (RFC2253)']).replace('subject=', ''));
    const encoding = (/^e-(\w+)$/.exec(name)?.[1] ?? 'utf8') as StringKind;
    stage.identities.set(name, await stage.world.ca.issue(rdns, { encoding }));
  }
  const thermo = subject('hedgerow', 'office-sensors.berlin', THERMO);
  stage.identities.set('t17-noou', await stage.world.ca.issue(thermo.filter(([first]) => first?.type !== 'OU')));
  stage.names.set(RECORDED_MD5, stage.identities.get(THERMO)?.md5 ?? '');
}

/** The profile as it was before the override and the back-reference: what probes 1 to 11 found is why they are there. */
async function asProbed(stage: Stage, flapping = false): Promise<void> {
  const zone = (await stage.call('GET', '/configs/global_zone')).body as JsonObject;
  await stage.call('PUT', '/configs/global_zone', {
    ...zone,
    flapping_detect: { ban_time: '5m', enable: flapping, max_count: 15, window_time: '1m' },
    mqtt: {
      ...(zone.mqtt as JsonObject),
      clientid_override: 'disabled',
      client_attrs_init: [{ set_as_attr: 'seg', expression: OLD_ATTRIBUTE }],
    },
  });
  await stage.call('PUT', '/mqtt/delayed', { enable: true, max_delayed_messages: 0 });
  await stage.call('PUT', '/listeners/ssl:default', { id: 'ssl:default', type: 'ssl', max_conn_rate: 'infinity' });
  await stage.call('DELETE', '/banned/clientid/invalid-certificate');
}

async function retainState(stage: Stage): Promise<void> {
  await stage.text(handText());
  const device = await stage.open(THERMO);
  await device.publish(`ota/v1/d/${THERMO}/state`, { retain: true, payload: '{"v":1}' });
}

async function recordsOfOthers(stage: Stage): Promise<void> {
  const rule = (topic: string, permission: string, action: string) => ({ topic, permission, action });
  const put = (clientid: string, ...rules: object[]) =>
    stage.call('PUT', `${RULES}/clients/${encodeURIComponent(clientid)}`, { clientid, rules: rules as JsonObject[] });
  await put('foreign-1', rule('plant/1/#', 'allow', 'all'));
  await put('weird id/1+#', rule('plant/2/#', 'deny', 'publish'));
  await put(THERMO, rule('x/#', 'allow', 'all'), rule('hedgerow/marker', 'deny', 'all'));
  await stage.call('PUT', `${RULES}/users/bob`, { username: 'bob', rules: [rule('u/#', 'allow', 'all')] });
  await stage.call('POST', `${RULES}/all`, { rules: [rule('all/#', 'allow', 'all')] });
}

async function bansOfOthers(stage: Stage): Promise<void> {
  const md5 = stage.names.get(RECORDED_MD5) ?? '';
  await stage.call('POST', '/banned', { as: 'username', who: md5, by: 'operator/hedgerow/berlin/thermo-17', reason: 'r' });
  await stage.call('POST', '/banned', { as: 'clientid', who: 'x1', by: 'someone' });
}

export const hedgerowProfile: Script = {
  profile: 'hedgerow',
  async setUp(stage) {
    await issueAll(stage);
    await asProbed(stage);
  },
  before: {
    '1 GET /clients/thermo-17.berlin': (stage) => stage.open(THERMO),
    async '2 GET /mqtt/delayed/messages'(stage) {
      // The tables before it parked messages too; those live in memory.
      await stage.world.standIn.restart();
      const device = await stage.open(THERMO);
      await device.publish(`$delayed/1/dt/office-sensors.berlin/${THERMO}/temp`);
    },
    async '5 after wiping the data directory: GET sources'(stage) {
      await stage.world.standIn.restart({ wipe: true });
      await asProbed(stage, true);
    },
    async '8 GET /nodes'(stage) {
      await stage.end(...stage.devices.keys());
      await stage.text('{deny, all}.\n');
    },
    '9 GET rules/clients with records of others': recordsOfOthers,
    '9 GET /banned with bans of others': bansOfOthers,
    async '10 GET /mqtt/retainer/message/{topic}, slashes as %2F'(stage) {
      await stage.call('DELETE', `/banned/username/${stage.names.get(RECORDED_MD5)}`);
      await stage.call('DELETE', `${RULES}/clients/${THERMO}`);
      await retainState(stage);
    },
    async '10 POST /publish empty retained payload clears'(stage) {
      const device = await stage.open(THERMO);
      await device.subscribe(`ota/v1/d/${THERMO}/directive`);
    },
    async '15 GET /banned after first boot with banned.bootstrap_file'(stage) {
      await stage.end(...stage.devices.keys());
      await stage.world.standIn.restart({ wipe: true });
    },
  },
  complete(exchange) {
    const { request, name } = exchange;
    // The recorder's own Accept where none is written down; two texts were shortened in the recording.
    const headers = request.headers ?? { accept: 'application/json' };
    const body = request.body as JsonObject | undefined;
    if (typeof body?.rules !== 'string' || !body.rules.includes('…')) return { ...exchange, request: { ...request, headers } };
    const placeholder = name.includes('{device}') ? 'device' : 'client_attrs.nope';
    const rules = handText().replace('cert_common_name', placeholder);
    return { ...exchange, request: { ...request, headers, body: { ...body, rules } } };
  },
  observe: observeProfile,
};
